"""The growth of projects: the lines of code of each month, read from the database.

A month without commits repeats the one before it. The current month has the present lines of the
projects; one whose growth has not been measured yet is only in that month.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, func, literal, select

from config import GrowthMode
from database.types import json_text
from figures.days import Granularity
from models import Growth, Project, db

Lines = dict[str, int]
Conditions = Iterable[ColumnElement[bool]]

MONTHS_IN_A_YEAR: Final = 12


@dataclass(frozen=True)
class Month:
    """The lines of code at the end of a month (`2026-03`), and of each part of them."""

    name: str
    loc: int
    parts: Mapping[str, int]


def fetch_growth(
    conditions: Conditions, today: date, mode: GrowthMode = GrowthMode.MONTH
) -> list[Month]:
    """Return each month's lines of code, from the first with a commit to the current one.

    Where growth is measured by the year, the months are Decembers and the current one; where it is
    off, there are none.
    """
    return _known(_add_up(_fetch(conditions, today, _no_parts), today), mode)


def fetch_growth_by_language(
    conditions: Conditions, today: date, mode: GrowthMode = GrowthMode.MONTH
) -> list[Month]:
    """Return the same with the lines of each language."""
    changes = _fetch(conditions, today, _languages, with_languages=True)
    return _known(_add_up(changes, today), mode)


def fetch_growth_by_project(
    conditions: Conditions, named: Conditions, today: date, mode: GrowthMode = GrowthMode.MONTH
) -> list[Month]:
    """Return the same with the lines of each project that meets the conditions in `named`."""
    query = select(Project.id, Project.name).where(*named)
    names = {row.id: row.name for row in db.session.execute(query)}

    def split(project: int, loc: int, _languages: str) -> Lines:
        return {names[project]: loc} if project in names else {}

    return _known(_add_up(_fetch(conditions, today, split), today), mode)


def cut(
    months: Sequence[Month], by: Granularity, first: date | None, last: date | None
) -> list[Month]:
    """Return the months, or years, that lie at least in part between two days, both included.

    A year has the lines of its last month.
    """
    if by is Granularity.YEAR:
        years = {month.name[:4]: month for month in months}
        months = [Month(name, month.loc, month.parts) for name, month in years.items()]
    length = 4 if by is Granularity.YEAR else 7
    start = first.isoformat()[:length] if first is not None else ""
    return [
        month
        for month in months
        if month.name >= start and (last is None or month.name <= last.isoformat()[:length])
    ]


def growth_to_json(
    months: Iterable[Month], by: Granularity, *, languages: bool
) -> list[dict[str, Any]]:
    """Return periods as clients see them: languages with the most lines first."""
    return [
        {by.value: month.name, "loc": month.loc}
        | ({"languages": _most_first(month.parts)} if languages else {})
        for month in months
    ]


def _most_first(parts: Mapping[str, int]) -> Lines:
    return dict(sorted(parts.items(), key=lambda item: (-item[1], item[0])))


Split = Callable[[int, int, str], Lines]


def _no_parts(_project: int, _loc: int, _languages: str) -> Lines:
    return {}


def _languages(_project: int, _loc: int, languages: str) -> Lines:
    found: Lines = orjson.loads(languages)
    return found


@dataclass
class _Change:
    """The difference of a month's lines from those of the month before it."""

    loc: int = 0
    parts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, sign: int, loc: int, parts: Lines) -> None:
        self.loc += sign * loc
        for name, lines in parts.items():
            self.parts[name] += sign * lines


def _fetch(
    conditions: Conditions, today: date, split: Split, *, with_languages: bool = False
) -> dict[str, _Change]:
    """Return the change of the lines of all projects together in each month."""
    conditions = tuple(conditions)
    current = today.isoformat()[:7]
    changes: defaultdict[str, _Change] = defaultdict(_Change)
    latest: dict[int, tuple[int, Lines]] = {}

    def note(project: int, month: str, loc: int, languages: str) -> None:
        parts = split(project, loc, languages)
        changes[month].add(-1, *latest.get(project, (0, {})))
        changes[month].add(1, loc, parts)
        latest[project] = loc, parts

    stored = json_text(Growth.languages) if with_languages else literal("")
    rows = (
        select(Growth.project_id, Growth.month, Growth.loc, stored)
        .join(Project)
        # The rows of a project that lacks some would repeat the wrong month.
        .where(*conditions, Project.growth_sha.is_not(None), Growth.month < current)
        .order_by(Growth.project_id, Growth.month)
    )
    for row in db.session.execute(rows):
        note(*row)
    now = func.coalesce(json_text(Project.languages_loc), "{}") if with_languages else literal("")
    projects = select(Project.id, func.coalesce(Project.loc, 0), now).where(*conditions)
    for project, loc, languages in db.session.execute(projects):
        note(project, current, loc, languages)
    return changes


def _add_up(changes: Mapping[str, _Change], today: date) -> list[Month]:
    """Return every month from the first that changed anything to the current one."""
    if not changes:
        return []
    loc = 0
    parts: defaultdict[str, int] = defaultdict(int)
    months = []
    for number in range(_number(min(changes)), _number(today.isoformat()) + 1):
        name = f"{number // MONTHS_IN_A_YEAR:04}-{number % MONTHS_IN_A_YEAR + 1:02}"
        if name in changes:
            loc += changes[name].loc
            for part, lines in changes[name].parts.items():
                parts[part] += lines
        months.append(Month(name, loc, {part: lines for part, lines in parts.items() if lines}))
    return months


def _known(months: list[Month], mode: GrowthMode) -> list[Month]:
    """Return the months whose lines have been measured."""
    if mode is GrowthMode.YEAR:
        return [month for month in months[:-1] if month.name.endswith("-12")] + months[-1:]
    return months if mode is GrowthMode.MONTH else []


def _number(month: str) -> int:
    return int(month[:4]) * MONTHS_IN_A_YEAR + int(month[5:7]) - 1
