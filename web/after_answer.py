"""The thread that starts the refreshes for GitHub's events, after the answer.

Where there is a queue, it only puts the refresh there. Otherwise it waits for a refresh under way
and for repositories that were measured only just before, and measures in this process.
"""

from __future__ import annotations

import logging
import threading
import time

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

import cancel
import jobs
from config import Settings
from errors import Interrupted, ProjectTrackerError
from refresh import wanted
from refresh.connection import is_reachable

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Seconds between two checks whether a refresh has ended or something has become due."""

_lock = threading.Lock()
_running: set[Flask] = set()
_asked: set[Flask] = set()


def measure_after_answer() -> None:
    """Start the thread, unless it runs; it ends when nothing is left to measure."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    with _lock:
        _asked.add(app)
        if app in _running:
            return
        _running.add(app)
    # Not a daemon: a process that is stopped waits until its refresh has ended as failed.
    threading.Thread(target=_run, args=(app,), name="webhook").start()


def _run(app: Flask) -> None:
    try:
        with app.app_context():
            while not _measure(app):
                time.sleep(LOOK_EVERY)
    except Interrupted:
        log.info("what GitHub's events ask for is left to the next start")
        _end(app)
    except (ProjectTrackerError, SQLAlchemyError) as error:
        log.warning("what GitHub's events ask for has to wait: %s", type(error).__name__)
        _end(app)
    except BaseException:
        _end(app)
        raise


def _measure(app: Flask) -> bool:
    """Start what is due, and return whether the thread is to end."""
    settings: Settings = app.config["SETTINGS"]
    with _lock:
        _asked.discard(app)
    jobs.measure_wanted(settings)
    # On the queue, the process that ends a refresh starts the next one, and so do the workers.
    is_done = is_reachable(settings) or not wanted.is_waiting()
    with _lock:
        is_done = (is_done and app not in _asked) or cancel.is_stopped(None)
        if is_done:
            _running.discard(app)
    return is_done


def _end(app: Flask) -> None:
    with _lock:
        _running.discard(app)
