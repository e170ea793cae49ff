"""Fetching for a measurement: the whole history, or its last generations."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from errors import EmptyRepository

from .figures import Advance
from .git import Git, GitFailed, commit_names
from .git_errors import NO_BRANCH
from .history import parse_second
from .window import Graph, new_commits

DEPTHS = (64, 1024)
"""Depths of shallow clones, tried in this order, to find the last measured commit.

A shallow clone transfers only the checkout and the changes of these generations. A clone without
blobs transfers every commit and folder of the past and needs another request for the blobs, and
not every git server supports it.
"""


MOST_NEW = 100_000
"""The most new commits whose names are held in memory; with more, everything is read."""

# Files of the head that change the count of all commits: attributes decide what is binary,
# `ignore` in .gitmodules which submodules are shown, and .mailmap who an author is.
RULES = (":(glob)**/.gitattributes", ":(top,literal).gitmodules", ":(top,literal).mailmap")


@dataclass(frozen=True)
class Fetched:
    """The head that was cloned, and the commits to read.

    `new` are the commits after `since`; both are None where all commits are to be read.
    `advance` is that of Figures.
    """

    head: str
    since: str | None = None
    new: tuple[str, ...] | None = None
    advance: Advance | None = None


def fetch_commits(git: Git, since: str | None) -> Fetched:
    """Clone, and determine which commits must be read.

    Only the last generations are cloned where it is certain in them which commits are new after
    `since`, and that old commits count as before. Raises EmptyRepository and MeasureError.
    """
    with _empty_is_confirmed(git):
        if since is not None and clone_or_explain(git, partial(git.clone, DEPTHS[0])):
            fetched = find_new(git, since)
            if fetched.new is not None and not _rules_changed(git, since, fetched.head):
                return fetched
            if not _boundary(git):
                return Fetched(fetched.head)
            git.start_over()
    return fetch_whole(git, since)


def fetch_whole(git: Git, since: str | None) -> Fetched:
    """Clone the whole history, and determine which commits must be read.

    The rest of a shallow clone would be half the bytes, but a server takes longer to put it
    together than to send a repository as it is stored (`bench/incremental.py`, 2,000 commits).
    Raises EmptyRepository and MeasureError.
    """
    with _empty_is_confirmed(git):
        try:
            git.clone()
        except GitFailed as error:
            _explain(git, error)
            raise
        head = git.head()
        fetched = Fetched(head) if since is None else _find_in_history(git, head, since)
        if fetched.since is not None and _rules_changed(git, fetched.since, head):
            return Fetched(head)
        return fetched


@contextlib.contextmanager
def _empty_is_confirmed(git: Git) -> Iterator[None]:
    """Let git's own protocol confirm that a repository is empty."""
    try:
        yield
    except EmptyRepository:
        git.confirm_empty()
        raise


def clone_or_explain(git: Git, clone: Callable[[], None]) -> bool:
    """Clone, and return whether the server supports this kind of clone.

    A dumb server has no shallow clones; git's messages for that differ.
    """
    try:
        clone()
    except GitFailed as error:
        _explain(git, error)
        if error.cause is not None:
            raise
        return False
    return True


def _explain(git: Git, error: GitFailed) -> None:
    """Raise EmptyRepository where the branch is missing for that reason."""
    if error.cause == NO_BRANCH and "HEAD" not in git.list_remote():
        raise EmptyRepository("the repository holds no commit") from error


def find_new(git: Git, since: str) -> Fetched:
    """Fetch one depth after the other until it is certain which commits are new.

    The first depth is cloned already. Without a `new`, they are not certain. Raises
    EmptyRepository.
    """
    fetched = _find_in_window(git, since)
    for deeper in DEPTHS[1:]:
        if fetched.new is not None or not _boundary(git):
            break
        git.deepen(deeper)
        fetched = _find_in_window(git, since)
    return fetched


def _find_in_window(git: Git, since: str) -> Fetched:
    """Find the commits of since..HEAD in the last generations, if they are certain."""
    graph: dict[str, tuple[str, ...]] = {}
    dates: dict[str, int | None] = {}
    lines = _list_commits(git).splitlines()
    for title, facts in zip(lines[::2], lines[1::2], strict=True):
        commit = title.decode().removeprefix("commit ")
        second, _, parents = facts.partition(b" ")
        graph[commit] = tuple(parents.decode().split())
        dates[commit] = parse_second(second)
    head = next(iter(graph))
    new = new_commits(graph, _boundary(git), head, since)
    if new is None:
        return Fetched(head)
    # In git's order, in which similar files follow each other.
    in_order = tuple(commit for commit in graph if commit in new)
    return Fetched(head, since, in_order, _find_advance(graph, dates, head, since))


def _list_commits(git: Git) -> bytes:
    """Return two lines for each commit, HEAD first. Raises EmptyRepository when there is none."""
    try:
        return git.ask(["rev-list", "--format=%ct %P", "HEAD", "--"])
    except GitFailed:
        git.head()
        raise


def _find_advance(
    graph: Graph, dates: Mapping[str, int | None], head: str, since: str
) -> Advance | None:
    """Follow the first parents from a head to an earlier one, which may not be among them."""
    between = []
    commit = head
    while commit != since:
        between.append(dates[commit])
        parents = graph[commit]
        if not parents:
            return None
        commit = parents[0]
    dated = (second for second in between if second is not None)
    return Advance(min(dated, default=None), dates[since])


def _find_in_history(git: Git, head: str, since: str) -> Fetched:
    """Find them in a complete history.

    git ends its walk over since..head by date: where dates are out of order, its output contains
    old commits. So everything that is reachable from `since` is removed from it.
    """
    if not _is_ancestor(git, since, head):
        return Fetched(head)
    new: dict[str, None] = {}
    for commit in commit_names(git, head, f"^{since}"):
        if len(new) == MOST_NEW:
            return Fetched(head)
        new[commit] = None
    for commit in commit_names(git, since):
        new.pop(commit, None)
    return Fetched(head, since, tuple(new))


def _boundary(git: Git) -> frozenset[str]:
    """Return the commits whose parents were not fetched; none when the history is complete."""
    try:
        return frozenset((git.repository / "shallow").read_text().split())
    except FileNotFoundError:
        return frozenset()


def _is_ancestor(git: Git, since: str, head: str) -> bool:
    try:
        git.ask(["merge-base", "--is-ancestor", since, head])
    except GitFailed:  # 1: it is not; 128: it is not even there
        return False
    return True


def _rules_changed(git: Git, since: str, head: str) -> bool:
    return bool(git.ask(["diff-tree", "-r", "--name-only", since, head, "--", *RULES]))
