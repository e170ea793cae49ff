"""The parameters that choose, sort and cut a list of projects, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, SQLColumnExpression, func
from werkzeug.datastructures import MultiDict

from errors import BadParameter
from figures.projects import BY_NAME, PROJECT_FIELDS
from models import Project

T = TypeVar("T")

LARGEST = 1_000_000

# What a list may be sorted by: the fields that have an order which means something.
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


@dataclass(frozen=True)
class ProjectQuery:
    """What a request for a list of projects asks for; None where it does not say."""

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
    """Check the parameters of a list of projects.

    Raises BadParameter, which names the first fault.
    """
    values = _only_known(arguments)
    sort = values.read("sort", _one_of(SORT_COLUMNS), "last_finished")
    ascending = sort in ASCENDING_BY_DEFAULT
    order = values.read("order", _one_of(("asc", "desc")), "asc" if ascending else "desc")
    return ProjectQuery(
        sort=sort,
        descending=order == "desc",
        conditions=tuple(_conditions(values)),
        fields=values.read("fields", _fields, tuple(PROJECT_FIELDS)),
        limit=values.read("limit", _whole(1), None),
        offset=values.read("offset", _whole(0), 0),
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


def _conditions(values: _Values) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    language = values.read("language", str, None)
    if language is not None:
        shown = func.coalesce(Project.primary_language, "Unknown")
        found.append(func.lower(shown) == language.lower())
    text = values.read("q", str, None)
    if text:
        found.append(func.lower(Project.name).contains(text.lower(), autoescape=True))
    for name, column in (("private", Project.private), ("archived", Project.archived)):
        wanted = values.read(name, _boolean, None)
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


class _Values:
    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def read(self, name: str, parse: Callable[[str], T], default: T | Any) -> T | Any:
        """Return a parameter's value; raise BadParameter where it cannot be used."""
        if name not in self._values:
            return default
        try:
            return parse(self._values[name])
        except ValueError as error:
            raise BadParameter(f"{name}: {error}") from None


def _only_known(arguments: MultiDict[str, str]) -> _Values:
    for name, given in arguments.lists():
        if name not in PARAMETERS:
            raise BadParameter(f"there is no parameter {name[:60]!a} here")
        if len(given) > 1:
            raise BadParameter(f"{name}: it is given more than once")
    return _Values(arguments.to_dict())


def _one_of(words: Mapping[str, Any] | tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"right is one of {', '.join(words)}")
        return text

    return parse


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= LARGEST:
            raise ValueError(f"right is a whole number from {least} to {LARGEST}")
        return int(text)

    return parse


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("right is true or false")
    return text == "true"


def _fields(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in PROJECT_FIELDS:
            raise ValueError(f"there is no field {name[:60]!a}")
    return names
