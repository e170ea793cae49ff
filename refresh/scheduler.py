"""The timer that checks every few seconds whether a refresh is due."""

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
    """Call ``look`` every few seconds in a new thread, starting now.

    Any number of schedulers may run: the database allows one active refresh.
    """
    scheduler = BackgroundScheduler(timezone="UTC", daemon=True)
    _add(scheduler, app, look)
    scheduler.start()


def run_scheduler(app: Flask, look: Look) -> None:
    """Call ``look`` every few seconds in this thread until interrupted."""
    scheduler = BlockingScheduler(timezone="UTC")
    _add(scheduler, app, look)
    scheduler.start()


def _add(scheduler: BaseScheduler, app: Flask, look: Look) -> None:
    # It would log a warning for each call during which an earlier one still runs a refresh.
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
