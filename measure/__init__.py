"""Measuring one repository: a safe clone, one pass over its history, a count of its lines.

Independent of Flask, the database and GitHub's API.
"""

from __future__ import annotations

import contextlib
import math
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

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
from .git import OBJECT_NAME, Git
from .growth import By
from .loc import best_counter
from .partial_clone import fetch_files
from .reading import read
from .slots import Limit, sweep_slots
from .stored_counts import decode, encode
from .together import run_concurrently
from .trees import Counts
from .workspace import sweep_workspaces, temporary_workspace

__all__ = [
    "COUNTING_VERSION",
    "By",
    "Count",
    "Day",
    "Figures",
    "History",
    "Limit",
    "NotCounted",
    "Options",
    "PreloadedCloc",
    "Source",
    "best_counter",
    "fingerprint",
    "measure",
    "remote_head",
    "slots_to_clone",
    "sweep",
    "whole_minutes",
]


MB_OF_A_SLOT = 16


def measure(
    source: Source, options: Options, since: str | None = None, file_counts: bytes | None = None
) -> Figures:
    """Measure a repository: its whole history, or only the commits after `since`.

    The result's `since` tells which: everything is read when the new commits cannot be determined
    for certain, or when `.gitattributes`, `.gitmodules` or `.mailmap` has changed, by which old
    commits may count differently. `file_counts` are those of `since`, by the same counter: with
    them, only files that have changed are fetched and counted.
    Waits for the limits of the options: once to clone, and once more before it uses the processor.
    Raises EmptyRepository, MeasureError (safe to show) and Interrupted.
    """
    if since is not None and not OBJECT_NAME.fullmatch(since):
        since = None
    known = _decode(file_counts)
    with _turn_to_clone(source, options), temporary_workspace(options.scratch) as folder:
        git = Git(source, options, folder)
        fetched, listing = fetch_files(git, since, known)
        with _turn_to_count(options):
            git.start_work()
            history, (counted, counts) = run_concurrently(
                git.scope,
                partial(read, git, listing, fetched.head, fetched.new),
                partial(count_changed, git, listing, known),
            )
        kept = encode(counts) if counts else None
        return Figures(fetched.head, history, counted, fetched.since, kept)


def remote_head(source: Source, options: Options) -> str | None:
    """Return the commit of a repository's branch (or HEAD) now, or None."""
    with temporary_workspace(options.scratch) as folder:
        refs = Git(source, options, folder).list_remote()
    return refs.get("HEAD" if source.branch is None else f"refs/heads/{source.branch}")


def sweep(scratch: Path | None = None) -> int:
    """Remove what measurements of dead processes have left, and return how many things."""
    return sweep_workspaces(scratch) + sweep_slots(scratch)


def slots_to_clone(source: Source, cloning: Limit, counting: Limit | None) -> int:
    """Return how many slots a repository takes: one for every MB_OF_A_SLOT of it.

    So the size of all clones on the disk is bounded, and as many as may be counted always fit.
    """
    most = cloning.slots // (counting.slots if counting else 1)
    return max(1, min(most, math.ceil(source.size_mb / MB_OF_A_SLOT)))


def _turn_to_clone(source: Source, options: Options) -> AbstractContextManager[None]:
    if options.cloning is None:
        return nullcontext()
    wanted = slots_to_clone(source, options.cloning, options.counting)
    return options.cloning.hold(wanted, options.scratch)


def _turn_to_count(options: Options) -> AbstractContextManager[None]:
    if options.counting is None:
        return nullcontext()
    return options.counting.hold(1, options.scratch)


def _decode(file_counts: bytes | None) -> Counts:
    """Return stored counts, and none where they cannot be decoded."""
    with contextlib.suppress(ValueError):
        return decode(file_counts) if file_counts is not None else {}
    return {}
