"""The daily refresh: due when the database says so, not when this process has run long enough."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from config import Settings
from database import now
from errors import ProjectTrackerError
from jobs import Outcome, request_refresh
from models import RefreshStatus
from refresh import ledger, timing

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(minutes=1)


def is_due(settings: Settings, moment: datetime) -> bool:
    """Tell whether the schedule has a refresh to start at this moment.

    It has when the last completed one is REFRESH_INTERVAL_HOURS old or there is none, none is
    active, and the last failed one is not recent.
    """
    if settings.refresh_interval_hours == 0 or settings.github_access_token is None:
        return False
    if ledger.find_active() is not None:
        return False
    interval = timedelta(hours=settings.refresh_interval_hours)
    pause = min(interval, timedelta(seconds=timing.RETRY_FAILED_AFTER))
    return _ended_before(RefreshStatus.COMPLETED, moment - interval) and _ended_before(
        RefreshStatus.FAILED, moment - pause
    )


def _ended_before(status: RefreshStatus, moment: datetime) -> bool:
    last = ledger.find_last(status)
    return last is None or last.completed_at is None or last.completed_at <= moment


def refresh_if_due(app: Flask) -> None:
    """Start the refresh that is due, if one is; faults are logged and left for the next look."""
    settings: Settings = app.extensions["settings"]
    with app.app_context():
        try:
            if not is_due(settings, now()):
                return
            ticket = request_refresh(settings, forced=False)
        except ProjectTrackerError as error:
            log.warning("the scheduled refresh did not run: %s", error)
            return
        if ticket.outcome is Outcome.QUEUED:
            log.info("the scheduled refresh is queued")


def start_schedule(app: Flask, scheduler: BaseScheduler | None = None) -> BaseScheduler:
    """Start a scheduler that looks every minute, beginning now, whether a refresh is due.

    Any number of schedulers may run: the database lets one refresh be opened.
    """
    scheduler = scheduler or BackgroundScheduler(timezone="UTC", daemon=True)
    scheduler.add_job(
        refresh_if_due,
        IntervalTrigger(seconds=int(LOOK_EVERY.total_seconds()), timezone="UTC"),
        args=[app],
        next_run_time=now(),
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
    )
    scheduler.start()
    return scheduler
