"""One repository in, figures out: a safe clone, one pass over its history, a count of its lines.

Knows nothing of Flask, the database or GitHub's API.
"""

from __future__ import annotations

from functools import partial

from .checkout import Listing, check_out, list_files
from .cloc_server.preloaded import PreloadedCloc
from .fetch import fetch_commits
from .figures import (
    Count,
    Day,
    Figures,
    History,
    NotCounted,
    Options,
    Source,
    whole_minutes,
)
from .fingerprint import COUNTING_VERSION, fingerprint
from .folder import clone_folder, sweep
from .git import OBJECT_NAME, Git
from .leash import allow_again, stop_all
from .loc import best_counter, count
from .reading import read
from .together import both

__all__ = [
    "COUNTING_VERSION",
    "Count",
    "Day",
    "Figures",
    "History",
    "NotCounted",
    "Options",
    "PreloadedCloc",
    "Source",
    "allow_again",
    "best_counter",
    "fingerprint",
    "measure",
    "remote_head",
    "stop_all",
    "sweep",
    "whole_minutes",
]


def measure(source: Source, options: Options, since: str | None = None) -> Figures:
    """Measure a repository: all of its history, or only what is new after the commit `since`.

    Which of the two it was is told by the answer's `since`: everything is read when the new
    commits cannot be told for certain, or when `.gitattributes` or `.gitmodules` has changed, by
    which git may count the lines of old commits differently.
    Raises EmptyRepository, MeasureError in words fit for the public, and Interrupted.
    """
    if since is not None and not OBJECT_NAME.fullmatch(since):
        since = None
    with clone_folder(options.scratch) as folder:
        git = Git(source, options, folder)
        fetched = fetch_commits(git, since)
        listing = list_files(git, fetched.head, options.exclude_dirs)
        history, counted = both(
            git.leash,
            partial(read, git, listing, fetched.head, fetched.new),
            partial(_count, git, listing),
        )
        return Figures(fetched.head, history, counted, fetched.since)


def remote_head(source: Source, options: Options) -> str | None:
    """Return the commit that a repository's branch (or HEAD) names now, or None."""
    with clone_folder(options.scratch) as folder:
        refs = Git(source, options, folder).list_remote()
    return refs.get("HEAD" if source.branch is None else f"refs/heads/{source.branch}")


def _count(git: Git, listing: Listing) -> Count:
    check_out(git, listing)
    return count(git.tree, git.folder, git.options, git.work, git.leash)
