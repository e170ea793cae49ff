"""What to bring over for a measurement: the whole history, or its last generations."""

from __future__ import annotations

from errors import EmptyRepository, MeasureError

from .causes import NO_BRANCH
from .git import Git, GitFailed
from .window import new_commits

DEPTHS = (64, 1024)
"""Generations that are fetched, one number after the other, in search of the last measured one.

A shallow clone brings the checkout and the changes of these generations alone. It is preferred to
a clone without blobs, which brings every commit and folder of the past and must then ask again for
the blobs; and it needs nothing of the server but what every git server has.
"""


def fetch_commits(git: Git, since: str | None) -> tuple[str, str | None]:
    """Clone, and return the head with the commit after which alone it must be read (None: all).

    All is cloned unless it is certain which commits are new after `since`, and that old commits
    still count as they did. Raises EmptyRepository and MeasureError.
    """
    try:
        return _fetch(git, since)
    except EmptyRepository:
        git.confirm_empty()
        raise


def _fetch(git: Git, since: str | None) -> tuple[str, str | None]:
    if since is not None:
        try:
            git.clone(DEPTHS[0])
        except GitFailed as error:
            _explain(git, error)
            # A server of the simplest kind has no shallow clones; git says so in many words.
            if error.cause is not None:
                raise
        else:
            head = git.head()
            return head, _deepen(git, head, since)
    try:
        git.clone()
    except GitFailed as error:
        _explain(git, error)
        raise
    return git.head(), None


def _explain(git: Git, error: GitFailed) -> None:
    """Raise EmptyRepository where a missing branch means just that."""
    if error.cause == NO_BRANCH and "HEAD" not in git.list_remote():
        raise EmptyRepository("the repository holds no commit") from error


def _deepen(git: Git, head: str, since: str) -> str | None:
    """Fetch until it is certain which commits are new; return None when all must be read."""
    for deeper in (*DEPTHS[1:], None):
        if _is_certain(git, head, since):
            break
        if not _edge(git):
            return None
        git.deepen(deeper)
    if _is_certain(git, head, since) and not _attributes_changed(git, since, head):
        return since
    if _edge(git):
        git.deepen(None)
    if _edge(git):
        # By now the branch is another one, and the rest of this one was not sent.
        raise MeasureError("the repository was changed while it was fetched")
    return None


def _is_certain(git: Git, head: str, since: str) -> bool:
    edge = _edge(git)
    if not edge:
        return _is_ancestor(git, since, head)
    lines = git.ask(["rev-list", "--parents", head]).decode().splitlines()
    graph = {commit: tuple(parents) for commit, *parents in map(str.split, lines)}
    return new_commits(graph, edge, head, since) is not None


def _edge(git: Git) -> frozenset[str]:
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


def _attributes_changed(git: Git, since: str, head: str) -> bool:
    pattern = ":(glob)**/.gitattributes"
    return bool(git.ask(["diff-tree", "-r", "--name-only", since, head, "--", pattern]))
