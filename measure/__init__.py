"""One repository in, figures out: a safe clone, one pass over its history, a count of its lines.

Knows nothing of Flask, the database or GitHub's API.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from errors import Interrupted

from .causes import BAD_MODULES
from .checkout import Listing, check_out, check_out_attributes, list_files
from .command import allow_again, stop_all
from .fetch import fetch_commits
from .figures import (
    COUNTING_VERSION,
    Count,
    Day,
    Figures,
    History,
    Options,
    Source,
    fingerprint,
)
from .folder import clone_folder, sweep
from .git import OBJECT_NAME, Git, GitFailed
from .history import LOG_ARGUMENTS, read_history
from .loc import best_counter, count

__all__ = [
    "COUNTING_VERSION",
    "Count",
    "Day",
    "Figures",
    "History",
    "Options",
    "Source",
    "allow_again",
    "best_counter",
    "fingerprint",
    "measure",
    "remote_head",
    "stop_all",
    "sweep",
]


def measure(source: Source, options: Options, since: str | None = None) -> Figures:
    """Measure a repository: all of its history, or only what is new after the commit `since`.

    Which of the two it was is told by the answer's `since`: everything is read when the new
    commits cannot be told for certain, or when `.gitattributes` has changed, by which git may
    count the lines of old commits differently.
    Raises EmptyRepository, MeasureError in words fit for the public, and Interrupted.
    """
    if since is not None and not OBJECT_NAME.fullmatch(since):
        since = None
    with clone_folder(options.scratch) as folder:
        git = Git(source, options, folder)
        head, since = fetch_commits(git, since)
        listing = list_files(git, head, options.exclude_dirs)
        history, counted = _side_by_side(git, listing, head, since)
        return Figures(head, history, counted, since)


def remote_head(source: Source, options: Options) -> str | None:
    """Return the commit that a repository's branch (or HEAD) names now, or None."""
    with clone_folder(options.scratch) as folder:
        refs = Git(source, options, folder).list_remote()
    return refs.get("HEAD" if source.branch is None else f"refs/heads/{source.branch}")


def _side_by_side(
    git: Git, listing: Listing, head: str, since: str | None
) -> tuple[History, Count]:
    """Count the checkout in a thread while the history is read; the first failure ends both."""
    with ThreadPoolExecutor(1, "count") as pool:
        counting = pool.submit(_count, git, listing)
        counting.add_done_callback(lambda done: git.leash.pull() if done.exception() else None)
        try:
            history = _read(git, listing, head, since)
        except BaseException as failure:
            git.leash.pull()
            raise _first(failure, counting) from failure
        return history, counting.result()


def _first(failure: BaseException, counting: Future[Count]) -> BaseException:
    """Return the failure that came first: the other one is only its echo, an Interrupted."""
    other = counting.exception()
    return failure if other is None or not isinstance(failure, Interrupted) else other


def _read(git: Git, listing: Listing, head: str, since: str | None) -> History:
    work_tree = git.folder / "attributes"
    check_out_attributes(git, listing, work_tree)
    try:
        return _read_log(git, work_tree, head, since)
    except GitFailed as error:
        if error.cause != BAD_MODULES:
            raise
    # git log gives up over a .gitmodules that is wrong or unsafe; one in the work tree hides it.
    (work_tree / ".gitmodules").touch()
    return _read_log(git, work_tree, head, since)


def _read_log(git: Git, work_tree: Path, head: str, since: str | None) -> History:
    span = [head] if since is None else [head, f"^{since}"]
    with contextlib.closing(git.stream([*LOG_ARGUMENTS, *span, "--"], work_tree)) as chunks:
        return read_history(chunks, git.options.exclude_dirs)


def _count(git: Git, listing: Listing) -> Count:
    check_out(git, listing)
    return count(git.tree, git.folder, git.options, git.work, git.leash)
