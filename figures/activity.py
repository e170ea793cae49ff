"""Commits by day, read from the database: activity, calendars and sparklines.

The database sums over the projects, so an answer about all of them reads one row a day, however
many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    SQLColumnExpression,
    case,
    cast,
    extract,
    func,
    select,
)

from figures.days import (
    Changes,
    Days,
    Granularity,
    busiest_weekday,
    current_streak,
    longest_streak,
    period_name,
    sum_periods,
    total,
)
from figures.projects import BY_NAME
from models import ActivityDay, Project, db

MONTHS_SHOWN: Final = 12

Conditions = Iterable[ColumnElement[bool]]
Columns = Sequence[SQLColumnExpression[Any]]

EVERYBODY: Final[Columns] = (ActivityDay.commits, ActivityDay.additions, ActivityDay.deletions)
OWN: Final[Columns] = (
    ActivityDay.own_commits,
    ActivityDay.own_additions,
    ActivityDay.own_deletions,
)


def fetch_days(
    conditions: Conditions,
    first: date | None = None,
    last: date | None = None,
    columns: Columns = EVERYBODY,
) -> dict[date, Changes]:
    """Return the changes of each day that has a commit, in order; both ends are included.

    `columns` are those of everybody's commits, or of one's OWN.
    """
    sums = [func.sum(column) for column in columns]
    query = (
        select(ActivityDay.day, *sums)
        .join(Project)
        .where(*conditions, *_between(first, last))
        .group_by(ActivityDay.day)
        .having(sums[0] > 0)
        .order_by(ActivityDay.day)
    )
    # PostgreSQL adds whole numbers up to a Decimal.
    return {day: Changes(*map(int, changes)) for day, *changes in db.session.execute(query)}


def knows_own(conditions: Conditions) -> bool:
    """Return whether it is known which commits are one's own; true without a project."""
    known, projects = db.session.execute(
        select(func.count(Project.own_commits), func.count()).where(*conditions)
    ).one()
    return bool(known or not projects)


def fetch_commits_by_day(
    conditions: Conditions, first: date | None = None, last: date | None = None
) -> dict[date, int]:
    """Return the commits of each day that has one, as a calendar shows them."""
    query = (
        select(ActivityDay.day, func.sum(ActivityDay.commits))
        .join(Project)
        .where(*conditions, *_between(first, last))
        .group_by(ActivityDay.day)
    )
    return {day: int(commits) for day, commits in db.session.execute(query)}


def fetch_years(conditions: Conditions) -> list[int]:
    """Return the years that have a commit, the latest first."""
    year = extract("year", ActivityDay.day)
    query = select(cast(year, Integer)).join(Project).where(*conditions).distinct()
    return sorted(db.session.scalars(query), reverse=True)


def fetch_sparklines(conditions: Conditions, today: date) -> dict[str, tuple[int, ...]]:
    """Return each project's commits in the last twelve months, this one included, oldest first."""
    months = last_months(today)
    query = (
        select(Project.name, *_by_month(months))
        .outerjoin(ActivityDay, _is_between(Project.id, months[0], months[-1]))
        .where(*conditions)
        .group_by(Project.id, Project.name)
        .order_by(BY_NAME)
    )
    return {name: tuple(map(int, commits)) for name, *commits in db.session.execute(query)}


def fetch_commits_by_month(conditions: Conditions, today: date) -> tuple[int, ...]:
    """Return the commits of the last twelve months, this one included, oldest first."""
    months = last_months(today)
    query = (
        select(*_by_month(months))
        .select_from(Project)
        .join(ActivityDay, _is_between(Project.id, months[0], months[-1]))
        .where(*conditions)
    )
    return tuple(map(int, db.session.execute(query).one()))


def last_months(today: date) -> list[date]:
    """Return the first days of the last twelve months, this one included, and of the next one."""
    number = today.year * 12 + today.month - 1
    months = range(number - MONTHS_SHOWN + 1, number + 2)
    return [date(month // 12, month % 12 + 1, 1) for month in months]


def calendar_span(year: int | None, today: date) -> tuple[date, date]:
    """Return the first and the last day of a year, or of the 365 days that end today."""
    if year is not None:
        return date(year, 1, 1), date(year, 12, 31)
    return today - timedelta(days=364), today


def history_to_json(days: Days, granularity: Granularity) -> dict[str, Any]:
    """Return the changes by period as clients see them."""
    return {
        "by": granularity.value,
        "first_day": min(days).isoformat() if days else None,
        "last_day": max(days).isoformat() if days else None,
        "periods": [
            {"period": period_name(start, granularity), "start": start.isoformat()}
            | changes._asdict()
            for start, changes in sum_periods(days, granularity).items()
        ],
    }


def activity_to_json(days: Days, granularity: Granularity, today: date) -> dict[str, Any]:
    """Return the changes by period, totals, streaks and the busiest weekday as clients see them."""
    longest, current, busiest = (
        longest_streak(days),
        current_streak(days, today),
        busiest_weekday(days),
    )
    return history_to_json(days, granularity) | {
        "totals": total(days)._asdict() | {"active_days": len(days)},
        "longest_streak": longest and longest.to_json(),
        "current_streak": current and current.to_json(),
        "busiest_weekday": busiest and {"weekday": busiest[0], "commits": busiest[1]},
    }


def _between(first: date | None, last: date | None) -> list[ColumnElement[bool]]:
    conditions = []
    if first is not None:
        conditions.append(ActivityDay.day >= first)
    if last is not None:
        conditions.append(ActivityDay.day <= last)
    return conditions


def _is_between(
    project_id: SQLColumnExpression[int], first: date, end: date
) -> ColumnElement[bool]:
    return (
        (ActivityDay.project_id == project_id)
        & (ActivityDay.day >= first)
        & (ActivityDay.day < end)
    )


def _by_month(months: Sequence[date]) -> list[ColumnElement[int]]:
    """Return a column for each month: one row a project, not twelve."""
    return [
        func.coalesce(
            func.sum(
                case(
                    ((ActivityDay.day >= first) & (ActivityDay.day < end), ActivityDay.commits),
                    else_=0,
                )
            ),
            0,
        )
        for first, end in pairwise(months)
    ]
