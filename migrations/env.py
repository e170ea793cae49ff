"""Run the migrations on the application's database, one process at a time, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, text

from database.engine import db

# Any number that no other program uses for an advisory lock in this database.
LOCK = 7_105_239_864_231


@contextmanager
def locked(connection: Connection) -> Iterator[None]:
    """Run the block in a transaction for which other processes' migrations wait."""
    if connection.dialect.name == "sqlite":
        # A table is rebuilt by dropping the old one, which would delete all rows that refer to
        # it; and the pragma works outside a transaction only.
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        # Without it, the driver would commit each change to the schema by itself.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    try:
        yield
        connection.commit()
    finally:
        connection.rollback()
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def run() -> None:
    """Run them on a connection of the application's own engine."""
    with db.engine.connect() as connection, locked(connection):
        context.configure(connection=connection, target_metadata=db.metadata)
        context.run_migrations()


if context.is_offline_mode():
    raise CommandError("the migrations look at the database they change: --sql cannot be used")
run()
