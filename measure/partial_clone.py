"""Only what a push has changed: commits and folders first, then the blobs that are needed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from functools import partial

from errors import EmptyRepository

from .bounds import CheckoutBudget
from .checkout import Listing, sizes
from .fetch import DEPTHS, Fetched, clone_or_explain, fetch_commits, find_new
from .git import Git
from .history import texts
from .trees import Counts

CHANGED = re.compile(rb":(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) ")
NO_BLOB = (b"000000", b"160000")  # no file, and a submodule
DIFF_TREE = ("diff-tree", "--stdin", "--raw", "-r", "--root", "--no-abbrev", "--no-renames")


def fetch_changes(git: Git, since: str | None) -> Fetched:
    """Do as fetch_commits() does, but leave out the blobs where new commits alone are to be read.

    fetch_needed() brings those that the measurement needs.
    """
    if since is None:
        return fetch_commits(git, None)
    with contextlib.suppress(EmptyRepository):
        head = clone_or_explain(git, partial(git.clone_without_blobs, DEPTHS[0]))
        fetched = find_new(git, head, since, DEPTHS[1:]) if head is not None else None
        if fetched is not None:
            return fetched
    # The past of half a clone would be fetched blob by blob.
    git.start_over()
    return fetch_commits(git, None)


def fetch_needed(git: Git, listing: Listing, new: Sequence[str], known: Counts) -> None:
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
            if (blob, last) not in known or last in (b".gitattributes", b".gitmodules"):
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
