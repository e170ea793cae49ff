"""One pass over the history: commits, days, lines added and deleted.

Reads what `git log` and `git diff-tree` write with `-z --numstat` and FORMAT, in which everything
ends in NUL:

    @<seconds or nothing> LF <author's address> LF <author's name>      a commit
    <added> TAB <deleted> TAB <path>         a file; the first of a commit has LF before it
    <added> TAB <deleted> TAB, <old>, <new>  a renamed file

Names are skipped by position and never parsed, so no name can be taken for a commit.
Authors are those that the head's .mailmap gives; git lets no line feed into them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import chain

from errors import MeasureError

from .answers import Answers
from .authors import Author, Authors
from .figures import Day, History, Own
from .generated import GeneratedFiles

FORMAT = "--format=@%ct%n%aE%n%aN"
EPOCH = date(1970, 1, 1)
LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z, the last that datetime holds
SECONDS_OF_A_DAY = 86400
LEARNED_AT_A_TIME = 1 << 20  # bytes of a history whose paths are checked together
LONGEST_TEXT = 4 << 20  # bytes; the names in a tree may be of any length


def read_history(
    chunks: Iterable[bytes],
    exclude_dirs: frozenset[str],
    authors: Authors | None = None,
    generated: GeneratedFiles | None = None,
) -> History:
    """Sum up the output of git log, given in chunks of any size.

    Files below a folder of a name in `exclude_dirs` are not counted, nor are `generated` ones; a
    renamed file is at its new path. Holds no more than one chunk, the days, and the names
    of some folders and authors.
    """
    tally = _Tally(authors or Authors(None))
    excluded = folder_check(exclude_dirs)
    additions = deletions = 0
    if generated is None:
        items = texts(chunks)
    else:
        judge = _Judge(excluded, generated)
        excluded = judge.is_excluded
        items = chain.from_iterable(judge.learn(_pieces(_join(chunks, LEARNED_AT_A_TIME))))
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
    """Return the sum of two histories without a common commit."""
    timestamps = [one.first_commit, one.last_commit, other.first_commit, other.last_commit]
    dated = [timestamp for timestamp in timestamps if timestamp is not None]
    return History(
        commits=one.commits + other.commits,
        additions=one.additions + other.additions,
        deletions=one.deletions + other.deletions,
        first_commit=min(dated, default=None),
        last_commit=max(dated, default=None),
        days=_add_days(one.days, other.days),
        own=_add_own(one.own, other.own),
        bot_commits=one.bot_commits + other.bot_commits,
    )


def _add_own(one: Own | None, other: Own | None) -> Own | None:
    if one is None or other is None:
        return None
    return Own(
        commits=one.commits + other.commits,
        additions=one.additions + other.additions,
        deletions=one.deletions + other.deletions,
        days=_add_days(one.days, other.days),
    )


def _add_days(one: Mapping[date, Day], other: Mapping[date, Day]) -> dict[date, Day]:
    days = dict(one)
    for day, sums in other.items():
        known = days.get(day, Day(0, 0, 0))
        days[day] = Day(
            known.commits + sums.commits,
            known.additions + sums.additions,
            known.deletions + sums.deletions,
        )
    return dict(sorted(days.items()))


@dataclass
class _Sums:
    """Add up commits, by day as well."""

    commits: int = 0
    additions: int = 0
    deletions: int = 0
    days: dict[int, list[int]] = field(default_factory=dict)
    day: list[int] | None = None

    def begin_commit(self, day: int | None) -> None:
        """Count a commit; one without a timestamp belongs to no day."""
        self.commits += 1
        self.day = None
        if day is not None:
            self.day = self.days.setdefault(day, [0, 0, 0])
            self.day[0] += 1

    def add_lines(self, additions: int, deletions: int) -> None:
        """Add the lines of the commit that was begun last."""
        self.additions += additions
        self.deletions += deletions
        if self.day is not None:
            self.day[1] += additions
            self.day[2] += deletions

    def by_day(self) -> dict[date, Day]:
        days = {EPOCH + timedelta(number): Day(*sums) for number, sums in self.days.items()}
        return dict(sorted(days.items()))


@dataclass
class _Tally:
    """Add up all commits, those that are one's own, and bots'."""

    authors: Authors
    all: _Sums = field(default_factory=_Sums)
    own: _Sums = field(default_factory=_Sums)
    bot_commits: int = 0
    first: int | None = None
    last: int | None = None
    is_own: bool = False

    def begin_commit(self, header: bytes) -> None:
        """Count a commit."""
        digits, _, author = header[1:].partition(b"\n")
        day = self._date(digits)
        self.all.begin_commit(day)
        whose = self.authors.find(author)
        self.bot_commits += whose is Author.BOT
        self.is_own = whose is Author.OWN
        if self.is_own:
            self.own.begin_commit(day)

    def _date(self, digits: bytes) -> int | None:
        """Note a commit's second, and return its day."""
        second = parse_second(digits)
        if second is None:
            return None
        self.first = second if self.first is None else min(self.first, second)
        self.last = second if self.last is None else max(self.last, second)
        return second // SECONDS_OF_A_DAY

    def add_lines(self, additions: int, deletions: int) -> None:
        """Add the lines of the commit that was begun last."""
        self.all.add_lines(additions, deletions)
        if self.is_own:
            self.own.add_lines(additions, deletions)

    def history(self) -> History:
        own = self.own
        return History(
            commits=self.all.commits,
            additions=self.all.additions,
            deletions=self.all.deletions,
            first_commit=_timestamp(self.first),
            last_commit=_timestamp(self.last),
            days=self.all.by_day(),
            own=Own(own.commits, own.additions, own.deletions, own.by_day())
            if self.authors.knows_own
            else None,
            bot_commits=self.bot_commits,
        )


def _timestamp(second: int | None) -> datetime | None:
    return None if second is None else datetime.fromtimestamp(second, UTC)


def parse_second(digits: bytes) -> int | None:
    """Return the timestamp that git's %ct gives, None where it gives none."""
    return min(int(digits[:20]), LAST_SECOND) if digits.isdigit() else None


def texts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what stands between NULs, over the edges of chunks."""

    # chain() keeps the loop over millions of texts out of Python's own generators.
    return chain.from_iterable(_pieces(chunks))


def _pieces(chunks: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\0")
        if len(rest) > LONGEST_TEXT:
            raise MeasureError("it holds a path that is too long to be read")
        yield whole


def _join(chunks: Iterable[bytes], least: int) -> Iterator[bytes]:
    """Yield chunks of at least so many bytes, the last one apart."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= least:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


@dataclass
class _Judge:
    """Decides which paths of a history are left out, for many of them at a time."""

    folder: Callable[[bytes], bool] | None
    generated: GeneratedFiles
    known: Answers[bool] = field(default_factory=Answers)

    def learn(self, pieces: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
        """Yield pieces of a history unchanged; is_excluded() knows the paths of the last one."""
        names = 0  # of a renamed file, still to come
        for piece in pieces:
            self.known.make_room()
            new: set[bytes] = set()
            for text in piece:
                if names:
                    names -= 1
                    path = b"" if names else text
                elif text[:1] == b"@":
                    continue
                else:
                    path = text.split(b"\t", 2)[2]
                    names = 0 if path else 2
                if path and path not in self.known:
                    new.add(path)
            self._ask(new)
            yield piece

    def _ask(self, paths: set[bytes]) -> None:
        folder = self.folder
        asked = paths if folder is None else {path for path in paths if not folder(path)}
        found = self.generated.find(asked)
        for path in paths:
            self.known.remember(path, path not in asked or path in found)

    def is_excluded(self, path: bytes) -> bool:
        """Return whether a path of the last yielded piece is left out."""
        return self.known[path]


def folder_check(exclude_dirs: frozenset[str]) -> Callable[[bytes], bool] | None:
    """Return a function that tells whether a path is in an excluded folder."""
    names = {name.encode(errors="surrogateescape") for name in exclude_dirs}
    if not names:
        return None
    known: Answers[bool] = Answers()

    def excluded(path: bytes) -> bool:
        folder = path.rpartition(b"/")[0]
        answer = known.get(folder)
        if answer is None:
            known.make_room()
            answer = known.remember(folder, not names.isdisjoint(folder.split(b"/")))
        return answer

    return excluded
