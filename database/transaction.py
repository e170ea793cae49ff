"""Writing in a short transaction of its own, repeated when the connection was lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from database.engine import db

T = TypeVar("T")

RETRY_FOR = 30.0
# Rows of one statement: SQLite allows 32,766 parameters, and a row has about ten.
CHUNK = 500


def run_in_transaction(work: Callable[[Session], T], retry_for: float = RETRY_FOR) -> T:
    """Run ``work`` in a transaction of its own and commit it.

    Where the database is away or locked, the whole transaction is repeated for ``retry_for``
    seconds. When a connection breaks during the commit, it is unknown whether it took place, so
    ``work`` must be safe to run twice: each change is conditional on the state that it changes.
    Raises the database's last error.
    """
    deadline = time.monotonic() + retry_for
    pause = 0.1
    while True:
        try:
            with Session(db.engine, expire_on_commit=False) as session, session.begin():
                return work(session)
        except DBAPIError as error:
            if not _may_pass(error) or time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(pause * 2, 2.0)


def _may_pass(error: DBAPIError) -> bool:
    """Return whether a later try may succeed: a lost connection, a lock, a deadlock."""
    if error.connection_invalidated:
        return True
    if not isinstance(error, OperationalError):
        return False
    if db.engine.dialect.name == "sqlite":
        return "locked" in str(error.orig) or "busy" in str(error.orig)
    return True


def in_chunks(items: Sequence[T]) -> Iterator[list[T]]:
    """Split a sequence into lists short enough for one statement."""
    for start in range(0, len(items), CHUNK):
        yield list(items[start : start + CHUNK])
