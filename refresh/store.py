"""The refresh store: rows of refreshes, opened, kept alive, closed, or ended when abandoned.

A row is active while it is queued or running, and the database allows one active row only. Every
change is a conditional UPDATE, so that of two processes that try the same step one succeeds and the
other gets to know it. Heartbeats are written and compared by the database's clock only.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from database.revision import raise_revision
from database.transaction import RETRY_FOR, run_in_transaction
from database.types import db_now, older_than
from models import (
    ACTIVE,
    EVERYTHING,
    FAILURES_NAMED,
    RefreshJob,
    RefreshKind,
    RefreshStatus,
    RefreshTask,
    TaskState,
)
from refresh import retention, wanted

# Seconds. Read where they are used, so that a process started for a test can shorten them.
BEAT = 10.0
"""A process that works on a refresh writes a heartbeat this often."""

DEAD_AFTER = 30.0
"""Work whose heartbeat is older than this has lost its process and may be taken over."""

ABANDONED_AFTER = 120.0
"""A running refresh that nobody took over within this time ends as failed."""

UNATTENDED_AFTER = 300.0
"""A queued refresh that no worker took up within this time ends as failed."""

STALLED_AFTER = 600.0
"""The workers' parent process keeps a refresh alive no longer than this without progress."""

SUPERVISE_EVERY = 10.0
"""The workers' parent process and the schedule check refreshes this often."""

RETRY_FAILED_AFTER = 900.0
"""The schedule does not start a refresh again sooner than this after one that failed."""

ANSWER_WITHIN = 2.0
"""A request waits for a database that is away no longer than this."""

MAX_CRASHES = 3
"""A task on which processes crashed this often fails."""

REASON_KEPT = 500
"""Characters of one repository's reason that are kept with a refresh."""

OPEN = (TaskState.QUEUED, TaskState.RUNNING)
UNATTENDED = "no worker took this refresh up: is `python worker.py` running?"
ABANDONED = "the process that was at work on this refresh died, and no other took it over"


def open_refresh(forced: bool, kind: RefreshKind = RefreshKind.FULL) -> tuple[RefreshJob, bool]:
    """Add a queued refresh, or find the active one; return the row and whether it is new.

    Adding a full one removes the request for one. Of several concurrent callers, one adds the row.
    """
    refresh_id = str(uuid.uuid4())

    def add(session: Session) -> RefreshJob:
        row = session.scalars(
            insert(RefreshJob)
            .values(
                id=refresh_id,
                status=RefreshStatus.QUEUED,
                created_at=db_now(),
                heartbeat_at=db_now(),
                forced=forced,
                kind=kind,
            )
            .returning(RefreshJob)
        ).one()
        if kind is RefreshKind.FULL:
            wanted.forget_everything(session)
        retention.delete_old(session)
        raise_revision(session)  # pages tell that a refresh is under way
        return row

    while True:
        active = find_active()
        if active is not None:
            return active, active.id == refresh_id
        try:
            return run_in_transaction(add), True
        except IntegrityError:
            continue  # another process opened one between the SELECT and the INSERT


def open_wanted() -> RefreshJob | None:
    """Add the refresh for the requested measurements that are due, unless one is active."""
    due = wanted.find_due()
    if not due or find_active() is not None:
        return None
    everything = due.get(EVERYTHING)
    if everything is None:
        refresh, is_new = open_refresh(False, RefreshKind.SINGLE)
    else:
        refresh, is_new = open_refresh(everything.forced)
    return refresh if is_new else None


def find_refresh(refresh_id: str) -> RefreshJob | None:
    """Fetch one refresh."""
    return run_in_transaction(lambda session: session.get(RefreshJob, refresh_id))


def find_active(retry_for: float = RETRY_FOR) -> RefreshJob | None:
    """Fetch the refresh that is queued or running."""
    return _find(RefreshJob.status.in_(ACTIVE), retry_for)


def find_dead(retry_for: float = RETRY_FOR) -> RefreshJob | None:
    """Fetch the active refresh if the process that worked on it has died."""
    dead = older_than(RefreshJob.heartbeat_at, DEAD_AFTER)
    return _find(and_(RefreshJob.status.in_(ACTIVE), dead), retry_for)


def _find(which: ColumnElement[bool], retry_for: float) -> RefreshJob | None:
    return run_in_transaction(
        lambda session: session.scalar(select(RefreshJob).where(which)), retry_for
    )


def find_last(status: RefreshStatus) -> RefreshJob | None:
    """Fetch the last full refresh that ended with this status."""
    return run_in_transaction(
        lambda session: session.scalar(
            select(RefreshJob)
            .where(
                RefreshJob.kind == RefreshKind.FULL,
                RefreshJob.status == status,
                RefreshJob.completed_at.isnot(None),
            )
            .order_by(RefreshJob.completed_at.desc())
            .limit(1)
        )
    )


def find_last_forced() -> RefreshJob | None:
    """Fetch the last forced refresh, whatever its status."""
    return run_in_transaction(
        lambda session: session.scalar(
            select(RefreshJob)
            .where(RefreshJob.forced)
            .order_by(RefreshJob.created_at.desc())
            .limit(1)
        )
    )


def fetch_time() -> datetime:
    """Return the time of the database's clock, to compare with stored timestamps."""
    return run_in_transaction(lambda session: session.scalars(select(db_now())).one())


def beat(refresh_id: str) -> None:
    """Write a heartbeat for an active refresh, from a process that works on it."""
    _beat(RefreshJob.id == refresh_id)


def keep_waiting(refresh_id: str) -> None:
    """Write a heartbeat for a refresh that waits for workers, from a process that has some.

    Not for one that is being listed, or the death of the process that lists it would go unnoticed.
    """
    waits = or_(RefreshJob.status == RefreshStatus.QUEUED, RefreshJob.planned_at.isnot(None))
    _beat(and_(RefreshJob.id == refresh_id, waits))


def _beat(which: ColumnElement[bool]) -> None:
    run_in_transaction(
        lambda session: session.execute(
            update(RefreshJob)
            .where(which, RefreshJob.status.in_(ACTIVE))
            .values(heartbeat_at=db_now())
        ),
        retry_for=0,
    )


def revive(session: Session, refresh_id: str) -> bool:
    """Take over an active refresh whose process has died, and return whether this call did it."""
    revived = session.execute(
        update(RefreshJob)
        .where(
            RefreshJob.id == refresh_id,
            RefreshJob.status.in_(ACTIVE),
            older_than(RefreshJob.heartbeat_at, DEAD_AFTER),
        )
        .values(
            # An interrupted listing can be claimed again.
            status=case(
                (RefreshJob.planned_at.is_(None), RefreshStatus.QUEUED), else_=RefreshJob.status
            ),
            heartbeat_at=db_now(),
        )
    )
    return revived.rowcount == 1  # type: ignore[attr-defined,no-any-return]


def note_rate_limit(refresh_id: str, until: datetime) -> None:
    """Save that GitHub's quota is used up, so that no process of this refresh sends requests."""
    run_in_transaction(
        lambda session: session.execute(
            update(RefreshJob)
            .where(RefreshJob.id == refresh_id)
            .values(rate_limit_remaining=0, rate_limit_reset_at=until)
        )
    )


def close_if_done(refresh_id: str) -> RefreshJob | None:
    """Complete a refresh in which nothing is left to do; return its row if this call did it.

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
            .values(status=RefreshStatus.COMPLETED, completed_at=db_now(), heartbeat_at=db_now())
            .returning(RefreshJob)
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        row.failures, row.failed_repositories = _collect_failures(session, refresh_id)
        if row.failures and row.failed_repositories == row.total_repositories:
            row.status = RefreshStatus.FAILED
        session.flush()
        retention.delete_tasks(session, refresh_id)
        retention.delete_old(session)
        raise_revision(session)  # answers tell when the figures were refreshed
        return row

    return run_in_transaction(close)


def _collect_failures(session: Session, refresh_id: str) -> tuple[list[dict[str, Any]], int]:
    """Return the first failures of a refresh by name, and how many there are."""
    failed = (RefreshTask.refresh_id == refresh_id, RefreshTask.state == TaskState.FAILED)
    first = session.scalars(
        select(RefreshTask).where(*failed).order_by(RefreshTask.name).limit(FAILURES_NAMED)
    )
    named = [
        {"name": task.name, "private": task.private, "reason": (task.reason or "")[:REASON_KEPT]}
        for task in first
    ]
    return named, session.scalar(select(func.count()).where(*failed)) or 0


def fail(refresh_id: str, message: str) -> bool:
    """End an active refresh as failed, with a message that is safe to show.

    Figures that were already saved stay. Returns whether this call ended it.
    """
    return run_in_transaction(lambda session: _fail(session, RefreshJob.id == refresh_id, message))


def end_abandoned(retry_for: float = RETRY_FOR) -> None:
    """End as failed the active refresh that nobody has worked on for too long."""
    unattended = and_(
        RefreshJob.status == RefreshStatus.QUEUED,
        older_than(RefreshJob.heartbeat_at, UNATTENDED_AFTER),
    )
    abandoned = and_(
        RefreshJob.status == RefreshStatus.RUNNING,
        older_than(RefreshJob.heartbeat_at, ABANDONED_AFTER),
    )
    if _find(or_(unattended, abandoned), retry_for) is None:
        return  # the usual case is one indexed read without a write lock
    run_in_transaction(lambda session: _fail(session, unattended, UNATTENDED))
    run_in_transaction(lambda session: _fail(session, abandoned, ABANDONED))


def _fail(session: Session, which: ColumnElement[bool], message: str) -> bool:
    ended = session.scalars(
        update(RefreshJob)
        .where(which, RefreshJob.status.in_(ACTIVE))
        .values(status=RefreshStatus.FAILED, completed_at=db_now(), error_message=message)
        .returning(RefreshJob.id)
    ).all()
    for refresh_id in ended:
        wanted.want_unfinished(session, refresh_id)
        retention.delete_tasks(session, refresh_id)
        retention.delete_old(session)
        raise_revision(session)  # pages tell why it failed
    return bool(ended)
