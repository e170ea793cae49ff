"""Heartbeats of a process that works on a refresh, by which others see that it is alive."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from log import log_context
from refresh import store, tasks

log = logging.getLogger(__name__)


class Heartbeat:
    """A thread that writes heartbeats for a refresh and for the tasks being worked on."""

    def __init__(self, app: Flask, refresh_id: str) -> None:
        self._app = app
        self._refresh_id = refresh_id
        self._tasks: set[tasks.Task] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    @contextmanager
    def during(self, task: tasks.Task) -> Iterator[None]:
        """Write heartbeats for a task, too, until the end of the block."""
        with self._lock:
            self._tasks.add(task)
        try:
            yield
        finally:
            with self._lock:
                self._tasks.discard(task)

    def _run(self) -> None:
        with self._app.app_context(), log_context(refresh=self._refresh_id):
            while not self._stopped.wait(store.BEAT):
                with self._lock:
                    current = list(self._tasks)
                try:
                    if current:
                        tasks.beat(current)
                    else:
                        store.beat(self._refresh_id)
                except SQLAlchemyError as error:
                    # One missed heartbeat does not matter; a database that stays away does.
                    log.warning("no heartbeat could be written: %s", type(error).__name__)
