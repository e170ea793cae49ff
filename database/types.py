"""Column types that behave alike on SQLite and PostgreSQL, and the timestamps they hold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, DateTime, Dialect, Float, String, Text, literal, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


def utc_now() -> datetime:
    """Return the present time, aware, in UTC."""
    return datetime.now(UTC)


def utc_today() -> date:
    """Return the current day in UTC."""
    return utc_now().date()


def to_iso_utc(moment: datetime | None) -> str | None:
    """Return an aware timestamp as ISO 8601 in UTC to the second, ending in Z; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def clean_text(value: str) -> str:
    """Remove what one of the engines refuses: NUL characters and lone surrogates."""
    return value.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def clean_json(value: Any) -> Any:
    """Clean every text in a structure of dicts, lists and tuples, keys included."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_json(key): clean_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_json(item) for item in value]
    return value


class UTCDateTime(TypeDecorator[datetime]):
    """A timestamp, stored in UTC without a zone and read as an aware datetime.

    The first release stored its timestamps in this form. Raises ValueError for a naive datetime.
    """

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware timestamp into naive UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a timestamp without a time zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn naive UTC into an aware timestamp."""
        return None if value is None else value.replace(tzinfo=UTC)


class CleanText(TypeDecorator[str]):
    """Text that both engines accept: a VARCHAR where a length is given, else a TEXT."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose between VARCHAR and TEXT."""
        length = self.impl_instance.length  # type: ignore[attr-defined]
        return dialect.type_descriptor(Text() if length is None else String(length))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Clean the text."""
        return None if value is None else clean_text(value)


class CleanJSON(TypeDecorator[Any]):
    """A structure stored as JSON; None is NULL. A change inside the structure is not noticed."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Clean the texts in the structure."""
        return clean_json(value)


class _DatabaseTime(FunctionElement[datetime]):
    """The database clock's time, shifted by a number of seconds."""

    inherit_cache = True
    type = UTCDateTime()

    def __init__(self, seconds: float) -> None:
        super().__init__(literal(seconds, Float))


@compiles(_DatabaseTime, "sqlite")
def _sqlite_time(element: _DatabaseTime, compiler: SQLCompiler, **options: Any) -> str:
    # The text form in which SQLAlchemy stores a DateTime, so that the two compare.
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


@compiles(_DatabaseTime, "postgresql")
def _postgresql_time(element: _DatabaseTime, compiler: SQLCompiler, **options: Any) -> str:
    # Not now(), which stands still while a transaction waits for a lock.
    seconds = compiler.process(element.clauses, **options)
    return f"(timezone('utc', clock_timestamp()) + make_interval(secs => {seconds}))"


def db_now() -> ColumnElement[datetime]:
    """Return the SQL expression for the present time of the database's clock, in UTC.

    It is one clock for processes on several machines, whose own clocks differ.
    """
    return _DatabaseTime(0.0)


def db_in(seconds: float) -> ColumnElement[datetime]:
    """Return the time in so many seconds, of the database's clock, for an INSERT or UPDATE."""
    return _DatabaseTime(seconds)


def older_than(
    column: InstrumentedAttribute[datetime | None], seconds: float
) -> ColumnElement[bool]:
    """Return the condition that a timestamp is older than this, or missing, by that clock."""
    return or_(column.is_(None), column < _DatabaseTime(-seconds))


class iso_utc(FunctionElement[str]):
    """Return a UTCDateTime column in the form of `to_iso_utc`, made by the database."""

    name = "iso_utc"
    type = String()
    inherit_cache = True


@compiles(iso_utc, "sqlite")
def _iso_utc_sqlite(element: iso_utc, compiler: SQLCompiler, **options: Any) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {compiler.process(element.clauses, **options)})"


@compiles(iso_utc, "postgresql")
def _iso_utc_postgresql(element: iso_utc, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f'to_char({column}, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'


class json_text(FunctionElement[str]):
    """Return a CleanJSON column as text, without parsing it."""

    name = "json_text"
    type = Text()
    inherit_cache = True


@compiles(json_text)
def _json_text(element: json_text, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS TEXT)"


class json_members(FunctionElement[Any]):
    """Return a row with `key` and `value` for each member of a CleanJSON column's object."""

    name = "json_members"
    inherit_cache = True


@compiles(json_members, "sqlite")
def _json_members_sqlite(element: json_members, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(json_members, "postgresql")
def _json_members_postgresql(element: json_members, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each_text({compiler.process(element.clauses, **options)})"


class in_code_point_order(FunctionElement[str]):
    """Sort a text column as Python does, whatever the database's language is."""

    name = "in_code_point_order"
    type = String()
    inherit_cache = True


@compiles(in_code_point_order, "sqlite")
def _in_code_point_order_sqlite(
    element: in_code_point_order, compiler: SQLCompiler, **options: Any
) -> str:
    return compiler.process(element.clauses, **options)


@compiles(in_code_point_order, "postgresql")
def _in_code_point_order_postgresql(
    element: in_code_point_order, compiler: SQLCompiler, **options: Any
) -> str:
    return f'({compiler.process(element.clauses, **options)}) COLLATE "C"'
