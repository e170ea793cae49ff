"""The refreshes that run in this process, which must end before it does."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import cancel
from errors import Interrupted
from refresh import store

log = logging.getLogger(__name__)

STOPPED = "the process that ran this refresh was stopped"
STOP_WITHIN = 10.0
"""Seconds. Programs end immediately; an answer of GitHub's may take longer."""

_changed = threading.Condition()
_running: list[str] = []
_stopping = False


@contextmanager
def running_here(refresh_id: str) -> Iterator[None]:
    """Register a refresh that runs in this process until the end of the block.

    A refresh that raises an exception has no process to resume it, and ends as failed. Raises
    Interrupted when the process is stopping.
    """
    with _changed:
        _running.append(refresh_id)
    try:
        if _stopping:
            raise Interrupted("this process is stopping")
        yield
    except BaseException:
        store.fail(refresh_id, STOPPED)
        raise
    finally:
        with _changed:
            _running.remove(refresh_id)
            _changed.notify_all()


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and Ctrl-C in the block, after stopping all programs.

    Otherwise a refresh would wait for its programs first. Further signals are ignored.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        cancel.stop_all()
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_running() -> bool:
    """End the refreshes that run here, and return whether all of them have ended.

    Call it within the application's context, before the process ends.
    """
    global _stopping
    cancel.stop_all()
    with _changed:
        _stopping = True
        ended = _changed.wait_for(lambda: not _running, STOP_WITHIN)
        left = list(_running)
    for refresh_id in left:
        store.fail(refresh_id, STOPPED)
    return ended
