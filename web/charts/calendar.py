"""Commits by day as GitHub's contribution calendar: a column a week, five steps of colour."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from web.charts.picture import Picture
from web.charts.text import MONTHS, count, long_date, short_date

CELL = 13
LEFT = 32
TOP = 20
WEEKDAYS_HEIGHT = 7 * CELL
BETWEEN_ROWS = 14
FOOTER = 20
BELOW_FOOTER = 6
WEEKDAYS = ((1, "Mon"), (3, "Wed"), (5, "Fri"))
# Wide enough for the summary and the legend, however few days there are.
LEAST_WEEKS = 28
LONGEST_ROW = timedelta(days=53 * 7)
LEGEND_WIDTH = 141


# A day's cell: its step of colour and its title. A week: its position and its days, which
# charts.css puts below each other: a position for each of 371 days would be 3 kB of the page.
Cell = tuple[int, str]
Week = tuple[int, int, Sequence[Cell]]


@dataclass(frozen=True)
class Label:
    """The name of a month or year, and its position."""

    x: int
    text: str


@dataclass(frozen=True)
class Row:
    """The weeks between two days, and the months' names above them."""

    y: int
    year: str
    weeks: Sequence[Week]
    months: Sequence[Label]


@dataclass(frozen=True)
class Step:
    """A colour of the legend and the counts that it stands for."""

    x: int
    number: int
    title: str


def thresholds(counts: Sequence[int]) -> tuple[int, int, int]:
    """Return the quartiles of the counts of active days; a step's counts end at its threshold."""
    ranked = sorted(counts)
    if not ranked:
        return (0, 0, 0)
    last = len(ranked) - 1
    return (ranked[last // 4], ranked[last // 2], ranked[last * 3 // 4])


def _rows(first: date, last: date) -> list[tuple[date, date]]:
    """Return one row for up to 53 weeks, otherwise one for each year, the latest first."""
    if last - first < LONGEST_ROW:
        return [(first, last)]
    years = range(last.year, first.year - 1, -1)
    return [(max(first, date(year, 1, 1)), min(last, date(year, 12, 31))) for year in years]


def _column(day: date, first: date) -> int:
    # Weeks begin on Sunday, as GitHub's do.
    return (day.toordinal() - first.toordinal() + first.isoweekday() % 7) // 7


def _month_labels(first: date, last: date) -> list[Label]:
    """Return each month's name above the first week that begins in it, where there is room."""
    columns: dict[tuple[int, int], int] = {}
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        if day.isoweekday() == 7 or day == first:
            columns.setdefault((day.year, day.month), _column(day, first))
    found = [Label(LEFT + CELL * x, MONTHS[month - 1][:3]) for (_, month), x in columns.items()]
    # The first month has no name where only its last days are shown.
    return [
        label
        for label, following in pairwise([*found, Label(LEFT + CELL * LONGEST_ROW.days, "")])
        if following.x - label.x >= 2 * CELL + 4
    ]


def _weeks(
    days: Mapping[date, int], first: date, last: date, limits: tuple[int, int, int]
) -> list[Week]:
    """Return the columns; written for speed, as twenty years are 7,300 cells."""
    weeks: list[Week] = []
    week: list[Cell] = []
    weekday = first.isoweekday() % 7
    top = TOP + CELL * weekday
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        commits = days.get(day, 0)
        step = 1 + bisect_left(limits, commits) if commits else 0
        said = count(commits, "commit") if commits else "No commits"
        week.append((step, f"{said} on {short_date(day)}"))
        weekday += 1
        if weekday == 7 or day == last:
            weeks.append((LEFT + CELL * len(weeks), top, week))
            week, weekday, top = [], 0, TOP
    return weeks


def _legend(limits: tuple[int, int, int], most: int) -> list[Step]:
    lower = 0
    ranges = []
    for upper in (*limits, most):
        ranges.append((lower + 1, upper))
        lower = max(lower, upper)
    titles = ["No commits"] + [
        "No day" if low > high
        else count(high, "commit") if low == high
        else f"{low:,} to {high:,} commits"
        for low, high in ranges
    ]  # fmt: skip
    return [Step(36 + CELL * number, number, title) for number, title in enumerate(titles)]


def calendar(days: Mapping[date, int], first: date, last: date) -> Picture:
    """Draw the commits of each day from first to last, both included; other days are left out.

    A span of more than 53 weeks has a row for each year. The steps are quartiles of the days that
    have commits.
    """
    if last < first:
        raise ValueError("the last day is before the first")
    shown = {day: number for day, number in days.items() if number > 0 and first <= day <= last}
    limits = thresholds(list(shown.values()))
    spans = _rows(first, last)
    several = len(spans) > 1
    height = TOP + WEEKDAYS_HEIGHT
    rows = [
        Row(
            y=index * (height + BETWEEN_ROWS),
            year=str(begin.year) if several else "",
            weeks=_weeks(shown, begin, end, limits),
            months=_month_labels(begin, end),
        )
        for index, (begin, end) in enumerate(spans)
    ]
    weeks = max(_column(end, begin) + 1 for begin, end in spans)
    span = long_date(first) if first == last else f"{long_date(first)} to {long_date(last)}"
    summary = "No commits"
    if shown:
        summary = f"{count(sum(shown.values()), 'commit')} on {count(len(shown), 'day')}"
    footer = rows[-1].y + height + FOOTER
    # The last column has no gap beside it.
    width = LEFT + CELL * max(weeks, LEAST_WEEKS) - 2
    return Picture(
        template="calendar.svg",
        title=f"{summary}, {span}",
        description="A square for each day, in columns of weeks; the darker, the more commits",
        width=width,
        height=footer + BELOW_FOOTER,
        values={
            "rows": rows,
            "weekdays": [(TOP + CELL * day + 9, name) for day, name in WEEKDAYS],
            "footer": footer,
            "summary": summary,
            "legend_x": width - LEGEND_WIDTH,
            "steps": _legend(limits, max(shown.values(), default=0)),
            "legend_end": 36 + CELL * 5 + 4,
        },
    )
