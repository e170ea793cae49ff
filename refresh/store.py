"""The rows of refreshes: opened, kept alive, closed, or ended when nobody is left to close them.

A row is active while it is queued or running, and the database allows one active row only. Every
change is a conditional UPDATE, so that of two processes that try the same step one succeeds and the
other is told so.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from database.transaction import PATIENCE, run_in_transaction
from database.types import utc_now
from errors import Superseded
from models import ACTIVE, RefreshJob, RefreshStatus, RefreshTask, TaskState

# Seconds. Read where they are used, so that a process started for a test can shorten them.
BEAT = 10.0
"""A process at work writes a heartbeat this often."""

DEAD_AFTER = 30.0
"""Work whose heartbeat is older than this has lost its process and may be taken over."""

ABANDONED_AFTER = 120.0
"""A running refresh that nobody took over within this time ends as failed."""

UNATTENDED_AFTER = 300.0
"""A queued refresh that no worker took up within this time ends as failed."""

STALLED_AFTER = 600.0
"""The workers' parent process keeps a refresh alive no longer than this without any progress."""

SUPERVISE_EVERY = 10.0
"""The worker's parent process looks after refreshes this often."""

RETRY_FAILED_AFTER = 900.0
"""The schedule does not start a refresh again sooner than this after one that failed."""

ANSWER_WITHIN = 2.0
"""A request waits for a database that is away no longer than this."""

MAX_DEATHS = 3
"""A piece of work whose process died this often is given up."""

OPEN = (TaskState.QUEUED, TaskState.RUNNING)
UNATTENDED = "no worker took this refresh up: is `python worker.py` running?"
ABANDONED = "the process that was at work on this refresh died, and no other took it over"


def open_refresh(forced: bool) -> tuple[RefreshJob, bool]:
    """Add a queued refresh, or find the one that is active.

    Gives the row and whether it is new. Of several callers at once, one adds the row.
    """
    while True:
        active = find_active()
        if active is not None:
            return active, False
        row = RefreshJob(
            id=str(uuid.uuid4()),
            status=RefreshStatus.QUEUED,
            created_at=utc_now(),
            heartbeat_at=utc_now(),
            forced=forced,
        )
        try:
            run_in_transaction(lambda session, row=row: session.add(row))  # type: ignore[misc]
        except IntegrityError:
            continue  # another process opened one between the look and the insert
        return row, True


def find_refresh(refresh_id: str) -> RefreshJob | None:
    """Fetch one refresh."""
    return run_in_transaction(lambda session: session.get(RefreshJob, refresh_id))


def find_active(patience: float = PATIENCE) -> RefreshJob | None:
    """Fetch the refresh that is queued or running, after ending one that nobody works on."""
    active = _fetch_active(patience)
    if active is None or not _is_abandoned(active):
        return active
    end_abandoned(patience)
    return _fetch_active(patience)


def _fetch_active(patience: float) -> RefreshJob | None:
    return run_in_transaction(
        lambda session: session.scalar(select(RefreshJob).where(RefreshJob.status.in_(ACTIVE))),
        patience,
    )


def _is_abandoned(active: RefreshJob) -> bool:
    running = active.status == RefreshStatus.RUNNING
    limit = ABANDONED_AFTER if running else UNATTENDED_AFTER
    beat = active.heartbeat_at
    return beat is None or beat < utc_now() - timedelta(seconds=limit)


def find_last(status: RefreshStatus) -> RefreshJob | None:
    """Fetch the refresh that was the last to end with this status."""
    return run_in_transaction(
        lambda session: session.scalar(
            select(RefreshJob)
            .where(RefreshJob.status == status, RefreshJob.completed_at.isnot(None))
            .order_by(RefreshJob.completed_at.desc())
            .limit(1)
        )
    )


def find_last_forced() -> RefreshJob | None:
    """Fetch the refresh that was the last to be forced, however it ended."""
    return run_in_transaction(
        lambda session: session.scalar(
            select(RefreshJob)
            .where(RefreshJob.forced)
            .order_by(RefreshJob.created_at.desc())
            .limit(1)
        )
    )


def claim_listing(refresh_id: str) -> tuple[int, bool] | None:
    """Take on the listing of a refresh; give the number of this attempt and whether it is forced.

    Gives ``None`` where there is nothing to take on: the refresh has ended, its listing is done, or
    a process whose heart beats is at it.
    """

    def claim(session: Session) -> tuple[int, bool] | None:
        moment = utc_now()
        row = session.execute(
            update(RefreshJob)
            .where(
                RefreshJob.id == refresh_id,
                RefreshJob.planned_at.is_(None),
                or_(
                    RefreshJob.status == RefreshStatus.QUEUED,
                    and_(
                        RefreshJob.status == RefreshStatus.RUNNING, _dead(RefreshJob.heartbeat_at)
                    ),
                ),
            )
            .values(
                status=RefreshStatus.RUNNING,
                started_at=func.coalesce(RefreshJob.started_at, moment),
                heartbeat_at=moment,
                attempt=RefreshJob.attempt + 1,
            )
            .returning(RefreshJob.attempt, RefreshJob.forced)
        ).one_or_none()
        return None if row is None else (row.attempt, row.forced)

    return run_in_transaction(claim)


def release_listing(refresh_id: str, attempt: int) -> None:
    """Hand a listing that was interrupted back, for another process to take on."""
    run_in_transaction(
        lambda session: session.execute(
            update(RefreshJob)
            .where(
                RefreshJob.id == refresh_id,
                RefreshJob.attempt == attempt,
                RefreshJob.status == RefreshStatus.RUNNING,
                RefreshJob.planned_at.is_(None),
            )
            .values(status=RefreshStatus.QUEUED, heartbeat_at=utc_now())
        )
    )


def hold(session: Session, refresh_id: str, attempt: int) -> None:
    """Make sure that this attempt still owns the listing, to the end of the transaction.

    Raises Superseded when another process has taken it over or the refresh has ended.
    """
    held = session.execute(
        update(RefreshJob)
        .where(
            RefreshJob.id == refresh_id,
            RefreshJob.attempt == attempt,
            RefreshJob.status == RefreshStatus.RUNNING,
            RefreshJob.planned_at.is_(None),
        )
        .values(heartbeat_at=utc_now())
    )
    if held.rowcount != 1:  # type: ignore[attr-defined]
        raise Superseded("this refresh has ended or was taken over by another process")


def beat(refresh_id: str) -> None:
    """Write a sign of life for a refresh that is active."""
    run_in_transaction(
        lambda session: session.execute(
            update(RefreshJob)
            .where(RefreshJob.id == refresh_id, RefreshJob.status.in_(ACTIVE))
            .values(heartbeat_at=utc_now())
        ),
        patience=0,
    )


def close_if_done(refresh_id: str) -> RefreshJob | None:
    """Complete a refresh in which nothing is left to do, and give its row if this call did it.

    Any number of processes may call it at the same time: one of them closes the refresh.
    """

    def close(session: Session) -> RefreshJob | None:
        row = session.scalar(
            update(RefreshJob)
            .where(
                RefreshJob.id == refresh_id,
                RefreshJob.status == RefreshStatus.RUNNING,
                RefreshJob.planned_at.isnot(None),
                ~exists().where(RefreshTask.refresh_id == refresh_id, RefreshTask.state.in_(OPEN)),
            )
            .values(status=RefreshStatus.COMPLETED, completed_at=utc_now(), heartbeat_at=utc_now())
            .returning(RefreshJob)
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        failed = session.scalars(
            select(RefreshTask)
            .where(RefreshTask.refresh_id == refresh_id, RefreshTask.state == TaskState.FAILED)
            .order_by(RefreshTask.name)
        )
        row.failures = [
            {"name": task.name, "private": task.private, "reason": task.reason} for task in failed
        ]
        if row.failures and len(row.failures) == row.total_repositories:
            row.status = RefreshStatus.FAILED
        _drop_tasks(session, refresh_id)
        return row

    return run_in_transaction(close)


def fail(refresh_id: str, message: str) -> bool:
    """End an active refresh as failed, with a message fit for the public.

    Figures that were already saved stay. Tells whether this call ended it.
    """
    return run_in_transaction(lambda session: _fail(session, RefreshJob.id == refresh_id, message))


def end_abandoned(patience: float = PATIENCE) -> None:
    """End as failed the active refresh that nobody has worked on for too long."""
    unattended = and_(
        RefreshJob.status == RefreshStatus.QUEUED,
        _older(RefreshJob.heartbeat_at, UNATTENDED_AFTER),
    )
    abandoned = and_(
        RefreshJob.status == RefreshStatus.RUNNING,
        _older(RefreshJob.heartbeat_at, ABANDONED_AFTER),
    )
    either = run_in_transaction(
        lambda session: session.scalar(select(RefreshJob.id).where(or_(unattended, abandoned))),
        patience,
    )
    if either is None:
        return  # the ordinary case costs one indexed read and no write lock
    run_in_transaction(lambda session: _fail(session, unattended, UNATTENDED))
    run_in_transaction(lambda session: _fail(session, abandoned, ABANDONED))


def _fail(session: Session, which: ColumnElement[bool], message: str) -> bool:
    ended = session.scalars(
        update(RefreshJob)
        .where(which, RefreshJob.status.in_(ACTIVE))
        .values(status=RefreshStatus.FAILED, completed_at=utc_now(), error_message=message)
        .returning(RefreshJob.id)
    ).all()
    for refresh_id in ended:
        _drop_tasks(session, refresh_id)
    return bool(ended)


def _drop_tasks(session: Session, refresh_id: str) -> None:
    session.query(RefreshTask).filter_by(refresh_id=refresh_id).delete(synchronize_session=False)


def _dead(column: InstrumentedAttribute[datetime | None]) -> ColumnElement[bool]:
    return _older(column, DEAD_AFTER)


def _older(column: InstrumentedAttribute[datetime | None], seconds: float) -> ColumnElement[bool]:
    return or_(column.is_(None), column < utc_now() - timedelta(seconds=seconds))
