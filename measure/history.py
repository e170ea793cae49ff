"""One pass over the history: commits, days, lines added and deleted.

Reads what `git log` and `git diff-tree` write with `-z --numstat --format=@%ct`, in which
everything ends in NUL:

    @<seconds or nothing>                    a commit
    <added> TAB <deleted> TAB <path>         a file; the first of a commit has LF before it
    <added> TAB <deleted> TAB, <old>, <new>  a renamed file

Names are skipped by their place, never looked at for meaning, so no name can pass for a commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import chain

from errors import MeasureError

from .figures import Day, History

FORMAT = "--format=@%ct"
EPOCH = date(1970, 1, 1)
LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z, the last that datetime holds
SECONDS_OF_A_DAY = 86400
CACHED_FOLDERS = 100_000
LONGEST_TEXT = 4 << 20  # bytes; the names in a tree may be of any length


def read_history(chunks: Iterable[bytes], exclude_dirs: frozenset[str]) -> History:
    """Sum up the output of git log, given in chunks of any size.

    Files below a folder of a name in `exclude_dirs` count nothing; a renamed file is where its new
    name says. Holds no more than one chunk, the days and the names of some folders.
    """
    tally = _Tally()
    excluded = folder_check(exclude_dirs)
    additions = deletions = 0
    items = texts(chunks)
    for text in items:
        if text[:1] == b"@":
            tally.add_lines(additions, deletions)
            additions = deletions = 0
            tally.begin_commit(text)
            continue
        added, deleted, path = text.split(b"\t", 2)
        if not path:
            next(items)
            path = next(items)
        if deleted == b"-" or (excluded and excluded(path)):  # "-" stands for a binary file
            continue
        additions += int(added)
        deletions += int(deleted)
    tally.add_lines(additions, deletions)
    return tally.history()


def add_histories(one: History, other: History) -> History:
    """Return the history of the commits of both, which have none in common."""
    days = dict(one.days)
    for day, sums in other.days.items():
        known = days.get(day, Day(0, 0, 0))
        days[day] = Day(
            known.commits + sums.commits,
            known.additions + sums.additions,
            known.deletions + sums.deletions,
        )
    instants = [one.first_commit, one.last_commit, other.first_commit, other.last_commit]
    dated = [instant for instant in instants if instant is not None]
    return History(
        commits=one.commits + other.commits,
        additions=one.additions + other.additions,
        deletions=one.deletions + other.deletions,
        first_commit=min(dated, default=None),
        last_commit=max(dated, default=None),
        days=dict(sorted(days.items())),
    )


@dataclass
class _Tally:
    commits: int = 0
    additions: int = 0
    deletions: int = 0
    first: int | None = None
    last: int | None = None
    days: dict[int, list[int]] = field(default_factory=dict)
    day: list[int] | None = None

    def begin_commit(self, header: bytes) -> None:
        """Count a commit; one without a timestamp belongs to no day."""
        self.commits += 1
        self.day = None
        digits = header[1:]
        if not digits.isdigit():
            return
        second = min(int(digits[:20]), LAST_SECOND)
        self.first = second if self.first is None else min(self.first, second)
        self.last = second if self.last is None else max(self.last, second)
        self.day = self.days.setdefault(second // SECONDS_OF_A_DAY, [0, 0, 0])
        self.day[0] += 1

    def add_lines(self, additions: int, deletions: int) -> None:
        """Add the lines of the commit that was begun last."""
        self.additions += additions
        self.deletions += deletions
        if self.day is not None:
            self.day[1] += additions
            self.day[2] += deletions

    def history(self) -> History:
        days = {EPOCH + timedelta(number): Day(*sums) for number, sums in self.days.items()}
        return History(
            commits=self.commits,
            additions=self.additions,
            deletions=self.deletions,
            first_commit=_instant(self.first),
            last_commit=_instant(self.last),
            days=dict(sorted(days.items())),
        )


def _instant(second: int | None) -> datetime | None:
    return None if second is None else datetime.fromtimestamp(second, UTC)


def texts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what stands between NULs, over the edges of chunks."""

    def pieces() -> Iterator[list[bytes]]:
        rest = b""
        for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\0")
            if len(rest) > LONGEST_TEXT:
                raise MeasureError("it holds a path that is too long to be read")
            yield whole

    # chain() keeps the loop over millions of texts out of Python's own generators.
    return chain.from_iterable(pieces())


def folder_check(exclude_dirs: frozenset[str]) -> Callable[[bytes], bool] | None:
    """Return a question for paths: is one of the folders on the way to it left out?"""
    names = {name.encode(errors="surrogateescape") for name in exclude_dirs}
    if not names:
        return None
    known: dict[bytes, bool] = {}

    def excluded(path: bytes) -> bool:
        folder = path.rpartition(b"/")[0]
        answer = known.get(folder)
        if answer is None:
            if len(known) >= CACHED_FOLDERS:
                known.clear()
            answer = known[folder] = not names.isdisjoint(folder.split(b"/"))
        return answer

    return excluded
