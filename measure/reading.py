"""Reading the history of a clone with one git process, or with two when it is long."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from .authors import Authors
from .checkout import Listing, check_out_attributes
from .concurrently import run_concurrently
from .figures import History
from .git import Git, GitFailed, commit_names
from .git_errors import BAD_MODULES
from .history import FORMAT, add_histories, read_history

SPLIT_FROM = 8000
"""Commits from which two processes read: they take about 0.6 of the time and 1.15 of the CPU
seconds of one, which pays for a history so long that the others are done before it."""

WORK_TREE = "attributes-tree"
INDEXED_OBJECT = 28  # bytes for each object in a pack's index, at least

# What git log shows by default, spelled out for diff-tree: renames, roots, and every commit.
DIFF_TREE = ("diff-tree", "--stdin", "-z", "-r", "-M", "--root", "--always", "--numstat", FORMAT)
LOG = ("log", "-z", "--numstat", FORMAT)


def read(git: Git, listing: Listing, head: str, new: Sequence[str] | None = None) -> History:
    """Sum up the commits that can be reached from head, or just those that are named."""
    work_tree = git.folder / WORK_TREE
    check_out_attributes(git, listing, work_tree)
    try:
        return _read(git, listing, head, new)
    except GitFailed as error:
        if error.cause != BAD_MODULES:
            raise
    # git gives up over a .gitmodules that is wrong or unsafe; one in the work tree hides it.
    (work_tree / ".gitmodules").touch()
    return _read(git, listing, head, new)


def _read(git: Git, listing: Listing, head: str, new: Sequence[str] | None) -> History:
    # The work tree holds no .mailmap, and a repository without one names none.
    git_options = ["-c", f"mailmap.blob={head}:.mailmap"]
    if new is not None:
        # Not `git log since..head`: where dates are out of order, it names old commits as well.
        shares, _ = _deal_out(git, new, 2 if len(new) >= SPLIT_FROM and _cores() > 1 else 1)
        return _sum_shares(git, listing, git_options, shares)
    if _cores() > 1 and _may_be_long(git):
        shares, commits = _deal_out(git, commit_names(git, head), 2)
        if commits >= SPLIT_FROM:
            return _sum_shares(git, listing, git_options, shares)
    return _sum(git, listing, [*git_options, *LOG, head, "--"])


def _sum_shares(
    git: Git, listing: Listing, git_options: Sequence[str], shares: Sequence[Path]
) -> History:
    arguments = [*git_options, *DIFF_TREE]
    sums = [partial(_sum, git, listing, arguments, share) for share in shares]
    return add_histories(*run_concurrently(git.scope, *sums)) if len(sums) == 2 else sums[0]()


def _sum(
    git: Git, listing: Listing, arguments: Sequence[str], stdin: Path | None = None
) -> History:
    authors = Authors(git.options.author_patterns)
    with contextlib.closing(git.stream(arguments, git.folder / WORK_TREE, stdin)) as chunks:
        return read_history(chunks, git.options.exclude_dirs, authors, listing.generated)


def _may_be_long(git: Git) -> bool:
    """Return whether the size of the packs' indexes suggests a long history."""
    indexes = (git.repository / "objects" / "pack").glob("*.idx")
    objects = sum(index.stat().st_size for index in indexes) // INDEXED_OBJECT
    return objects >= 2 * SPLIT_FROM  # nearly every commit has a new tree


def _deal_out(git: Git, commits: Iterable[str], shares: int) -> tuple[list[Path], int]:
    """Distribute commits to so many files; return these and the number of commits."""
    paths = [git.folder / f"commits-{share}" for share in range(shares)]
    number = 0
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(path.open("w")) for path in paths]
        for number, commit in enumerate(commits, 1):
            files[number % shares].write(f"{commit}\n")
    return paths, number


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
