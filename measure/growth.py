"""The growth of a project: its lines of code at the end of each month or year, by cloc.

A period's commit is found by walking the first parents from HEAD: it is the first whose committer
timestamp is not after the period's end, in UTC. The current period's is HEAD itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from errors import CommandOutOfMemory, MeasureError

from .blobs import count_blobs
from .checkout import Listing, check_out, list_files
from .cloc import Cloc, ClocFailed, find_cloc
from .fetch import fetch_commits
from .figures import Advance, Options, Source, out_of_memory
from .git import Git
from .history import parse_second
from .trees import AttributesCheck, Counts, Tree, read_tree, sum_tree
from .workspace import remove, temporary_workspace

FIRST_YEAR = 1970
PENDING_FILES = 1_000_000
"""The most files of commits that wait for their counts; each path and blob is held once."""

MOST_COUNTS = 500_000
"""The most counts that are held; above, those that the last commit does not use are dropped."""

By = Literal["month", "year"]


@dataclass(frozen=True)
class Snapshot:
    """The code lines of each language at the end of a period, and their commit.

    `period` is like 2023-01, or 2023.
    """

    period: str
    commit: str
    languages: dict[str, int]

    @property
    def loc(self) -> int:
        """Return the lines of code of all languages."""
        return sum(self.languages.values())


def measure_growth(
    source: Source,
    options: Options,
    known: Iterable[Snapshot] = (),
    *,
    by: By = "month",
    now: datetime | None = None,
) -> Generator[Snapshot, None, None]:
    """Yield a snapshot of every period from the first commit to now, oldest first.

    Commits of `known` snapshots are not counted again, so that interrupted work can be resumed;
    these snapshots are yielded, too. Raises EmptyRepository, MeasureError (safe to show), and
    Interrupted.
    """
    try:
        cloc = find_cloc(options.cloc_path, options.search_path)
        with temporary_workspace(options.scratch) as folder:
            git = Git(source, options, folder)
            head = fetch_commits(git, None).head
            commits = period_commits(_first_parents(git, head), head, by, now or datetime.now(UTC))
            counted = {snapshot.commit: snapshot.languages for snapshot in known}
            missing = list(dict.fromkeys(c for c in commits.values() if c not in counted))
            results = count_commits(git, cloc, missing)
            for period, commit in commits.items():
                while commit not in counted:
                    counted.update([next(results)])
                yield Snapshot(period, commit, counted[commit])
    except ClocFailed as error:
        raise MeasureError(str(error)) from error


def period_commits(
    first_parents: Iterable[tuple[str, int | None]], head: str, by: By, now: datetime
) -> dict[str, str]:
    """Return the last commit of each period, oldest period first.

    `first_parents` are the commits from HEAD on, with their committer timestamps in seconds; one
    without a timestamp is skipped.
    """
    number = _number(now, by)
    commits = {_name(number, by): head}
    number -= 1
    for commit, second in first_parents:
        while second is not None and second <= _end(number, by):
            commits[_name(number, by)] = commit
            number -= 1
    return dict(reversed(commits.items()))


def changes_current_alone(last: str, advance: Advance, by: By, now: datetime) -> bool:
    """Return whether a new head changes only the current period.

    `last` is the last period whose commit differs from the one of the period before: the former
    head. The former head is the commit of all periods from there to the current one if it is not
    dated after `last`; and no new first parent is the commit of an earlier period if all of them
    are dated in the current one or later.
    """
    current = _number(now, by)
    number = _parse(last)
    if number != current and (
        number > current or advance.since is None or advance.since > _end(number, by)
    ):
        return False
    return advance.earliest is None or advance.earliest > _end(current - 1, by)


def count_commits(
    git: Git, cloc: Cloc, commits: Iterable[str]
) -> Generator[tuple[str, dict[str, int]], None, None]:
    """Yield each commit with its code lines by language, in order.

    Consecutive commits should be similar: files that they share are counted once. Raises
    ClocFailed, and MeasureError.
    """
    pending = _Pending(git, cloc)
    attributes = AttributesCheck(git)
    for commit in commits:
        listing = list_files(git, commit, git.options.exclude_dirs)
        tree = read_tree(git, listing, attributes)
        if tree is not None:
            pending.add(commit, tree)
            if pending.is_full():
                yield from pending.flush()
            continue
        yield from pending.flush()
        yield commit, _count_whole(git, cloc, listing)
    yield from pending.flush()


def _count_whole(git: Git, cloc: Cloc, listing: Listing) -> dict[str, int]:
    """Count a commit in a checkout."""
    try:
        check_out(git, listing)
        memory_mb = git.options.memory_mb
        return cloc.count(git.tree, git.folder, git.work.left(), memory_mb, git.scope).languages
    except CommandOutOfMemory as error:
        raise out_of_memory("counting its lines", git.options) from error
    finally:
        remove(git.tree)


@dataclass
class _Pending:
    """Commits that are collected until their new files are worth a start of cloc."""

    git: Git
    cloc: Cloc
    counts: Counts = field(default_factory=dict)
    trees: list[tuple[str, Tree]] = field(default_factory=list)
    held: int = 0
    shared: dict[bytes, bytes] = field(default_factory=dict)

    def add(self, commit: str, tree: Tree) -> None:
        share = self.shared.setdefault
        files = {share(path, path): share(blob, blob) for path, blob in tree.files.items()}
        self.trees.append((commit, Tree(files)))
        self.held += len(files)

    def is_full(self) -> bool:
        return self.held >= PENDING_FILES

    def flush(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Count what is new in the commits, and yield those that are done after each batch."""
        new = dict.fromkeys(
            pair for _, tree in self.trees for pair in tree.pairs() if pair not in self.counts
        )
        batches = count_blobs(self.git, self.cloc, new)
        for commit, tree in self.trees:
            while not all(pair in self.counts for pair in tree.pairs()):
                self.counts |= next(batches)
            yield commit, sum_tree(tree, self.counts)
        self._forget()

    def _forget(self) -> None:
        if self.trees and len(self.counts) > MOST_COUNTS:
            self.counts = {pair: self.counts[pair] for pair in self.trees[-1][1].pairs()}
        self.trees = []
        self.shared = {}
        self.held = 0


def _first_parents(git: Git, head: str) -> Iterator[tuple[str, int | None]]:
    lines = git.stream(["log", "--first-parent", "--format=%H %ct", head, "--"], git.folder)
    rest = b""
    with contextlib.closing(lines):
        for chunk in lines:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                commit, _, second = line.partition(b" ")
                yield commit.decode(), parse_second(second)


def _number(timestamp: datetime, by: By) -> int:
    years = timestamp.year - FIRST_YEAR
    return years if by == "year" else years * 12 + timestamp.month - 1


def _name(number: int, by: By) -> str:
    if by == "year":
        return str(FIRST_YEAR + number)
    return f"{FIRST_YEAR + number // 12}-{number % 12 + 1:02}"


def _parse(period: str) -> int:
    """Return the number of a period of either kind."""
    year, _, month = period.partition("-")
    years = int(year) - FIRST_YEAR
    return years * 12 + int(month) - 1 if month else years


def _end(number: int, by: By) -> int:
    """Return the last second of a period; one before 1970 has none, as it has no commit."""
    after = number + 1
    if after <= 0:
        return -1
    year, month = (after, 1) if by == "year" else (after // 12, after % 12 + 1)
    return int(datetime(FIRST_YEAR + year, month, 1, tzinfo=UTC).timestamp()) - 1
