"""RQ's queues and their jobs."""

from __future__ import annotations

import math

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue

from config import Settings
from errors import QueueUnavailable
from refresh import store
from refresh.connection import fail_fast_options

NAME = "default"
GROWTH_NAME = "growth"
"""The queue of lower priority: a worker takes from it when the other one is empty."""

FAILURES_KEPT = 3600
BULK = 500
CLAIM_FOR = 600.0
"""Seconds after which a job claims no more repositories and leaves them to the next one."""


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
    """Open the refresh for requested measurements, if any is due, and enqueue its first job.

    Raises QueueUnavailable as above; the refresh waits to be resumed then.
    """
    refresh = store.open_wanted()
    if refresh is not None:
        enqueue_listing(settings, refresh.id)


def enqueue_measuring(settings: Settings, refresh_id: str, count: int, threads: int) -> None:
    """Put jobs on the queue that measure ``count`` repositories, ``threads`` at once in each.

    A job claims repositories until none is left, but no longer than CLAIM_FOR. There is one job for
    every ``threads`` repositories, so that all machines take part.
    Raises QueueUnavailable as above; some of the jobs may be on the queue then.
    """
    # The repositories that a job claims last may wait for each other's counts.
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
    """Open a queue for a ``with`` block, and turn Redis's errors into QueueUnavailable."""

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
