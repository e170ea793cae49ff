"""A refresh from start to end, on the queue or in this process.

A requested refresh becomes a row and then a job on the queue; without a queue it runs in the
process that received the request. Either way the repositories are listed once, each one to measure
is a task that one process claims, and the process that ends the last task closes the refresh.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

import github_api
import measure
from config import Settings
from errors import (
    Interrupted,
    ProjectTrackerError,
    QueueUnavailable,
    RefreshError,
    RefreshTooSoon,
    Superseded,
    TokenMissing,
)
from log import log_context
from models import RefreshJob, RefreshKind, RefreshStatus
from refresh import background, growth, listing, measuring, queue, store, tasks, wanted
from refresh.connection import is_reachable
from refresh.drain import Drain, LogObserver, Observer
from refresh.heartbeat import Heartbeat
from refresh.running import running_here
from refresh.schedule import Schedule
from refresh.share import share_of

log = logging.getLogger(__name__)


class Outcome(Enum):
    """What requesting a refresh led to."""

    QUEUED = auto()
    JOINED = auto()
    RECENT = auto()
    RAN = auto()


@dataclass(frozen=True)
class RefreshResult:
    """What requesting a refresh led to, and the refresh that it is about."""

    outcome: Outcome
    refresh: RefreshJob


def request_refresh(settings: Settings, *, forced: bool) -> RefreshResult:
    """Start a refresh on the queue, or here where there is none, or join the one under way.

    Raises TokenMissing, and RefreshTooSoon for a forced one within REFRESH_MIN_INTERVAL of the last
    refresh or, where no REFRESH_TOKEN is set, FORCE_MIN_INTERVAL of the last forced one.
    """
    if not settings.knows_what_to_list:
        raise TokenMissing
    resumed = resume(settings, LogObserver())
    if resumed is not None and resumed.kind == RefreshKind.FULL:
        background.start_missing_growth(_context()[0], settings)
        return RefreshResult(Outcome.RAN, resumed)
    store.end_abandoned(store.ANSWER_WITHIN)
    active = store.find_active(store.ANSWER_WITHIN)
    if active is not None and active.kind == RefreshKind.FULL:
        return RefreshResult(Outcome.JOINED, active)
    recent = _find_recent(settings)
    if recent is not None:
        completed, wait = recent
        if forced:
            raise RefreshTooSoon("the last refresh has only just ended", wait)
        return RefreshResult(Outcome.RECENT, completed)
    if forced:
        _check_force_interval(settings)
    refresh, is_new = store.open_refresh(forced)
    if not is_new and refresh.kind == RefreshKind.SINGLE:
        wanted.want_everything(forced=forced)
        if store.find_active() is None:
            # It ended before it could see the request.
            refresh, is_new = store.open_refresh(forced)
    if not is_new:
        return RefreshResult(Outcome.JOINED, refresh)
    ran = _enqueue_or_run(settings, refresh.id)
    if ran is not None:
        return RefreshResult(Outcome.RAN, ran)
    return RefreshResult(Outcome.QUEUED, refresh)


def refresh_here(settings: Settings, *, forced: bool, observer: Observer) -> RefreshJob:
    """Run a refresh in this process, however recent the last one is, and return its row.

    Raises TokenMissing, RefreshError where one is under way already, and Interrupted.
    """
    if not settings.knows_what_to_list:
        raise TokenMissing
    resumed = resume(settings, observer)
    if resumed is not None and resumed.kind == RefreshKind.FULL:
        return resumed
    store.end_abandoned()
    refresh, is_new = store.open_refresh(forced)
    if not is_new:
        raise RefreshError(f"a refresh is under way already: {refresh.id}")
    return run_here(settings, refresh.id, observer)


def resume(settings: Settings, observer: Observer) -> RefreshJob | None:
    """Finish in this process a refresh whose process has died; return its row, or None.

    Where there is a queue, the workers finish it.
    """
    dead = store.find_dead(store.ANSWER_WITHIN)
    if dead is None or is_reachable(settings) or not tasks.take_over(dead.id):
        return None
    with log_context(refresh=dead.id):
        log.info("resuming a refresh whose process has died")
        return run_here(settings, dead.id, observer)


def measure_wanted(settings: Settings) -> None:
    """Start the refresh that GitHub's events request, if it is due: on the queue, or else here.

    Raises Interrupted when the process is asked to stop.
    """
    resume(settings, LogObserver())
    refresh = store.open_wanted()
    if refresh is not None:
        _enqueue_or_run(settings, refresh.id)


def _enqueue_or_run(settings: Settings, refresh_id: str) -> RefreshJob | None:
    """Put a refresh on the queue; where there is none, run it and then growth, and return its row.

    Raises Interrupted when the process is asked to stop.
    """
    with log_context(refresh=refresh_id):
        try:
            queue.enqueue_listing(settings, refresh_id)
        except QueueUnavailable as error:
            if settings.redis_url is not None:
                log.warning("%s: this refresh runs here", error)
            ran = run_here(settings, refresh_id, LogObserver())
            background.start_missing_growth(_context()[0], settings)
            return ran
    return None


def update_project_stats_async(refresh_id: str) -> None:
    """List the repositories of a refresh and put a job for each one to measure on the queue."""
    app, settings = _context()
    with (
        log_context(refresh=refresh_id),
        Heartbeat(app, refresh_id),
        closing(github_api.connect(settings)) as github,
    ):
        try:
            count = listing.list_repositories(settings, github, refresh_id)
            if count:
                threads = share_of(app, settings).threads
                queue.enqueue_measuring(settings, refresh_id, count, threads)
        except (Interrupted, QueueUnavailable) as error:
            log.warning("the refresh is left to be resumed: %s", error)
            return
    if count is not None:
        _close_and_follow(settings, refresh_id)


def measure_next_async(refresh_id: str) -> None:
    """Measure the next repositories of a refresh, and close the refresh if they were the last."""
    app, settings = _context()
    share = share_of(app, settings)
    until = time.monotonic() + queue.CLAIM_FOR
    with (
        log_context(refresh=refresh_id),
        Heartbeat(app, refresh_id) as heartbeat,
        closing(github_api.connect(settings)) as github,
    ):
        try:
            drain = Drain(app, settings, share, github, refresh_id, heartbeat, LogObserver(), until)
            drain.run()
        except Interrupted as error:
            log.warning("repositories are released: %s", error)
            return
    _close_and_follow(settings, refresh_id)


def measure_growth_async() -> None:
    """Measure the growth of the next project that lacks it, until a refresh begins."""
    app, settings = _context()
    try:
        with background.giving_way(app, settings):
            growth.measure_next(settings)
    except Interrupted as error:
        log.info("growth is left to be resumed: %s", error)


def grow_here(settings: Settings) -> None:
    """Measure the growth of all projects that lack it, in this thread. Raises Interrupted."""
    growth.measure_all(settings)


def refresh_if_due(app: Flask, schedule: Schedule) -> None:
    """Start the scheduled refresh if it is due, and finish one whose process has died.

    Errors are logged; the next call tries again.
    """
    settings: Settings = app.config["SETTINGS"]
    with app.app_context():
        try:
            resume(settings, LogObserver())
            store.end_abandoned()
            measure_wanted(settings)
            if not schedule.is_due():
                background.start_missing_growth(_context()[0], settings)
                return
            result = request_refresh(settings, forced=False)
        except SQLAlchemyError as error:
            log.warning("the schedule cannot be checked: %s", type(error).__name__)
            return
        except ProjectTrackerError as error:
            log.warning("the scheduled refresh did not run: %s", error)
            return
        if result.outcome is Outcome.QUEUED:
            with log_context(refresh=result.refresh.id):
                log.info("the scheduled refresh is queued")


def run_here(settings: Settings, refresh_id: str, observer: Observer) -> RefreshJob:
    """Run a whole refresh in this process, several repositories at once, and return its row.

    Raises Interrupted, after ending the refresh as failed, when the process is asked to stop.
    """
    app, _ = _context()
    measure.sweep()
    with (
        log_context(refresh=refresh_id),
        running_here(refresh_id),
        Heartbeat(app, refresh_id) as heartbeat,
        _versions_requested(settings),
        closing(github_api.connect(settings)) as github,
    ):
        count = listing.list_repositories(settings, github, refresh_id)
        if count is None:
            # A refresh that is resumed was listed before.
            count = tasks.count_waiting(refresh_id) or None
        if count is not None:
            observer.planned(_fetch(refresh_id))
            share = share_of(app, settings)
            with _preloaded_cloc(settings) if count else nullcontext():
                Drain(app, settings, share, github, refresh_id, heartbeat, observer).run()
    closed = _close(refresh_id)
    return _fetch(refresh_id) if closed is None else closed


@contextmanager
def _versions_requested(settings: Settings) -> Iterator[None]:
    """Run cloc for its version while PyGithub is imported and asked; workers know it already."""
    with ThreadPoolExecutor(1, thread_name_prefix="versions") as pool:
        pool.submit(measure.warm_up, measuring.measure_options(settings))
        yield


def _preloaded_cloc(settings: Settings) -> measure.PreloadedCloc:
    """Preload cloc while the first repositories are fetched."""
    return measure.PreloadedCloc(measuring.measure_options(settings))


def _close(refresh_id: str) -> RefreshJob | None:
    refresh = store.close_if_done(refresh_id)
    if refresh is not None:
        with log_context(refresh=refresh_id):
            log.info(
                "refresh %s: %d repositories, %d of them failed",
                refresh.status,
                refresh.total_repositories,
                refresh.failed_repositories,
            )
    return refresh


def _close_and_follow(settings: Settings, refresh_id: str) -> None:
    """Close a refresh of the queue if it is done, and start what was requested meanwhile."""
    if _close(refresh_id) is None:
        return
    try:
        queue.enqueue_wanted(settings)
        background.enqueue_growth(settings)
    except QueueUnavailable as error:
        log.warning("what GitHub's events ask for, and growth, have to wait: %s", error)


def _find_recent(settings: Settings) -> tuple[RefreshJob, int] | None:
    """Return the refresh completed within REFRESH_MIN_INTERVAL, and the seconds until its end."""
    last = store.find_last(RefreshStatus.COMPLETED)
    if last is None or last.completed_at is None:
        return None
    until = last.completed_at + timedelta(seconds=settings.refresh_min_interval)
    left = (until - store.fetch_time()).total_seconds()
    return (last, int(left) + 1) if left > 0 else None


def _check_force_interval(settings: Settings) -> None:
    if settings.refresh_token is not None:
        return
    last = store.find_last_forced()
    if last is None or last.created_at is None:
        return
    until = last.created_at + timedelta(seconds=settings.force_min_interval)
    left = (until - store.fetch_time()).total_seconds()
    if left > 0:
        interval = f"{settings.force_min_interval} s"
        raise RefreshTooSoon(f"a refresh may be forced once in {interval}", int(left) + 1)


def _fetch(refresh_id: str) -> RefreshJob:
    refresh = store.find_refresh(refresh_id)
    if refresh is None:
        raise Superseded("this refresh's row is gone")
    return refresh


def _context() -> tuple[Flask, Settings]:
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    return app, app.config["SETTINGS"]
