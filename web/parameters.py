"""The parameters that select, sort and page projects, or select a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, SQLColumnExpression, func
from werkzeug.datastructures import MultiDict

from figures.days import Granularity
from figures.projects import BY_NAME, PROJECT_FIELDS
from models import Project
from web.query import Values, boolean, day, month, one_of, only_known, whole

# The fields that a list may be sorted by.
SORT_COLUMNS: Final[Mapping[str, SQLColumnExpression[Any]]] = {
    "last_finished": Project.last_commit_date,
    "first_commit": Project.first_commit_date,
    "measured_at": Project.measured_at,
    "time_spent": Project.time_spent_min,
    "time_spent_minutes": Project.time_spent_min,
    "loc": Project.loc,
    "commits": Project.commit_count,
    "active_days": Project.active_days,
    "code_churn": Project.code_churn,
    "repository_size_kb": Project.repository_size_kb,
    "primary_language": Project.primary_language,
    "name": BY_NAME,
}
ASCENDING_BY_DEFAULT: Final = ("name", "primary_language")
TIME_PARAMETERS: Final = ("from", "to", "by")
ACTIVITY_PARAMETERS: Final = (*TIME_PARAMETERS, "own")


@dataclass(frozen=True)
class ProjectQuery:
    """The parameters of a list of projects; None where one is not given."""

    sort: str
    descending: bool
    conditions: tuple[ColumnElement[bool], ...]
    fields: tuple[str, ...]
    limit: int | None
    offset: int

    @property
    def order_by(self) -> tuple[SQLColumnExpression[Any], ...]:
        """Return the order: rows without a value last, ties by name."""
        column = SORT_COLUMNS[self.sort]
        directed = column.desc() if self.descending else column.asc()
        return (directed.nulls_last(), BY_NAME)


def parse_project_query(arguments: MultiDict[str, str]) -> ProjectQuery:
    """Parse the parameters of a list of projects.

    Raises BadParameter, which names the first one that cannot be used.
    """
    values = only_known(arguments, PARAMETERS)
    sort = values.read("sort", one_of(SORT_COLUMNS), "last_finished")
    ascending = sort in ASCENDING_BY_DEFAULT
    order = values.read("order", one_of(("asc", "desc")), "asc" if ascending else "desc")
    return ProjectQuery(
        sort=sort,
        descending=order == "desc",
        conditions=tuple(_conditions(values)),
        fields=values.read("fields", _fields, tuple(PROJECT_FIELDS)),
        limit=values.read("limit", whole(1), None),
        offset=values.read("offset", whole(0), 0),
    )


@dataclass(frozen=True)
class TimeQuery:
    """The parameters of a route about time; None where one is not given."""

    project: str | None
    first: date | None
    last: date | None
    granularity: Granularity
    own: bool


def parse_time_query(
    arguments: MultiDict[str, str], known: tuple[str, ...] = TIME_PARAMETERS
) -> TimeQuery:
    """Parse the parameters that select a time and the length of periods; raise BadParameter."""
    values = only_known(arguments, known)
    first, last = values.read("from", day, None), values.read("to", day, None)
    return TimeQuery(
        project=values.read("project", str, None),
        first=first,
        last=last,
        granularity=Granularity(values.read("by", one_of(tuple(Granularity)), "month")),
        own=values.read("own", boolean, False),
    )


@dataclass(frozen=True)
class GrowthQuery:
    """The parameters of a route about growth; None where one is not given."""

    first: date | None
    last: date | None
    granularity: Granularity
    languages: bool


def parse_growth_query(arguments: MultiDict[str, str]) -> GrowthQuery:
    """Parse the parameters that select months or years; raise BadParameter."""
    values = only_known(arguments, (*TIME_PARAMETERS, "languages"))
    return GrowthQuery(
        first=values.read("from", month, None),
        last=values.read("to", month, None),
        granularity=Granularity(values.read("by", one_of(("month", "year")), "month")),
        languages=values.read("languages", boolean, False),
    )


def links(path: str, arguments: MultiDict[str, str], query: ProjectQuery, total: int) -> str:
    """Return the value of the header Link (RFC 8288): first, prev, next and last page."""
    limit = query.limit or max(total, 1)
    last = max(0, (total - 1) // limit * limit)
    pages = {"first": 0, "last": last}
    if query.offset > 0:
        pages["prev"] = max(0, min(query.offset - limit, last))
    if query.offset + limit < total:
        pages["next"] = query.offset + limit
    others = [(name, value) for name, value in arguments.items() if name != "offset"]
    return ", ".join(
        f'<{path}?{urlencode([*others, ("offset", offset)])}>; rel="{relation}"'
        for relation, offset in pages.items()
    )


def _conditions(values: Values) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    language = values.read("language", str, None)
    if language is not None:
        shown = func.coalesce(Project.primary_language, "Unknown")
        found.append(func.lower(shown) == language.lower())
    text = values.read("q", str, None)
    if text:
        found.append(func.lower(Project.name).contains(text.lower(), autoescape=True))
    for name, column in (("private", Project.private), ("archived", Project.archived)):
        wanted = values.read(name, boolean, None)
        if wanted is not None:
            found.append(column.is_(wanted))
    return found


PARAMETERS: Final = (
    "sort",
    "order",
    "language",
    "q",
    "private",
    "archived",
    "fields",
    "limit",
    "offset",
)


def _fields(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in PROJECT_FIELDS:
            raise ValueError(f"there is no field {name[:60]!a}")
    return names
