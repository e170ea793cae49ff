"""The daily refresh: due when the database says so, not when this process has run long enough."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from config import Settings
from database.types import utc_now
from models import RefreshStatus
from refresh import store

CHECK_INTERVAL = timedelta(minutes=1)


def is_due(settings: Settings, moment: datetime) -> bool:
    """Return whether the schedule has a refresh to start at this moment.

    It has when the last completed one is REFRESH_INTERVAL_HOURS old or there is none, none is
    active, and the last failed one is not recent.
    """
    if settings.refresh_interval_hours == 0 or settings.github_access_token is None:
        return False
    if store.find_active() is not None:
        return False
    interval = timedelta(hours=settings.refresh_interval_hours)
    pause = min(interval, timedelta(seconds=store.RETRY_FAILED_AFTER))
    return _ended_before(RefreshStatus.COMPLETED, moment - interval) and _ended_before(
        RefreshStatus.FAILED, moment - pause
    )


def _ended_before(status: RefreshStatus, moment: datetime) -> bool:
    last = store.find_last(status)
    return last is None or last.completed_at is None or last.completed_at <= moment


def start_schedule(
    app: Flask, refresh_if_due: Callable[[Flask], None], scheduler: BaseScheduler | None = None
) -> BaseScheduler:
    """Start a scheduler that calls `refresh_if_due` every minute, beginning now.

    Any number of schedulers may run: the database lets one refresh be opened.
    """
    scheduler = scheduler or BackgroundScheduler(timezone="UTC", daemon=True)
    scheduler.add_job(
        refresh_if_due,
        IntervalTrigger(seconds=int(CHECK_INTERVAL.total_seconds()), timezone="UTC"),
        args=[app],
        next_run_time=utc_now(),
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
    )
    scheduler.start()
    return scheduler
