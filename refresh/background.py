"""Growth after refreshes: on the queue of lower priority, or without Redis in a thread."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

import cancel
from config import Settings
from errors import Interrupted, QueueUnavailable
from refresh import growth, queue, store
from refresh.connection import is_reachable

log = logging.getLogger(__name__)

NICENESS = 10
LOOK_EVERY = 1.0
"""Seconds between two checks for a refresh that needs the worker."""

_lock = threading.Lock()
_running = False
_requested = False


def enqueue_growth(settings: Settings) -> None:
    """Enqueue a job for each project that lacks growth. Raises QueueUnavailable."""
    lacking = growth.count_lacking(settings)
    if lacking:
        queue.enqueue_growth(settings, lacking)


def start_missing_growth(app: Flask, settings: Settings) -> None:
    """Measure missing growth in a thread, unless there is a queue."""
    if growth.count_lacking(settings) and not is_reachable(settings):
        start_growth(app, settings)


def start_growth(app: Flask, settings: Settings) -> None:
    """Start the thread that measures growth, unless it runs; the process's end waits for it.

    cancel.stop_all() ends it; saved months stay.
    """
    global _running, _requested
    with _lock:
        _requested = True
        if not _running:
            _running = True
            threading.Thread(target=_run, args=(app, settings), name="growth").start()


def _run(app: Flask, settings: Settings) -> None:
    global _running
    _lower_priority()
    while _take_request():
        with app.app_context():
            try:
                growth.measure_all(settings)
            except Interrupted as error:
                log.info("growth is left to be resumed: %s", error)
            except SQLAlchemyError as error:
                log.warning("growth is left to be resumed: %s", type(error).__name__)


def _take_request() -> bool:
    """Return whether growth was requested since the last call; if not, the thread ends."""
    global _running, _requested
    with _lock:
        _running, _requested = _requested, False
        return _running


@contextlib.contextmanager
def giving_way(app: Flask, settings: Settings) -> Iterator[None]:
    """End this process's programs when its worker is needed for a refresh.

    Only for a process that runs nothing else.
    """
    _lower_priority()
    done = threading.Event()

    def watch() -> None:
        with app.app_context():
            while not done.wait(LOOK_EVERY):
                with contextlib.suppress(SQLAlchemyError, QueueUnavailable):
                    if store.find_active() is not None or queue.count_waiting(settings):
                        cancel.stop_all()
                        return

    watcher = threading.Thread(target=watch, name="giving-way", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _lower_priority() -> None:
    """Lower the priority of this thread and its programs (Linux)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
