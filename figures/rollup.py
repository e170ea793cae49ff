"""The figures across all projects, added up by the database."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    SQLColumnExpression,
    cast,
    func,
    select,
    true,
)

from config import PrivateMode
from database.types import json_members, to_iso_utc
from figures.projects import BY_NAME, counted, visible
from models import Project, RefreshJob, RefreshKind, RefreshStatus, db

MINUTES = func.coalesce(Project.time_spent_min, 0)
LOC = func.coalesce(Project.loc, 0)
COMMITS = func.coalesce(Project.commit_count, 0)
# None where no project has the figure, as it is not known which commits are one's own.
OWN = ("own_commits", "own_active_days", "own_churn", "bot_commits")
LANGUAGE = func.coalesce(Project.primary_language, "Unknown")


def compute(private_mode: PrivateMode = PrivateMode.SHOW) -> dict[str, Any]:
    """Return the rollup; an unknown figure counts as 0, one of OWN is left out.

    Hours, percentages, averages and sizes have one decimal, halves rounded up. Ties go to the name
    that sorts first.
    """
    total = _totals(private_mode)
    languages = _languages(private_mode)
    count = total.projects
    return {
        "total_projects": count,
        "total_time_spent_hours": _ratio(total.minutes, 60),
        "total_time_spent_minutes": total.minutes,
        "total_loc": total.loc,
        "total_commits": total.commits,
        "total_active_days": total.active_days,
        "total_code_churn": total.churn,
        "own_commits": total.own_commits,
        "own_active_days": total.own_active_days,
        "own_churn": total.own_churn,
        "bot_commits": total.bot_commits,
        "average_project_size_kb": _ratio(Fraction(total.size), count),
        "project_with_most_loc": _most_loc(private_mode),
        "project_with_most_time": _most_time(private_mode),
        "project_with_most_commits": _most_commits(private_mode),
        "most_common_language": _most_common(languages, count),
        "languages_breakdown": {
            language: {
                "project_count": projects,
                "total_loc": loc,
                "percentage_of_projects": _ratio(100 * projects, count),
            }
            for language, projects, loc in languages
        },
        "languages_loc": languages_loc(counted(private_mode)),
        "averages": {
            "loc_per_project": _ratio(total.loc, count),
            "commits_per_project": _ratio(total.commits, count),
            "time_per_project_hours": _ratio(total.minutes, 60 * count),
            "active_days_per_project": _ratio(total.active_days, count),
        },
        "refreshed_at": to_iso_utc(last_completed()),
    }


def languages_loc(conditions: Iterable[ColumnElement[bool]]) -> dict[str, int]:
    """Return the code lines of each language, added up over projects, most lines first."""
    members = json_members(Project.languages_loc).table_valued("key", "value")
    lines = func.sum(cast(members.c.value, BigInteger))
    query = (
        select(members.c.key, lines)
        .select_from(Project)
        .join(members, true())
        .where(*conditions)
        .group_by(members.c.key)
    )
    found = [(language, int(loc)) for language, loc in db.session.execute(query)]
    return dict(sorted(found, key=lambda item: (-item[1], item[0])))


def last_completed() -> Any:
    """Return when the last completed refresh of everything ended, or None."""
    return db.session.scalar(
        select(func.max(RefreshJob.completed_at)).where(
            RefreshJob.kind == RefreshKind.FULL, RefreshJob.status == RefreshStatus.COMPLETED
        )
    )


def _totals(private_mode: PrivateMode) -> Any:
    def total(column: SQLColumnExpression[Any], name: str) -> ColumnElement[Any]:
        return func.coalesce(func.sum(column), 0).label(name)

    row = db.session.execute(
        select(
            func.count().label("projects"),
            total(Project.time_spent_min, "minutes"),
            total(Project.loc, "loc"),
            total(Project.commit_count, "commits"),
            total(Project.active_days, "active_days"),
            total(Project.code_churn, "churn"),
            total(Project.repository_size_kb, "size"),
            *(func.sum(getattr(Project, name)).label(name) for name in OWN),
        ).where(*counted(private_mode))
    ).one()
    # PostgreSQL adds whole numbers up to a Decimal, which JSON does not know.
    return SimpleNamespace(**{name: _plain(value) for name, value in row._mapping.items()})


def _plain(value: Any) -> Any:
    if value is None:
        return None
    return int(value) if value == int(value) else float(value)


def _languages(private_mode: PrivateMode) -> list[tuple[str, int, int]]:
    rows = db.session.execute(
        select(LANGUAGE, func.count(), func.sum(LOC))
        .where(*counted(private_mode))
        .group_by(LANGUAGE)
    )
    return sorted((language, projects, int(loc)) for language, projects, loc in rows)


def _first_with_most(private_mode: PrivateMode, figure: SQLColumnExpression[Any]) -> Any:
    return db.session.execute(
        select(Project.name, figure.label("figure"))
        .where(*visible(private_mode))
        .order_by(figure.desc(), BY_NAME)
        .limit(1)
    ).one_or_none()


def _most_loc(private_mode: PrivateMode) -> dict[str, Any] | None:
    row = _first_with_most(private_mode, LOC)
    return None if row is None else {"name": row.name, "loc": row.figure}


def _most_time(private_mode: PrivateMode) -> dict[str, Any] | None:
    row = _first_with_most(private_mode, MINUTES)
    return (
        None
        if row is None
        else {
            "name": row.name,
            "time_spent_minutes": row.figure,
            "time_spent_hours": _ratio(row.figure, 60),
        }
    )


def _most_commits(private_mode: PrivateMode) -> dict[str, Any] | None:
    row = _first_with_most(private_mode, COMMITS)
    return None if row is None else {"name": row.name, "commits": row.figure}


def _most_common(languages: list[tuple[str, int, int]], count: int) -> dict[str, Any] | None:
    if not languages:
        return None
    language, projects, _ = min(languages, key=lambda item: (-item[1], item[0]))
    return {
        "language": language,
        "project_count": projects,
        "percentage": _ratio(100 * projects, count),
    }


def _ratio(part: int | Fraction, whole: int) -> float:
    # Exact fractions: round() would round halves to even, and binary approximations of them.
    return math.floor(Fraction(part, whole) * 10 + Fraction(1, 2)) / 10 if whole else 0.0
