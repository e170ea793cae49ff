"""The history of a clone, read by one git, or by two at once when it is long."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from .causes import BAD_MODULES
from .checkout import Listing, check_out_attributes
from .figures import History
from .git import Git, GitFailed
from .history import FORMAT, add_histories, read_history
from .together import both

SPLIT_FROM = 8000
"""Commits from which two read at once: together they take about 0.6 of the time and 1.15 of the
work of one, so it pays for what is long enough to be waited for when all else is done."""

INDEXED_OBJECT = 28  # bytes for each object in a pack's index, at least

# What git log shows by default, spelled out for diff-tree: renames, roots, and every commit.
DIFF_TREE = ("diff-tree", "--stdin", "-z", "-r", "-M", "--root", "--always", "--numstat", FORMAT)
LOG = ("log", "-z", "--numstat", FORMAT)


def read(git: Git, listing: Listing, head: str, since: str | None) -> History:
    """Sum up the commits that can be reached from head, but not from `since`."""
    work_tree = git.folder / "attributes-tree"
    check_out_attributes(git, listing, work_tree)
    try:
        return _read(git, work_tree, head, since)
    except GitFailed as error:
        if error.cause != BAD_MODULES:
            raise
    # git gives up over a .gitmodules that is wrong or unsafe; one in the work tree hides it.
    (work_tree / ".gitmodules").touch()
    return _read(git, work_tree, head, since)


def _read(git: Git, work_tree: Path, head: str, since: str | None) -> History:
    if since is not None:
        return _sum(git, work_tree, [*LOG, head, f"^{since}", "--"])
    if _cores() > 1 and _may_be_long(git):
        halves, commits = _deal_out(git, head)
        if commits >= SPLIT_FROM:
            one, two = (partial(_sum, git, work_tree, DIFF_TREE, half) for half in halves)
            return add_histories(*both(git.leash, one, two))
    return _sum(git, work_tree, [*LOG, head, "--"])


def _sum(git: Git, work_tree: Path, arguments: Sequence[str], stdin: Path | None = None) -> History:
    with contextlib.closing(git.stream(arguments, work_tree, stdin)) as chunks:
        return read_history(chunks, git.options.exclude_dirs)


def _may_be_long(git: Git) -> bool:
    """Tell from the size of the packs' indexes whether it is worth while to count commits."""
    indexes = (git.repository / "objects" / "pack").glob("*.idx")
    objects = sum(index.stat().st_size for index in indexes) // INDEXED_OBJECT
    return objects >= 2 * SPLIT_FROM  # a commit seldom comes without a new folder


def _deal_out(git: Git, head: str) -> tuple[tuple[Path, Path], int]:
    """Write the commits' names to two files by turns; return these and the number of commits."""
    paths = (git.folder / "commits-1", git.folder / "commits-2")
    commits = 0
    rest = b""
    listing = git.stream(["rev-list", head, "--"], git.folder)
    with paths[0].open("wb") as even, paths[1].open("wb") as odd, contextlib.closing(listing):
        for chunk in listing:
            *names, rest = (rest + chunk).split(b"\n")
            for number, name in enumerate(names, commits):
                (odd if number % 2 else even).write(name + b"\n")
            commits += len(names)
    return paths, commits


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
