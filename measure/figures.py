"""What goes into a measurement and what comes out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from errors import RepositoryTooLarge

COUNTING_VERSION = 1
"""Raised when this program's own way of counting changes, so that stored figures are renewed."""


@dataclass(frozen=True)
class Options:
    """Say how to measure: folder names to leave out, limits of time in seconds, where programs are.

    `memory_mb` limits each program, `max_repo_mb` what is checked out.
    `search_path` is a PATH; `scratch` is the folder that clone folders are made in (None: the
    system's folder for temporary files).
    """

    exclude_dirs: frozenset[str]
    clone_timeout: int
    measure_timeout: int
    memory_mb: int
    max_repo_mb: int
    cloc_path: str | None
    search_path: str
    scratch: Path | None = None


@dataclass(frozen=True)
class Source:
    """Name a repository: https, http on loopback, or a local path, and its branch (None: HEAD)."""

    url: str
    token: str | None = field(default=None, repr=False)
    branch: str | None = None


@dataclass(frozen=True)
class Day:
    """Hold one UTC day's commits and the lines they added and deleted."""

    commits: int
    additions: int
    deletions: int


@dataclass(frozen=True)
class History:
    """Hold the sums over commits, and the same by UTC day of the committer's timestamp.

    A commit without a readable timestamp is in the sums but in no day, so the days may add up to
    less. `first_commit` and `last_commit` are the earliest and latest timestamps, aware, in UTC.
    """

    commits: int
    additions: int
    deletions: int
    first_commit: datetime | None
    last_commit: datetime | None
    days: dict[date, Day]

    @property
    def churn(self) -> int:
        """Return lines added plus lines deleted."""
        return self.additions + self.deletions


@dataclass(frozen=True)
class Count:
    """Hold the lines of code of one checkout and what counted them.

    `source` is cloc, pygount or estimate; `counter` is that with its version; `reason` says in
    words fit for the public why it was not cloc; `languages` maps a language to its code lines.
    """

    loc: int
    source: str
    counter: str
    reason: str | None
    languages: dict[str, int]


@dataclass(frozen=True)
class Figures:
    """Hold one measurement.

    With `since`, the history holds only the commits in since..head_sha, to be added to earlier
    sums; without, all commits that can be reached from head_sha.
    """

    head_sha: str
    history: History
    count: Count
    since: str | None


def out_of_memory(doing: str, options: Options) -> RepositoryTooLarge:
    """Say in words that a step needs more memory than its program may have."""
    limit = f"MEASURE_MEMORY_MB ({options.memory_mb} MB)"
    return RepositoryTooLarge(f"{doing} takes more memory than {limit} allows")


def whole_minutes(first: datetime, last: datetime) -> int:
    """Return the minutes from one instant to another, rounded, halves up."""
    return (int((last - first).total_seconds()) + 30) // 60


def fingerprint(counter: str, options: Options) -> str:
    """Return a short hex word that changes whenever the same commit could measure differently."""
    facts = json.dumps([COUNTING_VERSION, counter, sorted(options.exclude_dirs)])
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
