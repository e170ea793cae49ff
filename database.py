"""What both database engines need so that they behave alike: column types and connections."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, DateTime, Dialect, String, Text, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.types import TypeDecorator, TypeEngine

LOCK_WAIT: Final = 30.0
"""How many seconds a writer waits for another one on SQLite."""

NO_DATABASE: Final = "the database does not answer"
"""What the public is told then."""


def now() -> datetime:
    """Give the present instant, aware, in UTC."""
    return datetime.now(UTC)


def instant(moment: datetime | None) -> str | None:
    """Write an aware instant as ISO 8601 in UTC to the second, ending in Z; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def clean_text(value: str) -> str:
    """Leave out what one of the engines refuses: NUL characters and lone surrogates."""
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
    """Keep an instant as a UTC timestamp without a zone, and give it back aware.

    The first release kept its timestamps in this form. ValueError on a naive datetime.
    """

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware instant into naive UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant without a time zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn naive UTC into an aware instant."""
        return None if value is None else value.replace(tzinfo=UTC)


class CleanText(TypeDecorator[str]):
    """Keep text that both engines take: a VARCHAR where a length is given, else a TEXT."""

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
    """Keep a structure as JSON; None is NULL. A change inside the structure goes unnoticed."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Clean the texts in the structure."""
        return clean_json(value)


def is_unavailable(error: SQLAlchemyError) -> bool:
    """Tell a database that is away, full or locked from one that refuses what it was asked."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return code & 0xFF not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


class SQLiteConnection(sqlite3.Connection):
    """Open a file so that readers and one writer do not hinder each other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA foreign_keys = ON")
        # With a write-ahead log this keeps the file sound without waiting for the disk at every
        # commit; a power cut may undo the last refresh's rows, which the next one brings again.
        self.execute("PRAGMA synchronous = NORMAL")
        self._use_write_ahead_log()

    def _use_write_ahead_log(self) -> None:
        # SQLite does not wait for others when it changes the journal, whatever the timeout is.
        deadline = time.monotonic() + LOCK_WAIT
        while True:
            try:
                self.execute("PRAGMA journal_mode = WAL").fetchone()
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return


def engine_options(url: str) -> dict[str, Any]:
    """Give what SQLALCHEMY_ENGINE_OPTIONS needs for a database URL in SQLAlchemy's form."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        # A transaction begins with its first write and takes the write lock there and then, for
        # which it can wait. One that began with a read would fail at its first write at once if
        # another had written in between: "database is locked".
        return {
            "connect_args": {
                "factory": SQLiteConnection,
                "timeout": LOCK_WAIT,
                "isolation_level": "IMMEDIATE",
            },
            "hide_parameters": True,
        }
    arguments = {"connect_timeout": 5, "application_name": "project-tracker"}
    return {
        # A server that was restarted is noticed before a request is spent on a dead connection.
        "pool_pre_ping": True,
        # What is written may be about private repositories, and errors end up in logs.
        "hide_parameters": True,
        "connect_args": {k: v for k, v in arguments.items() if k not in parsed.query},
    }
