"""Days with commits: periods, totals, streaks and the busiest weekday.

Days are UTC calendar days, weeks are those of ISO 8601. Nothing here reads the database or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final, NamedTuple

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Granularity(StrEnum):
    """The lengths of a period."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Changes(NamedTuple):
    """A number of commits, and the lines that they added and deleted."""

    commits: int = 0
    additions: int = 0
    deletions: int = 0


Days = Mapping[date, Changes]


@dataclass(frozen=True)
class Streak:
    """A run of days that have commits, from the first to the last."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Return how many days it is long."""
        return (self.last - self.first).days + 1

    def to_json(self) -> dict[str, Any]:
        """Return the streak as clients see it."""
        return {"days": self.days, "from": self.first.isoformat(), "to": self.last.isoformat()}


def start_of(day: date, granularity: Granularity) -> date:
    """Return the first day of the period that a day is in."""
    return _STARTS[granularity](day)


def sum_periods(days: Days, granularity: Granularity) -> dict[date, Changes]:
    """Return the sums by period, keyed by first day; periods without a commit are left out."""
    periods: dict[date, Changes] = {}
    for day in sorted(days):
        start = start_of(day, granularity)
        periods[start] = _add(periods.get(start, Changes()), days[day])
    return periods


def total(days: Days) -> Changes:
    """Return the sum of all days."""
    return Changes(*map(sum, zip(*days.values(), strict=True))) if days else Changes()


def longest_streak(days: Iterable[date]) -> Streak | None:
    """Return the longest run of days with a commit; the latest of several, None without days."""
    return max(_streaks(sorted(days)), key=lambda streak: (streak.days, streak.first), default=None)


def current_streak(days: Iterable[date], today: date) -> Streak | None:
    """Return the run of days that lasts until today, or until yesterday as today is not over."""
    streaks = _streaks(sorted(day for day in days if day <= today))
    if not streaks or (today - streaks[-1].last).days > 1:
        return None
    return streaks[-1]


def busiest_weekday(days: Days) -> tuple[str, int] | None:
    """Return the weekday with the most commits, the first of several, and how many it has."""
    if not days:
        return None
    commits = [0] * 7
    for day, changes in days.items():
        commits[day.weekday()] += changes.commits
    most = max(commits)
    return WEEKDAYS[commits.index(most)], most


def period_name(start: date, granularity: Granularity) -> str:
    """Return a period's name: 2026-08-20, 2026-W34, 2026-08 or 2026."""
    return _NAMES[granularity](start)


_STARTS: Final[Mapping[Granularity, Callable[[date], date]]] = {
    Granularity.DAY: lambda day: day,
    Granularity.WEEK: lambda day: day - timedelta(days=day.weekday()),
    Granularity.MONTH: lambda day: day.replace(day=1),
    Granularity.YEAR: lambda day: day.replace(month=1, day=1),
}


def _week_name(start: date) -> str:
    year, week, _ = start.isocalendar()
    return f"{year}-W{week:02}"


_NAMES: Final[Mapping[Granularity, Callable[[date], str]]] = {
    Granularity.DAY: date.isoformat,
    Granularity.WEEK: _week_name,
    Granularity.MONTH: lambda start: start.isoformat()[:7],
    Granularity.YEAR: lambda start: start.isoformat()[:4],
}


def _add(one: Changes, other: Changes) -> Changes:
    return Changes(*(a + b for a, b in zip(one, other, strict=True)))


def _streaks(days: Sequence[date]) -> list[Streak]:
    """Divide days, in order, into runs without a gap."""
    if not days:
        return []
    breaks = [(last, first) for last, first in pairwise(days) if (first - last).days > 1]
    firsts = [days[0], *(first for _, first in breaks)]
    lasts = [*(last for last, _ in breaks), days[-1]]
    return [Streak(first, last) for first, last in zip(firsts, lasts, strict=True)]
