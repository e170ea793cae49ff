"""Rows of refreshes: how long they are kept, and how dead ones are recovered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text, update

from config import PrivateMode
from database.types import db_now, utc_now
from models import RefreshJob, RefreshKind, RefreshStatus, RefreshTask, TaskState, db, recent_jobs
from refresh import listing_claim, store, tasks

pytestmark = pytest.mark.dialect


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Any:
    with app.app_context():
        yield


def add(count: int, status: str = "failed", prefix: str = "", **ago: float) -> None:
    """Add ended refreshes, a second apart, the last of them so long ago."""
    last = utc_now() - timedelta(**ago)
    db.session.execute(
        insert(RefreshJob),
        [
            {
                "id": f"{prefix}{status}-{number}",
                "status": status,
                "created_at": last - timedelta(seconds=number),
                "completed_at": last - timedelta(seconds=number),
                "rate_limit_remaining": 4000,
            }
            for number in range(count)
        ],
    )
    db.session.commit()


def ids() -> set[str]:
    db.session.rollback()
    return set(db.session.scalars(select(RefreshJob.id)))


def test_a_thousand_refreshes_are_kept_and_the_last_completed_one_among_them():
    add(1, "completed", days=60)
    add(1200, hours=1)

    refresh, _ = store.open_refresh(forced=False)

    kept = ids()
    assert len(kept) == 1000
    assert {refresh.id, "completed-0", "failed-0", "failed-997"} <= kept
    store.fail(refresh.id, "stopped")
    assert len(ids()) == 1000


def test_a_refresh_is_kept_for_ninety_days():
    add(2, "completed", days=91)
    add(3, "failed", days=91, prefix="old-")
    add(3, "failed", days=89)

    refresh, _ = store.open_refresh(forced=False)

    # Without the last completed one, it is not known when the next is due.
    assert ids() == {"completed-0", "failed-0", "failed-1", "failed-2", refresh.id}


def close_with(failures: int) -> RefreshJob:
    refresh, _ = store.open_refresh(forced=False)
    listing_claim.claim(refresh.id)
    db.session.execute(
        insert(RefreshTask),
        [
            {
                "refresh_id": refresh.id,
                "github_id": number,
                "position": number,
                "name": f"repo{number:05}",
                "facts": {},
                "state": TaskState.FAILED,
                "reason": "x" * 2000,
            }
            for number in range(failures)
        ],
    )
    db.session.execute(
        update(RefreshJob).values(planned_at=db_now(), total_repositories=failures + 1)
    )
    db.session.commit()
    closed = store.close_if_done(refresh.id)
    assert closed is not None
    return closed


def test_twenty_failures_are_named_and_the_others_counted():
    closed = close_with(10_000)

    message = closed.explain(PrivateMode.SHOW) or ""
    assert closed.status == RefreshStatus.COMPLETED
    assert message.startswith("10000 of 10001 repositories could not be measured: repo00000: x")
    assert message.count("repo") == 21  # the word "repositories", too
    assert message.endswith("; and 9980 more")
    assert len(message) < 12_000
    stored = db.session.get_one(RefreshJob, closed.id)
    assert stored.failed_repositories == 10_000
    assert len(stored.failures or ()) == 20


def test_twenty_failures_are_all_named():
    refresh = close_with(20)
    assert refresh.status == RefreshStatus.COMPLETED
    assert "more" not in (refresh.explain(PrivateMode.SHOW) or "")


def test_what_is_asked_of_refreshes_uses_an_index():
    add(5000, "failed")
    add(5000, "completed")
    on_sqlite = db.engine.dialect.name == "sqlite"
    db.session.execute(text("ANALYZE"))
    last_completed = (
        select(RefreshJob)
        .where(RefreshJob.status == "completed", RefreshJob.completed_at.isnot(None))
        .order_by(RefreshJob.completed_at.desc())
        .limit(1)
    )
    last_quota = (
        select(RefreshJob)
        .where(RefreshJob.rate_limit_remaining.isnot(None))
        .order_by(RefreshJob.created_at.desc())
        .limit(1)
    )
    for query in (recent_jobs(), last_completed, last_quota):
        sql = query.compile(db.engine, compile_kwargs={"literal_binds": True})
        plan = db.session.execute(text(f"EXPLAIN {'QUERY PLAN' if on_sqlite else ''} {sql}")).all()
        assert "ix_refresh_job" in str(plan), (str(sql), plan)


def die(refresh_id: str) -> None:
    """Set the last heartbeat of a refresh to a minute ago."""
    then = utc_now() - timedelta(minutes=1)
    db.session.execute(update(RefreshJob).values(heartbeat_at=then))
    db.session.execute(update(RefreshTask).values(heartbeat_at=then))
    db.session.commit()


def test_a_dead_refresh_is_taken_over_once_and_a_live_one_never():
    refresh, _ = store.open_refresh(forced=False)
    assert listing_claim.claim(refresh.id) == listing_claim.ListingClaim(1, False, RefreshKind.FULL)
    assert not tasks.take_over(refresh.id)

    die(refresh.id)

    assert store.find_dead() is not None
    assert tasks.take_over(refresh.id)
    assert not tasks.take_over(refresh.id)
    assert listing_claim.claim(refresh.id) == listing_claim.ListingClaim(2, False, RefreshKind.FULL)


def test_a_listing_whose_process_has_died_is_not_kept_alive_by_the_supervisor():
    refresh, _ = store.open_refresh(forced=False)
    listing_claim.claim(refresh.id)
    die(refresh.id)

    store.keep_waiting(refresh.id)

    assert listing_claim.is_unlisted(refresh.id)


def test_a_missing_heartbeat_is_an_old_one():
    db.session.add(RefreshJob(id="active", status=RefreshStatus.RUNNING))
    db.session.commit()
    store.end_abandoned()
    db.session.rollback()
    assert db.session.scalar(select(func.count()).where(RefreshJob.status == "failed")) == 1
