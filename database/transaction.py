"""One way to write: a short transaction of its own, tried again when the connection was lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from database.engine import db

T = TypeVar("T")

RETRY_FOR = 30.0
# What one statement takes: SQLite allows 32,766 parameters, and a row has about ten.
CHUNK = 500


def run_in_transaction(work: Callable[[Session], T], retry_for: float = RETRY_FOR) -> T:
    """Run ``work`` in a transaction of its own and commit it.

    Where the database went away or was locked, the whole transaction is tried again for
    ``retry_for`` seconds. When a connection breaks during the commit nobody can know whether it
    took place, so ``work`` must be safe to run twice: every piece of it is guarded by the state
    that it changes. Raises what the database raised last.
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
    """Tell whether a later try may succeed: a lost connection, a lock, a deadlock."""
    if error.connection_invalidated:
        return True
    if not isinstance(error, OperationalError):
        return False
    if db.engine.dialect.name == "sqlite":
        return "locked" in str(error.orig) or "busy" in str(error.orig)
    return True


def in_chunks(items: Sequence[T]) -> Iterator[list[T]]:
    """Cut a sequence into lists that one statement can take."""
    for start in range(0, len(items), CHUNK):
        yield list(items[start : start + CHUNK])
