"""One repository in, figures out: a safe clone, one pass over its history, a count of its lines.

Knows nothing of Flask, the database or GitHub's API.
"""

from __future__ import annotations

import contextlib
from functools import partial

from .changed import count_changed
from .cloc_server.preloaded import PreloadedCloc
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
from .loc import best_counter
from .partial_clone import fetch_files
from .reading import read
from .stored_counts import decode, encode
from .together import both
from .trees import Counts

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


def measure(
    source: Source, options: Options, since: str | None = None, file_counts: bytes | None = None
) -> Figures:
    """Measure a repository: all of its history, or only what is new after the commit `since`.

    Which of the two it was is told by the answer's `since`: everything is read when the new
    commits cannot be told for certain, or when `.gitattributes` or `.gitmodules` has changed, by
    which git may count the lines of old commits differently. `file_counts` are those of `since`, by
    the same counter: with them, only files that have changed are fetched and counted.
    Raises EmptyRepository, MeasureError in words fit for the public, and Interrupted.
    """
    if since is not None and not OBJECT_NAME.fullmatch(since):
        since = None
    known = _decode(file_counts)
    with clone_folder(options.scratch) as folder:
        git = Git(source, options, folder)
        fetched, listing = fetch_files(git, since, known)
        history, (counted, counts) = both(
            git.leash,
            partial(read, git, listing, fetched.head, fetched.new),
            partial(count_changed, git, listing, known),
        )
        kept = encode(counts) if counts else None
        return Figures(fetched.head, history, counted, fetched.since, kept)


def remote_head(source: Source, options: Options) -> str | None:
    """Return the commit that a repository's branch (or HEAD) names now, or None."""
    with clone_folder(options.scratch) as folder:
        refs = Git(source, options, folder).list_remote()
    return refs.get("HEAD" if source.branch is None else f"refs/heads/{source.branch}")


def _decode(file_counts: bytes | None) -> Counts:
    """Return stored counts, and none where they are of no use."""
    with contextlib.suppress(ValueError):
        return decode(file_counts) if file_counts is not None else {}
    return {}
