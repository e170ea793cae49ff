"""The claim of a refresh's listing: one process lists, and writes only while it holds the claim."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session

from database.transaction import run_in_transaction
from database.types import db_now, older_than
from errors import Superseded
from models import RefreshJob, RefreshKind, RefreshStatus
from refresh import store


@dataclass(frozen=True)
class ListingClaim:
    """A claimed listing: its refresh and attempt."""

    attempt: int
    forced: bool
    kind: RefreshKind


def claim(refresh_id: str) -> ListingClaim | None:
    """Claim the listing of a refresh.

    Returns ``None`` where there is nothing to claim: the refresh has ended, its listing is done, or
    a living process has claimed it.
    """

    def write(session: Session) -> ListingClaim | None:
        row = session.execute(
            update(RefreshJob)
            .where(*_unlisted(refresh_id))
            .values(
                status=RefreshStatus.RUNNING,
                started_at=func.coalesce(RefreshJob.started_at, db_now()),
                heartbeat_at=db_now(),
                attempt=RefreshJob.attempt + 1,
            )
            .returning(RefreshJob.attempt, RefreshJob.forced, RefreshJob.kind)
        ).one_or_none()
        if row is None:
            return None
        return ListingClaim(row.attempt, row.forced, RefreshKind(row.kind))

    return run_in_transaction(write)


def is_unlisted(refresh_id: str) -> bool:
    """Return whether the listing of a refresh can be claimed."""
    which = select(RefreshJob.id).where(*_unlisted(refresh_id))
    return run_in_transaction(lambda session: session.scalar(which)) is not None


def _unlisted(refresh_id: str) -> tuple[ColumnElement[bool], ...]:
    lost = and_(
        RefreshJob.status == RefreshStatus.RUNNING,
        older_than(RefreshJob.heartbeat_at, store.DEAD_AFTER),
    )
    return (
        RefreshJob.id == refresh_id,
        RefreshJob.planned_at.is_(None),
        or_(RefreshJob.status == RefreshStatus.QUEUED, lost),
    )


def release(refresh_id: str, attempt: int) -> None:
    """Release an interrupted listing for another process."""
    run_in_transaction(
        lambda session: session.execute(
            update(RefreshJob)
            .where(*_listed_by(refresh_id, attempt))
            .values(status=RefreshStatus.QUEUED, heartbeat_at=db_now())
        )
    )


def hold(session: Session, refresh_id: str, attempt: int) -> None:
    """Lock the listing for this attempt until the end of the transaction.

    Raises Superseded when another process has taken it over or the refresh has ended.
    """
    held = session.execute(
        update(RefreshJob).where(*_listed_by(refresh_id, attempt)).values(heartbeat_at=db_now())
    )
    if held.rowcount != 1:  # type: ignore[attr-defined]
        raise Superseded("this refresh has ended or was taken over by another process")


def _listed_by(refresh_id: str, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return (
        RefreshJob.id == refresh_id,
        RefreshJob.attempt == attempt,
        RefreshJob.status == RefreshStatus.RUNNING,
        RefreshJob.planned_at.is_(None),
    )
