"""Projects as clients see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, SQLColumnExpression, func, select

from config import PrivateMode
from database.types import in_code_point_order, iso_utc, json_text
from models import KNOWN_PUBLIC, Project, db

# The fields of a project, each as an SQL expression. JSON stays text here.
PROJECT_FIELDS: Final[dict[str, SQLColumnExpression[Any]]] = {
    "name": Project.name,
    "owner": Project.owner,
    "time_spent": func.coalesce(Project.time_spent_min, 0).concat("m"),
    "time_spent_minutes": func.coalesce(Project.time_spent_min, 0),
    "loc": func.coalesce(Project.loc, 0),
    "commits": func.coalesce(Project.commit_count, 0),
    "active_days": func.coalesce(Project.active_days, 0),
    "last_finished": iso_utc(Project.last_commit_date),
    "first_commit": iso_utc(Project.first_commit_date),
    "code_churn": func.coalesce(Project.code_churn, 0),
    "own_commits": Project.own_commits,
    "own_active_days": Project.own_active_days,
    "own_churn": Project.own_churn,
    "bot_commits": Project.bot_commits,
    "primary_language": func.coalesce(Project.primary_language, "Unknown"),
    "repository_size_kb": func.coalesce(Project.repository_size_kb, 0.0),
    "url": Project.url,
    "private": Project.private,
    "archived": Project.archived,
    "languages": func.coalesce(json_text(Project.languages), "{}"),
    "languages_loc": func.coalesce(json_text(Project.languages_loc), "{}"),
    "loc_source": Project.loc_source,
    "not_counted": func.coalesce(json_text(Project.not_counted), "null"),
    "excluded_files": func.coalesce(Project.excluded_files, 0),
    "head_sha": Project.head_sha,
    "measured_at": iso_utc(Project.measured_at),
    "stale": Project.stale_reason.is_not(None),
    "stale_reason": Project.stale_reason,
}
JSON_FIELDS: Final = ("languages", "languages_loc", "not_counted")

BY_NAME = in_code_point_order(Project.name)


def visible(private_mode: PrivateMode) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the projects that an answer may name."""
    return (
        (~Project.empty,) if private_mode is PrivateMode.SHOW else (~Project.empty, *KNOWN_PUBLIC)
    )


def counted(private_mode: PrivateMode) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the projects that go into the rollup."""
    return (
        (~Project.empty, *KNOWN_PUBLIC) if private_mode is PrivateMode.HIDE else (~Project.empty,)
    )


def fetch_projects(
    conditions: Iterable[ColumnElement[bool]],
    *,
    fields: Iterable[str] = PROJECT_FIELDS,
    order_by: Iterable[SQLColumnExpression[Any]] = (),
    limit: int | None = None,
    offset: int | None = None,
) -> list[dict[str, Any]]:
    """Return projects as clients see them, JSON columns as `orjson.Fragment`.

    The rows are the connection's, not the session's: those of 10,000 projects take two thirds of
    the time.
    """
    names = tuple(fields)
    columns: list[Any] = [PROJECT_FIELDS[name].label(name) for name in names]
    query = select(*columns).where(*conditions).order_by(*order_by).limit(limit).offset(offset)
    rows = db.session.connection().execute(query)
    projects = [dict(zip(names, row, strict=True)) for row in rows]
    for name in JSON_FIELDS:
        if name in names:
            for project in projects:
                project[name] = orjson.Fragment(project[name])
    return projects


def count_projects(conditions: Iterable[ColumnElement[bool]]) -> int:
    """Count projects."""
    return db.session.scalar(select(func.count(Project.id)).where(*conditions)) or 0


def named(name: str, private_mode: PrivateMode) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the one project with this name, if an answer may name it."""
    return (*visible(private_mode), Project.name == name)


def is_visible(name: str, private_mode: PrivateMode) -> bool:
    """Return whether there is a project with exactly this name that an answer may name."""
    # See find_visible on why the name is compared again.
    found = db.session.scalar(select(Project.name).where(*named(name, private_mode)))
    return found is not None and found == name


def join_name(owner: str | None, name: str) -> str:
    """Return a project's name: bare for the token's user, who is not named."""
    return name if owner is None else f"{owner}/{name}"


def find_visible(name: str, private_mode: PrivateMode) -> dict[str, Any] | None:
    """Return the project with exactly this name, if an answer may name it."""
    found = fetch_projects(named(name, private_mode))
    # CleanText drops characters that cannot be stored, so that "a\0b" would find "ab".
    return found[0] if found and found[0]["name"] == name else None
