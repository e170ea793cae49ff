"""How long refreshes are kept."""

from __future__ import annotations

from sqlalchemy import case, delete, func, or_, select
from sqlalchemy.orm import Session

from database.types import older_than
from models import ACTIVE, RefreshJob, RefreshKind, RefreshStatus, RefreshTask

KEPT = 1000
"""No more refreshes than this are kept, and the last completed one in any case."""

KEPT_FOR = 90 * 86_400.0
"""A refresh is kept this long, unless it is the last completed one."""


def delete_tasks(session: Session, refresh_id: str) -> None:
    """Delete the tasks of a refresh that has ended."""
    session.execute(
        delete(RefreshTask)
        .where(RefreshTask.refresh_id == refresh_id)
        .execution_options(synchronize_session=False)
    )


def delete_old(session: Session) -> None:
    """Delete the refreshes that are too old or too many; the schedule needs the last completed."""
    last_completed = (
        select(RefreshJob.id)
        .where(
            RefreshJob.kind == RefreshKind.FULL,
            RefreshJob.status == RefreshStatus.COMPLETED,
            RefreshJob.completed_at.isnot(None),
        )
        .order_by(RefreshJob.completed_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    first = case((RefreshJob.id == last_completed, 0), else_=1)
    kept = select(RefreshJob.id).order_by(first, RefreshJob.created_at.desc()).limit(KEPT)
    session.execute(
        delete(RefreshJob)
        .where(
            RefreshJob.status.not_in(ACTIVE),
            RefreshJob.id != func.coalesce(last_completed, ""),
            or_(older_than(RefreshJob.created_at, KEPT_FOR), RefreshJob.id.not_in(kept)),
        )
        .execution_options(synchronize_session=False)
    )
