"""Supervision of a refresh by the workers' parent process: recovery from crashes.

The rows say what is left to do, and the jobs on the queue only point to them. So whatever was lost
with a process, with Redis or with a machine is enqueued again from the rows. A superfluous job does
no harm: it finds nothing to claim and ends.
"""

from __future__ import annotations

import logging
import time

import measure
from config import Settings
from errors import QueueUnavailable
from log import log_context
from models import RefreshJob, RefreshStatus
from refresh import background, listing_claim, queue, store, tasks

log = logging.getLogger(__name__)


class Supervisor:
    """Supervises the active refresh, and growth between two, one step at a time."""

    def __init__(self, settings: Settings, threads: int) -> None:
        self._settings = settings
        self._threads = threads
        self._was_empty = False
        self._progress: tuple[object, ...] = ()
        self._progress_at = 0.0

    def step(self) -> None:
        """Release what dead processes had claimed, and enqueue the jobs that the queue has lost.

        An empty queue counts only when the step before found it empty too: a worker may have
        taken a job from it and not yet claimed its task.
        """
        measure.sweep()
        store.end_abandoned()
        refresh = store.find_active()
        if refresh is None:
            self._was_empty = False
            self._start_wanted()
            self._resume_growth()
            return
        with log_context(refresh=refresh.id):
            self._supervise(refresh)

    def _start_wanted(self) -> None:
        try:
            queue.enqueue_wanted(self._settings)
        except QueueUnavailable as error:
            log.warning("the refresh for GitHub's events has to wait: %s", error)

    def _supervise(self, refresh: RefreshJob) -> None:
        try:
            empty = queue.count_waiting(self._settings) == 0
            if empty and self._was_empty:
                self._resume(refresh)
                empty = False
            self._was_empty = empty
            if not self._is_stalled(refresh):
                store.keep_waiting(refresh.id)
        except QueueUnavailable as error:
            log.warning("the refresh cannot be supervised: %s", error)

    def _resume_growth(self) -> None:
        """Enqueue the jobs of growth that the lower queue has lost, or that may be tried again."""
        try:
            if queue.count_waiting(self._settings, queue.GROWTH_NAME) == 0:
                background.enqueue_growth(self._settings)
        except QueueUnavailable as error:
            log.warning("growth cannot be supervised: %s", error)

    def _is_stalled(self, refresh: RefreshJob) -> bool:
        """Return whether the workers have made no progress for so long that the refresh may fail.

        A repository that takes longer than this writes heartbeats of its own.
        """
        progress = (refresh.id, refresh.status, refresh.attempt, refresh.repositories_processed)
        if progress != self._progress:
            self._progress, self._progress_at = progress, time.monotonic()
        return time.monotonic() - self._progress_at > store.STALLED_AFTER

    def _resume(self, refresh: RefreshJob) -> None:
        if refresh.planned_at is None:
            self._resume_listing(refresh)
            return
        waiting = tasks.rescue(refresh.id)
        if waiting:
            log.info("putting %d repositories on the queue again", waiting)
            queue.enqueue_measuring(self._settings, refresh.id, waiting, self._threads)
        elif store.close_if_done(refresh.id) is not None:
            log.info("closed a refresh whose last process had died")

    def _resume_listing(self, refresh: RefreshJob) -> None:
        if not listing_claim.is_unlisted(refresh.id):
            return
        lost = refresh.status == RefreshStatus.RUNNING  # not released
        if lost and refresh.attempt >= store.MAX_CRASHES:
            store.fail(
                refresh.id, f"the process that listed the repositories died {refresh.attempt} times"
            )
            return
        log.info("putting the refresh on the queue again")
        queue.enqueue_listing(self._settings, refresh.id)
