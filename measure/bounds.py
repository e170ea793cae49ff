"""Limits of a checkout's size on the disk and in memory, checked before it is written."""

from __future__ import annotations

from errors import RepositoryTooLarge

BLOCK = 4096  # the fewest bytes that a file or folder takes on a disk
MOST_ENTRIES = 500_000  # files, links and folders
MOST_NAME_BYTES = 64 << 20  # of the paths of all of them
MOST_LINK_BYTES = 16 << 20  # of the links' paths and targets, which are held in memory
LINK_COST = 200  # bytes that Python adds to a link, about
MOST_STEPS = 1_000_000  # names that are looked up to resolve all links


class CheckoutBudget:
    """The size of a commit's checkout; each method raises RepositoryTooLarge.

    Trees can contain one tree many times, so that a few kilobytes stand for millions of files.
    """

    def __init__(self, max_repo_mb: int) -> None:
        self._max_repo_mb = max_repo_mb
        self._disk = max_repo_mb << 20
        self._entries = MOST_ENTRIES
        self._names = MOST_NAME_BYTES
        self._links = MOST_LINK_BYTES
        self._folder: list[bytes] = []

    def add_file(self, path: bytes, size: int) -> None:
        """Add a file, and the folders that it is the first file of; paths come in git's order."""
        self._add_entries(path, 1)
        self._disk -= -(-size // BLOCK) * BLOCK
        if self._disk < 0:
            limit = f"MAX_REPO_MB ({self._max_repo_mb} MB)"
            raise RepositoryTooLarge(f"its checkout is larger than {limit} and is not written")

    def add_link(self, path: bytes, size: int) -> None:
        """Add a symbolic link whose target has so many bytes."""
        self._add_entries(path, 1)
        self._links -= len(path) + size + LINK_COST
        if self._links < 0:
            raise RepositoryTooLarge("it holds more symbolic links than are followed")

    def _add_entries(self, path: bytes, entries: int) -> None:
        folder = path.split(b"/")[:-1]
        if folder != self._folder:
            pairs = zip(folder, self._folder, strict=False)
            shared = next((n for n, (a, b) in enumerate(pairs) if a != b), None)
            if shared is None:
                shared = min(len(folder), len(self._folder))
            entries += len(folder) - shared
            self._folder = folder
        self._entries -= entries
        self._disk -= (entries - 1) * BLOCK
        self._names -= entries * len(path)
        if self._entries < 0 or self._names < 0:
            raise RepositoryTooLarge(
                f"it holds more than {MOST_ENTRIES:,} files and folders, or too long names"
            )


class StepBudget:
    """The number of names that are looked up to resolve links."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def take(self, steps: int) -> None:
        """Add some steps. Raises RepositoryTooLarge when they are too many."""
        self._left -= steps
        if self._left < 0:
            raise RepositoryTooLarge("its symbolic links lead too far to be followed")
