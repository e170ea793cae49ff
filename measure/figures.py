"""The options and results of a measurement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from errors import RepositoryTooLarge

from .slots import Limit


@dataclass(frozen=True)
class Options:
    """How to measure: folder names to leave out, limits of time in seconds, paths of programs.

    `exclude_generated` leaves out the files of measure.generated. `memory_mb` limits each program,
    `max_repo_mb` what is checked out. `preload_cloc` allows measure.cloc_server. `author_patterns`
    are those of Authors.
    `search_path` is a PATH; `scratch` is the folder of the workspaces (None: the system's
    folder for temporary files). `cloning` and `counting` limit how many measurements have
    a clone on the disk, and how many of those use the processor (None: any number).
    """

    exclude_dirs: frozenset[str]
    clone_timeout: int
    measure_timeout: int
    memory_mb: int
    max_repo_mb: int
    cloc_path: str | None
    search_path: str
    scratch: Path | None = None
    preload_cloc: bool = True
    cloning: Limit | None = None
    counting: Limit | None = None
    author_patterns: tuple[str, ...] | None = None
    exclude_generated: bool = False


@dataclass(frozen=True)
class Source:
    """A repository: an https URL, http on loopback, or a local path, and a branch (None: HEAD).

    `size_mb` is its size, 0 where it is not known.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    branch: str | None = None
    size_mb: float = 0.0


@dataclass(frozen=True)
class Day:
    """One UTC day's commits and the lines they added and deleted."""

    commits: int
    additions: int
    deletions: int


@dataclass(frozen=True)
class Own:
    """The sums over the commits that are one's own, and the same by day as in History."""

    commits: int
    additions: int
    deletions: int
    days: dict[date, Day]

    @property
    def churn(self) -> int:
        """Return lines added plus lines deleted."""
        return self.additions + self.deletions


@dataclass(frozen=True)
class History:
    """The sums over commits, and the same by UTC day of the committer's timestamp.

    A commit without a readable timestamp is in the sums but in no day, so the days may add up to
    less. `first_commit` and `last_commit` are the earliest and latest timestamps, aware, in UTC.
    `own` is None where it is not known which commits are one's own; those of bots are not.
    """

    commits: int
    additions: int
    deletions: int
    first_commit: datetime | None
    last_commit: datetime | None
    days: dict[date, Day]
    own: Own | None = None
    bot_commits: int = 0

    @property
    def churn(self) -> int:
        """Return lines added plus lines deleted."""
        return self.additions + self.deletions


@dataclass(frozen=True)
class NotCounted:
    """The number of files that a counter left out for one reason, and their first paths."""

    reason: str
    files: int
    paths: tuple[str, ...]


LISTED = 10  # paths that are named for one reason


def not_counted(files: Iterable[tuple[str, str]]) -> tuple[NotCounted, ...]:
    """Sum up files that were left out, given as pairs of reason and path."""
    reasons: dict[str, list[str]] = {}
    for reason, path in files:
        reasons.setdefault(reason, []).append(path)
    return tuple(
        NotCounted(reason, len(paths), tuple(sorted(paths)[:LISTED]))
        for reason, paths in sorted(reasons.items())
    )


@dataclass(frozen=True)
class Count:
    """The lines of code of one checkout, and what counted them.

    `source` is cloc, pygount or estimate; `counter` is that with its version; `reason` says, safe
    to show, why it was not cloc, and `cloc_failed` whether cloc is there all the same; `languages`
    maps a language to its code lines; `not_counted` are the files that the counter left out, and
    `excluded_files` is the number of generated files that it was not given.
    """

    loc: int
    source: str
    counter: str
    reason: str | None
    languages: dict[str, int]
    cloc_failed: bool = False
    not_counted: tuple[NotCounted, ...] = ()
    excluded_files: int = 0


@dataclass(frozen=True)
class Advance:
    """The way of a head from an earlier one that is among its first parents.

    `earliest` is the earliest committer timestamp of the first parents between, the new head
    included, and `since` that of the earlier head, in seconds; None where no timestamp is readable.
    """

    earliest: int | None
    since: int | None


@dataclass(frozen=True)
class Figures:
    """The result of one measurement.

    With `since`, the history holds only the commits in since..head_sha, to be added to earlier
    sums; without, all commits that can be reached from head_sha. `file_counts` are the counts of
    its files, for the next measurement by the same counter; None where there are none.
    `advance` is None where `since` is not known to be among the first parents.
    """

    head_sha: str
    history: History
    count: Count
    since: str | None
    file_counts: bytes | None = None
    advance: Advance | None = None


def out_of_memory(doing: str, options: Options) -> RepositoryTooLarge:
    """Return the message that a step needs more memory than its program may have."""
    limit = f"MEASURE_MEMORY_MB ({options.memory_mb} MB)"
    return RepositoryTooLarge(f"{doing} takes more memory than {limit} allows")


def whole_minutes(first: datetime, last: datetime) -> int:
    """Return the minutes from one timestamp to another, rounded, halves up."""
    return (int((last - first).total_seconds()) + 30) // 60
