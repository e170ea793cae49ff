"""Only what a push has changed: commits and folders first, then the blobs that are needed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from functools import partial

from errors import EmptyRepository

from .bounds import CheckoutBudget
from .checkout import Listing, list_files, sizes
from .fetch import DEPTHS, Fetched, clone_or_explain, fetch_commits, find_new
from .git import Git, GitFailed
from .history import texts
from .trees import Counts

CHANGED = re.compile(rb":(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) ")
RULES = (b".gitattributes", b".gitmodules", b".mailmap")  # what git itself reads
NO_BLOB = (b"000000", b"160000")  # no file, and a submodule
DIFF_TREE = ("diff-tree", "--stdin", "--raw", "-r", "--root", "--no-abbrev", "--no-renames")


def fetch_files(git: Git, since: str | None, known: Counts) -> tuple[Fetched, Listing]:
    """Do as fetch_commits(), and list the head's files; of those that are `known`, fetch none.

    Where new commits alone are to be read, only the blobs of their changes and of files that are
    not known come over, unless the server cannot do that.
    """
    if since is not None and known:
        with contextlib.suppress(EmptyRepository, _Refused):
            fetched = _fetch_without_blobs(git, since)
            with _refusals():
                listing = list_files(git, fetched.head, git.options.exclude_dirs)
                _fetch_needed(git, listing, fetched.new or (), known)
            return fetched, listing
        git.start_over()
    fetched = fetch_commits(git, since)
    return fetched, list_files(git, fetched.head, git.options.exclude_dirs)


class _Refused(Exception):
    """Tell that blobs cannot be left out, or not be had one by one."""


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Take for a refusal what git fails over for a reason that is not known."""
    try:
        yield
    except GitFailed as error:
        if error.cause is not None:
            raise
        raise _Refused from error


def _fetch_without_blobs(git: Git, since: str) -> Fetched:
    head = clone_or_explain(git, partial(git.clone_without_blobs, DEPTHS[0]))
    fetched = find_new(git, head, since, DEPTHS[1:]) if head is not None else None
    if fetched is None:
        # The past of half a clone would be fetched blob by blob.
        raise _Refused
    return fetched


def _fetch_needed(git: Git, listing: Listing, new: Sequence[str], known: Counts) -> None:
    """Fetch the blobs of new commits' changes, and of the files of a listing that have no count.

    They come in one request; what only their contents could tell, git asks for by itself.
    """
    if not git.lacks_blobs:
        return
    needed = set(listing.links.values())
    for path in (listing.attributes, listing.files):
        for record in texts([path.read_bytes()]):
            facts, _, name = record.partition(b"\t")
            blob = facts.rpartition(b" ")[2]
            last = name.rpartition(b"/")[2]
            if (blob, last) not in known or last in RULES:
                needed.add(blob)
    git.fetch_blobs(needed | _changed(git, new))


def fetch_all(git: Git, listing: Listing) -> None:
    """Fetch the blobs of all files of a listing. Raises RepositoryTooLarge for too many bytes."""
    if not git.lacks_blobs:
        return
    files = {}
    for record in texts([listing.files.read_bytes()]):
        facts, _, path = record.partition(b"\t")
        files[path] = facts.rpartition(b" ")[2]
    git.fetch_blobs(files.values())
    size = sizes(git, files.values())
    budget = CheckoutBudget(git.options.max_repo_mb)
    for path, blob in files.items():
        budget.add_file(path, size[blob])


def _changed(git: Git, commits: Sequence[str]) -> set[bytes]:
    """Return the blobs on both sides of each change that commits make."""
    names = git.folder / "new-commits"
    names.write_text("".join(f"{commit}\n" for commit in commits))
    blobs: set[bytes] = set()
    rest = b""
    with contextlib.closing(git.stream(DIFF_TREE, git.folder, names)) as chunks:
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for found in filter(None, map(CHANGED.match, lines)):
                old_mode, new_mode, old, new = found.groups()
                blobs |= {old} if old_mode not in NO_BLOB else set()
                blobs |= {new} if new_mode not in NO_BLOB else set()
    return blobs
