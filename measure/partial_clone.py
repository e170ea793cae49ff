"""Fetching only what a push has changed: commits and folders, then the blobs that are needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from errors import EmptyRepository

from .bounds import CheckoutBudget
from .checkout import Listing, list_files, sizes
from .fetch import DEPTHS, Fetched, clone_or_explain, find_new
from .git import Git, GitFailed
from .history import texts
from .trees import Counts

RULES = (b".gitattributes", b".gitmodules", b".mailmap")  # what git itself reads
NO_BLOB = (b"000000", b"160000")  # no file, and a submodule
DIFF_TREE = ("diff-tree", "--stdin", "--always", "--raw", "-z", "-r", "--root", "--no-abbrev")


def fetch_new_commits(git: Git, since: str) -> Fetched | None:
    """Clone the last commits and their folders, and determine which are new after `since`.

    Returns None, without a clone, where the server cannot leave blobs out, or the new commits are
    not certain: reading the past in such a clone would fetch blob by blob.
    """
    with contextlib.suppress(EmptyRepository):
        if clone_or_explain(git, partial(git.clone_without_blobs, DEPTHS[0])):
            fetched = find_new(git, since)
            if fetched.new is not None:
                return fetched
    git.start_over()
    return None


def fetch_files(git: Git, fetched: Fetched, known: Counts) -> Listing | None:
    """List the head's files after fetch_new_commits(), and fetch those that are not `known`.

    The other blobs of the new commits' changes are fetched, too. Returns None, without a clone,
    where the server sends no single blobs, or old commits may count differently now.
    """
    with _refusals_suppressed():
        listing = list_files(git, fetched.head, git.options.exclude_dirs)
        changes = _find_changes(git, fetched)
        if not changes.rules:
            _fetch_needed(git, listing, changes.blobs, known)
            return listing
    git.start_over()
    return None


@contextlib.contextmanager
def _refusals_suppressed() -> Iterator[None]:
    """Suppress failures of git without a known cause: the server refuses the request."""
    try:
        yield
    except GitFailed as error:
        if error.cause is not None:
            raise


def _fetch_needed(git: Git, listing: Listing, changed: set[bytes], known: Counts) -> None:
    """Fetch blobs that have changed, and those of a listing that have no count.

    They are fetched in one request; blobs that only their contents refer to, git fetches itself.
    """
    if not git.lacks_blobs:
        return
    needed = changed | set(listing.links.values())
    for path in (listing.attributes, listing.files):
        for record in texts([path.read_bytes()]):
            facts, _, name = record.partition(b"\t")
            blob = facts.rpartition(b" ")[2]
            last = name.rpartition(b"/")[2]
            if (blob, last) not in known or last in RULES:
                needed.add(blob)
    git.fetch_blobs(needed)


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


@dataclass
class _Changes:
    """The blobs on both sides of each change, and whether the rules for old commits differ."""

    blobs: set[bytes] = field(default_factory=set)
    rules: bool = False


def _find_changes(git: Git, fetched: Fetched) -> _Changes:
    """Return the changes of new commits, and whether the head has other rules than `since`.

    git writes the name of each commit and then its changes; first those of the head since `since`.
    """
    asked = git.folder / "new-commits"
    questions = (f"{fetched.head} {fetched.since}", *(fetched.new or ()))
    asked.write_text("".join(f"{question}\n" for question in questions))
    changes = _Changes()
    commits = 0
    with contextlib.closing(git.stream(DIFF_TREE, git.folder, asked)) as chunks:
        items = texts(chunks)
        for text in items:
            if text[:1] != b":":
                commits += 1
                continue
            path = next(items)
            if commits == 1:
                changes.rules = changes.rules or _is_rule(path)
                continue
            old_mode, new_mode, old, new, _ = text[1:].split()
            changes.blobs |= {old} if old_mode not in NO_BLOB else set()
            changes.blobs |= {new} if new_mode not in NO_BLOB else set()
    return changes


def _is_rule(path: bytes) -> bool:
    return path in RULES or path.rpartition(b"/")[2] == RULES[0]
