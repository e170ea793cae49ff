"""Requested measurements: repositories that have changed according to GitHub's events.

An event adds a mark for its repository. A mark is served by the next refresh that lists the
repository, and removed in the transaction of that listing, unless another event has changed it
meanwhile. So any number of events cost one measurement now and one later.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from database.transaction import run_in_transaction
from database.types import db_in, older_than
from database.upsert import upsert
from models import (
    EVERYTHING,
    RefreshJob,
    RefreshKind,
    RefreshTask,
    TaskState,
    WantedMeasurement,
)

# Seconds. Read where they are used, so that a test can shorten them.
MEASURE_AGAIN_AFTER = 60.0
"""The least time between two measurements of a repository for events."""

RETRY_AFTER = 300.0
"""The time after which a request that GitHub could not answer is repeated."""

Marks = Mapping[int, int]
"""Marks by GitHub's ids."""


def want(session: Session, github_id: int, *, forced: bool = False) -> None:
    """Request the measurement of a repository, or of EVERYTHING."""
    mark = secrets.randbits(62)
    changed: dict[str, int] = {"mark": mark, "forced": True} if forced else {"mark": mark}
    values = {"github_id": github_id, "mark": mark, "forced": forced}
    upsert(session, WantedMeasurement, "github_id", values, changed)


def want_everything(*, forced: bool) -> None:
    """Request a full refresh as soon as the one under way has ended."""
    run_in_transaction(lambda session: want(session, EVERYTHING, forced=forced))


def want_unfinished(session: Session, refresh_id: str) -> None:
    """Request again the repositories that a refresh for events leaves unmeasured."""
    unfinished = session.scalars(
        select(RefreshTask.github_id)
        .join(RefreshJob, RefreshJob.id == RefreshTask.refresh_id)
        .where(
            RefreshTask.refresh_id == refresh_id,
            RefreshTask.state.in_((TaskState.QUEUED, TaskState.RUNNING)),
            RefreshJob.kind == RefreshKind.SINGLE,
        )
    ).all()
    for github_id in unfinished:
        want(session, github_id)


def forget_everything(session: Session) -> None:
    """Remove the request for a full refresh."""
    session.execute(delete(WantedMeasurement).where(WantedMeasurement.github_id == EVERYTHING))


def find_due() -> dict[int, WantedMeasurement]:
    """Return the requests that are due, by GitHub's id."""

    def find(session: Session) -> dict[int, WantedMeasurement]:
        due = select(WantedMeasurement).where(
            WantedMeasurement.mark.is_not(None), older_than(WantedMeasurement.not_before, 0)
        )
        return {row.github_id: row for row in session.scalars(due)}

    return run_in_transaction(find)


def find_marks() -> Marks:
    """Return the marks of all requests, due or not."""
    return run_in_transaction(_marks)


def is_waiting() -> bool:
    """Return whether there is any request, due or not."""
    return bool(find_marks())


def find_changed(session: Session, since: Marks) -> set[int]:
    """Return the ids whose marks have changed since other marks were read."""
    return {
        github_id for github_id, mark in _marks(session).items() if since.get(github_id) != mark
    }


def settle(session: Session, marks: Marks) -> None:
    """Remove served marks, except those that later events have changed."""
    for github_id, mark in marks.items():
        session.execute(
            update(WantedMeasurement)
            .where(WantedMeasurement.github_id == github_id, WantedMeasurement.mark == mark)
            .values(mark=None, not_before=db_in(MEASURE_AGAIN_AFTER))
            .execution_options(synchronize_session=False)
        )
    session.execute(
        delete(WantedMeasurement).where(
            WantedMeasurement.mark.is_(None), older_than(WantedMeasurement.not_before, 0)
        )
    )


def postpone(marks: Marks, seconds: float) -> None:
    """Postpone requests by some seconds."""
    run_in_transaction(
        lambda session: session.execute(
            update(WantedMeasurement)
            .where(WantedMeasurement.github_id.in_(marks))
            .values(not_before=db_in(seconds))
            .execution_options(synchronize_session=False)
        )
    )


def drop(marks: Marks) -> None:
    """Remove requests that cannot be served."""
    run_in_transaction(lambda session: settle(session, marks))


def _marks(session: Session) -> dict[int, int]:
    marked = select(WantedMeasurement.github_id, WantedMeasurement.mark).where(
        WantedMeasurement.github_id != EVERYTHING
    )
    return {row.github_id: row.mark for row in session.execute(marked) if row.mark is not None}
