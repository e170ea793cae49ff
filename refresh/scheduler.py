"""The clock that looks every few seconds whether a refresh is due."""

from __future__ import annotations

import logging
from collections.abc import Callable

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

from database.types import utc_now
from refresh import store
from refresh.schedule import Schedule

Look = Callable[[Flask, Schedule], None]


def start_scheduler(app: Flask, look: Look) -> None:
    """Call ``look`` every few seconds in a thread of its own, beginning now.

    Any number of schedulers may run: the database lets one refresh be opened.
    """
    scheduler = BackgroundScheduler(timezone="UTC", daemon=True)
    _add(scheduler, app, look)
    scheduler.start()


def run_scheduler(app: Flask, look: Look) -> None:
    """Call ``look`` every few seconds here until interrupted."""
    scheduler = BlockingScheduler(timezone="UTC")
    _add(scheduler, app, look)
    scheduler.start()


def _add(scheduler: BaseScheduler, app: Flask, look: Look) -> None:
    # It would warn at each look that finds the one before still busy with a refresh.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
    scheduler.add_job(
        look,
        IntervalTrigger(seconds=max(1, round(store.SUPERVISE_EVERY)), timezone="UTC"),
        args=[app, Schedule(app.config["SETTINGS"])],
        next_run_time=utc_now(),
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
    )
