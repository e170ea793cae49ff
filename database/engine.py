"""The database connection: `db`, its engine's options, and the kinds of its errors."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, Final

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase

LOCK_WAIT: Final = 30.0
"""How many seconds a writer waits for another one on SQLite."""

NO_DATABASE: Final = "the database does not answer"
"""The public message for an unreachable database."""


class Base(DeclarativeBase):
    """The base class of the tables; every constraint is named.

    The names are PostgreSQL's defaults, so that tables older than this convention have the same.
    """

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )


db = SQLAlchemy(model_class=Base)


def is_unavailable(error: SQLAlchemyError) -> bool:
    """Return whether an error means that the database is away, full or locked."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return code & 0xFF not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


class SQLiteConnection(sqlite3.Connection):
    """A connection to a file in which readers and one writer do not block each other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA foreign_keys = ON")
        # With a write-ahead log this keeps the file sound without waiting for the disk at every
        # commit; a power cut may undo the last refresh's rows, which the next one writes again.
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
    """Return SQLALCHEMY_ENGINE_OPTIONS for a database URL in SQLAlchemy's form."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        # A transaction begins with its first write and takes the write lock there and then, for
        # which it can wait. One that began with a read would fail at its first write if
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
        # Notice that the server was restarted before a request fails on a dead connection.
        "pool_pre_ping": True,
        # Small databases allow 20 connections to all processes together.
        "pool_size": 5,
        "max_overflow": 3,
        # Parameters may be about private repositories, and errors end up in logs.
        "hide_parameters": True,
        "connect_args": {k: v for k, v in arguments.items() if k not in parsed.query},
    }


_inherited: list[Any] = []


def forget_connections(app: Flask) -> None:
    """Stop using the parent's connections; call it in a child right after the fork."""
    with app.app_context():
        for engine in db.engines.values():
            # Referenced for good: a collected connection is closed, and closing one here would end
            # the parent's session on the server.
            _inherited.append(engine.pool)
            engine.dispose(close=False)
