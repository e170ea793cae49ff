"""Redis and RQ: the connection, the queue, and the worker that runs jobs in the app's context.

Flask-RQ 1.0 starts a new interpreter for every job and cannot be given a prepared connection; this
worker forks from a process that has imported the app already, and binds the context in the fork.
"""

from __future__ import annotations

import math
import os
import signal
import ssl
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn
from urllib.parse import urlsplit

from flask import Flask
from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, Worker
from rq.job import Job

import measure
from config import Settings
from database.engine import forget_connections
from errors import QueueUnavailable
from refresh import store

NAME = "default"
GROWTH_NAME = "growth"
"""The queue of what may wait: a worker takes from it when the other one is empty."""

FAILURES_KEPT = 3600
BULK = 500
CLAIM_FOR = 600.0
"""Seconds after which a job claims nothing more, and leaves what is left to the next one."""


def fail_fast_options(url: str) -> dict[str, Any]:
    """Give what a connection for a request needs: it gives up after a second, frozen or not."""
    return _options(url, timeout=1.0, retry=Retry(NoBackoff(), 0))


def connect_worker(url: str) -> Redis:
    """Open a connection for a worker: it rides out an outage of half a minute."""
    retry = Retry(ExponentialBackoff(cap=5, base=0.1), 12)
    return Redis.from_url(url, **_options(url, timeout=None, retry=retry))


def is_reachable(settings: Settings) -> bool:
    """Tell whether Redis is configured and answers."""
    if settings.redis_url is None:
        return False
    try:
        with Redis.from_url(
            settings.redis_url, **fail_fast_options(settings.redis_url)
        ) as connection:
            return bool(connection.ping())
    except RedisError:
        return False


def enqueue_listing(settings: Settings, refresh_id: str) -> None:
    """Put the first job of a refresh on the queue, under the refresh's own id.

    Raises QueueUnavailable when Redis is not configured or does not answer in time.
    """
    with _queue(settings) as queue:
        queue.enqueue(
            "jobs.update_project_stats_async",
            refresh_id,
            job_id=refresh_id,
            job_timeout=3600,
            result_ttl=FAILURES_KEPT,
            failure_ttl=FAILURES_KEPT,
        )


def enqueue_wanted(settings: Settings) -> None:
    """Open the refresh that is wanted, if there is one, and put its first job on the queue.

    Raises QueueUnavailable as above; the refresh waits to be carried on then.
    """
    refresh = store.open_wanted()
    if refresh is not None:
        enqueue_listing(settings, refresh.id)


def enqueue_measuring(settings: Settings, refresh_id: str, count: int, threads: int) -> None:
    """Put jobs on the queue that measure ``count`` repositories, so many at once in each.

    A job claims repositories for as long as there are any, but no longer than CLAIM_FOR; so that
    other machines get their part, there is one for every ``threads`` of them.
    Raises QueueUnavailable as above; some of the jobs may be on the queue then.
    """
    # Those that a job has claimed last may have to wait for each other's count.
    longest = threads * (settings.clone_timeout + 3 * settings.measure_timeout)
    timeout = math.ceil(CLAIM_FOR) + longest + 300
    jobs = math.ceil(count / threads)
    job = Queue.prepare_data(
        "jobs.measure_next_async",
        (refresh_id,),
        timeout=timeout,
        result_ttl=0,
        failure_ttl=FAILURES_KEPT,
    )
    with _queue(settings) as queue:
        for start in range(0, jobs, BULK):
            queue.enqueue_many([job] * min(BULK, jobs - start))


def enqueue_growth(settings: Settings, count: int) -> None:
    """Put jobs on the lower queue, each for the growth of one project. Raises QueueUnavailable."""
    job = Queue.prepare_data(
        "jobs.measure_growth_async",
        timeout=settings.clone_timeout + 3 * settings.measure_timeout + 300,
        result_ttl=0,
        failure_ttl=FAILURES_KEPT,
    )
    with _queue(settings, GROWTH_NAME) as queue:
        for start in range(0, count, BULK):
            queue.enqueue_many([job] * min(BULK, count - start))


def count_waiting(settings: Settings, name: str = NAME) -> int:
    """Count the jobs on a queue. Raises QueueUnavailable."""
    with _queue(settings, name) as queue:
        return queue.count


class _queue:
    """Open the queue for a ``with`` block and turn Redis's errors into QueueUnavailable."""

    def __init__(self, settings: Settings, name: str = NAME) -> None:
        self._name = name
        if settings.redis_url is None:
            raise QueueUnavailable("REDIS_URL is not set")
        self._connection = Redis.from_url(
            settings.redis_url, **fail_fast_options(settings.redis_url)
        )

    def __enter__(self) -> Queue:
        return Queue(self._name, connection=self._connection)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._connection.close()
        if isinstance(error, RedisError):
            raise QueueUnavailable("Redis does not answer") from error


class ContextWorker(Worker):
    """Run each job in a fork of this process, inside the app's context.

    On SIGTERM, which Heroku sends to every process of a dyno, the horse stops its programs and
    hands its repository back, instead of letting it fail.
    """

    def __init__(self, app: Flask, queues: Sequence[Queue], **options: Any) -> None:
        super().__init__(queues, **options)
        self._app = app

    def main_work_horse(self, job: Job, queue: Queue) -> NoReturn:
        """Run the job with database connections of its own and end the process."""
        forget_connections(self._app)
        with self._app.app_context():
            super().main_work_horse(job, queue)
        os._exit(0)

    def setup_work_horse_signals(self) -> None:
        """Take SIGTERM as the wish to stop; a Ctrl-C is the worker's to pass on."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _stop_programs)

    def handle_warm_shutdown_request(self) -> None:
        """Pass the wish to stop on to the horse."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)


def make_worker(app: Flask, settings: Settings) -> ContextWorker:
    """Make a worker for both queues."""
    if settings.redis_url is None:
        raise QueueUnavailable("REDIS_URL is not set: a worker needs Redis")
    connection = connect_worker(settings.redis_url)
    queues = [Queue(name, connection=connection) for name in (NAME, GROWTH_NAME)]
    return ContextWorker(app, queues, connection=connection, worker_ttl=60, maintenance_interval=60)


def _stop_programs(_signal: int, _frame: FrameType | None) -> None:
    measure.stop_all()


def _options(url: str, timeout: float | None, retry: Retry) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_connect_timeout": timeout or 5.0,
        "socket_timeout": timeout,
        "retry": retry,
        "health_check_interval": 30,
    }
    if urlsplit(url).scheme == "rediss":
        # Heroku's Redis presents a certificate that it signed itself.
        options["ssl_cert_reqs"] = ssl.CERT_NONE
        options["ssl_check_hostname"] = False
    return options
