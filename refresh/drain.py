"""Measuring the tasks of a refresh in this process until none is left to claim."""

from __future__ import annotations

import logging
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from flask import Flask

from config import Settings
from errors import Superseded
from log import log_context
from models import RefreshJob
from refresh import measuring, tasks
from refresh.heartbeat import Heartbeat
from refresh.share import Share
from refresh.tasks import Task

if TYPE_CHECKING:
    from github_api.source import GitHub

log = logging.getLogger(__name__)


class Observer(Protocol):
    """The progress of a refresh in this process; called from several threads."""

    def planned(self, refresh: RefreshJob) -> None:
        """Handle the end of the listing."""

    def started(self, name: str) -> None:
        """Handle the start of a repository's measurement."""

    def ended(self, name: str, reason: str | None) -> None:
        """Handle the end of a repository's measurement, and why it failed if it did."""


class LogObserver:
    """Logs the progress of a refresh."""

    def planned(self, refresh: RefreshJob) -> None:
        """Do nothing: the listing has logged its result."""

    def started(self, name: str) -> None:
        """Log which repository is being measured."""
        log.info("measuring %s", name)

    def ended(self, name: str, reason: str | None) -> None:
        """Log the end of one repository."""
        if reason is None:
            log.info("measured %s", name)
        else:
            log.warning("%s could not be measured: %s", name, reason)


@dataclass(frozen=True)
class Drain:
    """Measures a refresh's repositories, several at once.

    After `until`, a time of time.monotonic(), no more are claimed.
    """

    app: Flask
    settings: Settings
    share: Share
    github: GitHub
    refresh_id: str
    heartbeat: Heartbeat
    observer: Observer
    until: float = math.inf
    _stop: threading.Event = field(default_factory=threading.Event)
    # One at a time, so that one connection to the database is enough.
    _claiming: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Measure until nothing is left to claim.

        Tasks on which a process has crashed are measured last, one at a time, so that the next
        crash identifies the repository. Raises Interrupted when this process is asked to stop.
        """
        threads = min(self.share.threads, tasks.count_waiting(self.refresh_id))
        if not threads:
            return
        self._side_by_side(threads)
        while self._measure_next(crashed=True):
            self._side_by_side(threads)

    def _side_by_side(self, threads: int) -> None:
        """Measure the tasks without a crash in threads."""
        if threads == 1:
            self._measure_all()
            return
        with ThreadPoolExecutor(threads, thread_name_prefix="measure") as pool:
            running = [pool.submit(self._measure_in_thread) for _ in range(threads)]
            try:
                for each in running:
                    each.result()
            except BaseException:
                self._stop.set()
                raise

    def _measure_in_thread(self) -> None:
        with self.app.app_context():
            try:
                self._measure_all()
            except BaseException:
                self._stop.set()
                raise

    def _measure_all(self) -> None:
        while self._measure_next():
            pass

    def _measure_next(self, *, crashed: bool = False) -> bool:
        """Measure the next repository, if there is one, and return whether there was."""
        if self._stop.is_set() or time.monotonic() > self.until:
            return False
        with self._claiming:
            task = tasks.claim_next(self.refresh_id, crashed=crashed)
        if task is None:
            return False
        name = measuring.label(self.settings, task.repository)
        # Set here, as each thread has its own context.
        with log_context(refresh=self.refresh_id, repository=name):
            self._measure(task, name)
        return True

    def _measure(self, task: Task, name: str) -> None:
        self.observer.started(name)
        try:
            with self.heartbeat.during(task):
                reason = measuring.measure_and_save(
                    self.settings, self.share.counting, self.github, task
                )
        except Superseded as error:
            log.warning("%s: nothing written: %s", name, error)
        else:
            self.observer.ended(name, reason)
