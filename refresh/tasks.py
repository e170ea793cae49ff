"""The tasks of a refresh, one for each repository: claimed, finished, released, rescued.

A claim raises the task's attempt, and whoever finishes must name the attempt that it claimed. A
process that was thought dead and wakes up later finds its attempt outdated and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, select, tuple_, update
from sqlalchemy.orm import Session

from database.transaction import run_in_transaction
from database.types import db_now, older_than
from errors import Superseded
from github_api import Repository
from models import RefreshJob, RefreshStatus, RefreshTask, TaskState
from refresh import store


@dataclass(frozen=True)
class Task:
    """A claimed task: its refresh, repository and attempt."""

    refresh_id: str
    attempt: int
    forced: bool
    repository: Repository
    # The time until which GitHub's quota is used up, as far as this refresh knows.
    limited_until: datetime | None = None
    # Patterns of the noreply addresses of the token's user.
    own_addresses: tuple[str, ...] = ()


def claim_next(refresh_id: str, *, crashed: bool = False) -> Task | None:
    """Claim the next repository of a running refresh, the largest first.

    `crashed` selects tasks on which a process has crashed, which are skipped otherwise. Returns
    ``None`` where none is left. A task whose process died may be claimed again.
    """

    def claim(session: Session) -> Task | None:
        following = (
            select(RefreshTask.github_id)
            .join(RefreshJob, RefreshJob.id == RefreshTask.refresh_id)
            .where(
                RefreshTask.refresh_id == refresh_id,
                RefreshJob.status == RefreshStatus.RUNNING,
                RefreshTask.state == TaskState.QUEUED,
                RefreshTask.crashes > 0 if crashed else RefreshTask.crashes == 0,
            )
            .order_by(RefreshTask.position)
            .limit(1)
            .with_for_update(of=RefreshTask, skip_locked=True)
            .scalar_subquery()
        )
        row = session.execute(
            update(RefreshTask)
            .where(
                RefreshTask.refresh_id == refresh_id,
                RefreshTask.github_id == following,
                RefreshTask.state == TaskState.QUEUED,
            )
            .values(
                state=TaskState.RUNNING,
                attempt=RefreshTask.attempt + 1,
                heartbeat_at=db_now(),
            )
            .returning(RefreshTask.attempt, RefreshTask.facts)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if row is None:
            return None
        refresh = session.execute(
            select(
                RefreshJob.forced,
                RefreshJob.rate_limit_remaining,
                RefreshJob.rate_limit_reset_at,
                RefreshJob.own_addresses,
            ).where(RefreshJob.id == refresh_id)
        ).one()
        return Task(
            refresh_id,
            row.attempt,
            refresh.forced,
            Repository.from_json(row.facts),
            refresh.rate_limit_reset_at if refresh.rate_limit_remaining == 0 else None,
            tuple(refresh.own_addresses or ()),
        )

    return run_in_transaction(claim)


def finish(task: Task, reason: str | None, save: Callable[[Session], None]) -> None:
    """Record a task's end, count it, and save its result, all in one transaction.

    ``reason`` is why it failed, or ``None``. Raises Superseded, with nothing written, when the task
    was taken over or its refresh has ended.
    """

    def write(session: Session) -> None:
        mine = session.execute(
            update(RefreshTask)
            .where(*_owned(task))
            .values(
                state=TaskState.DONE if reason is None else TaskState.FAILED,
                reason=reason,
                heartbeat_at=db_now(),
            )
            .execution_options(synchronize_session=False)
        )
        counted = session.execute(
            update(RefreshJob)
            .where(RefreshJob.id == task.refresh_id, RefreshJob.status == RefreshStatus.RUNNING)
            .values(
                repositories_processed=RefreshJob.repositories_processed + 1,
                heartbeat_at=db_now(),
            )
            .execution_options(synchronize_session=False)
        )
        if mine.rowcount != 1 or counted.rowcount != 1:  # type: ignore[attr-defined]
            raise Superseded("this repository was taken over by another process")
        save(session)

    run_in_transaction(write)


def release(task: Task) -> None:
    """Release an interrupted task, without counting a crash."""
    run_in_transaction(
        lambda session: session.execute(
            update(RefreshTask)
            .where(*_owned(task))
            .values(state=TaskState.QUEUED, heartbeat_at=None)
            .execution_options(synchronize_session=False)
        )
    )


def withdraw(session: Session, github_id: int) -> None:
    """End an active refresh's task for a repository whose row is removed.

    A process that works on it finds its attempt outdated, and writes nothing.
    """
    withdrawn = session.scalars(
        update(RefreshTask)
        .where(RefreshTask.github_id == github_id, RefreshTask.state.in_(store.OPEN))
        .values(state=TaskState.DONE)
        .returning(RefreshTask.refresh_id)
        .execution_options(synchronize_session=False)
    ).all()
    session.execute(
        update(RefreshJob)
        .where(RefreshJob.id.in_(withdrawn), RefreshJob.status == RefreshStatus.RUNNING)
        .values(repositories_processed=RefreshJob.repositories_processed + 1)
        .execution_options(synchronize_session=False)
    )


def beat(tasks: Iterable[Task]) -> None:
    """Write a heartbeat for tasks that are being worked on, and for their refresh."""
    tasks = list(tasks)
    keys = [(t.refresh_id, t.repository.github_id, t.attempt) for t in tasks]

    def write(session: Session) -> None:
        session.execute(
            update(RefreshTask)
            .where(
                tuple_(RefreshTask.refresh_id, RefreshTask.github_id, RefreshTask.attempt).in_(
                    keys
                ),
                RefreshTask.state == TaskState.RUNNING,
            )
            .values(heartbeat_at=db_now())
            .execution_options(synchronize_session=False)
        )
        session.execute(
            update(RefreshJob)
            .where(
                RefreshJob.id.in_({t.refresh_id for t in tasks}),
                RefreshJob.status == RefreshStatus.RUNNING,
            )
            .values(heartbeat_at=db_now())
            .execution_options(synchronize_session=False)
        )

    if keys:
        run_in_transaction(write, retry_for=0)


def rescue(refresh_id: str) -> int:
    """Release the tasks whose process has died, and return how many are now waiting."""

    def free(session: Session) -> int:
        _free(session, refresh_id, older_than(RefreshTask.heartbeat_at, store.DEAD_AFTER))
        return _count_waiting(session, refresh_id)

    return run_in_transaction(free)


def take_over(refresh_id: str) -> bool:
    """Take over a refresh whose processes have all died, and release their tasks.

    Returns whether this call took it over: of several processes that try, one succeeds.
    """

    def take(session: Session) -> bool:
        taken = store.revive(session, refresh_id)
        if taken:
            _free(session, refresh_id)
        return taken

    return run_in_transaction(take)


def count_waiting(refresh_id: str) -> int:
    """Return the number of unclaimed tasks."""
    return run_in_transaction(lambda session: _count_waiting(session, refresh_id))


def _free(session: Session, refresh_id: str, *which: ColumnElement[bool]) -> None:
    """Make running tasks wait again.

    A task on which processes crashed ``store.MAX_CRASHES`` times fails, so that its repository
    cannot crash every process.
    """
    lost = and_(
        RefreshTask.refresh_id == refresh_id, RefreshTask.state == TaskState.RUNNING, *which
    )
    given_up = session.execute(
        update(RefreshTask)
        .where(lost, RefreshTask.crashes + 1 >= store.MAX_CRASHES)
        .values(
            state=TaskState.FAILED,
            reason=f"the process that measured it died {store.MAX_CRASHES} times",
        )
        .execution_options(synchronize_session=False)
    ).rowcount  # type: ignore[attr-defined]
    session.execute(
        update(RefreshTask)
        .where(lost)
        .values(state=TaskState.QUEUED, crashes=RefreshTask.crashes + 1, heartbeat_at=None)
        .execution_options(synchronize_session=False)
    )
    if given_up:
        session.execute(
            update(RefreshJob)
            .where(RefreshJob.id == refresh_id, RefreshJob.status == RefreshStatus.RUNNING)
            .values(repositories_processed=RefreshJob.repositories_processed + given_up)
            .execution_options(synchronize_session=False)
        )


def _count_waiting(session: Session, refresh_id: str) -> int:
    waiting = session.scalar(
        select(func.count())
        .select_from(RefreshTask)
        .where(RefreshTask.refresh_id == refresh_id, RefreshTask.state == TaskState.QUEUED)
    )
    return waiting or 0


def _owned(task: Task) -> tuple[ColumnElement[bool], ...]:
    return (
        RefreshTask.refresh_id == task.refresh_id,
        RefreshTask.github_id == task.repository.github_id,
        RefreshTask.attempt == task.attempt,
        RefreshTask.state == TaskState.RUNNING,
    )
