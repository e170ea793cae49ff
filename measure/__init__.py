"""Measuring one repository: a safe clone, one pass over its history, a count of its lines.

Independent of Flask, the database and GitHub's API.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from .changed import count_changed
from .checkout import list_files
from .cloc_server.preloaded import PreloadedCloc
from .concurrently import run_concurrently
from .fetch import Fetched, fetch_commits, fetch_whole
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
from .growth import By, changes_current_alone
from .loc import best_counter
from .partial_clone import fetch_files, fetch_new_commits
from .reading import read
from .slots import Limit, sweep_slots
from .stored_counts import decode, encode
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
    "changes_current_alone",
    "fingerprint",
    "measure",
    "measure_push",
    "remote_head",
    "slots_to_clone",
    "sweep",
    "warm_up",
    "whole_minutes",
]


MB_OF_A_SLOT = 11
"""Megabytes of a repository for each slot that it takes; the 24 slots of the default are 264 MB."""

FEW_FILES = 5000
"""Files of a repository whose last commits take about 200 kB to fetch, folders included."""


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
    with _prepared(source, options) as git:
        fetched = fetch_new_commits(git, since) if since is not None and known else None
        return _measure(git, fetched, since, known)


def measure_push(
    source: Source, options: Options, since: str, file_counts: bytes | None
) -> Figures | None:
    """Measure the commits after `since`; return None where the head has not changed.

    Parameters and exceptions are those of measure(). For a repository of few files the last commits
    are fetched without a request for the head, which saves requests when it has changed.
    """
    known = _decode(file_counts)
    if not (0 < len(known) <= FEW_FILES and OBJECT_NAME.fullmatch(since)):
        if remote_head(source, options) == since:
            return None
        return measure(source, options, since, file_counts)
    with _prepared(source, options) as git:
        fetched = fetch_new_commits(git, since)
        if fetched is not None and fetched.head == since:
            return None
        return _measure(git, fetched, since, known)


@contextlib.contextmanager
def _prepared(source: Source, options: Options) -> Iterator[Git]:
    """Wait for a slot to clone, and make a workspace."""
    with _turn_to_clone(source, options), temporary_workspace(options.scratch) as folder:
        yield Git(source, options, folder)


def _measure(git: Git, fetched: Fetched | None, since: str | None, known: Counts) -> Figures:
    """Fetch what is missing, and measure."""
    listing = fetch_files(git, fetched, known) if fetched is not None else None
    if fetched is None or listing is None:
        # Where counts are known, the last generations have been looked through.
        fetched = fetch_whole(git, since) if known else fetch_commits(git, since)
        listing = list_files(git, fetched.head, git.options.exclude_dirs)
    with _turn_to_count(git.options):
        git.start_work()
        history, (counted, counts) = run_concurrently(
            git.scope,
            partial(read, git, listing, fetched.head, fetched.new),
            partial(count_changed, git, listing, known),
        )
    kept = encode(counts) if counts else None
    return Figures(fetched.head, history, counted, fetched.since, kept, fetched.advance)


def warm_up(options: Options) -> str:
    """Read the versions of cloc and git for this process and its forks; return the counter."""
    counter = best_counter(options)
    fingerprint(counter, options)
    return counter


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
