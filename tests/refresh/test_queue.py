"""What goes onto the queue, over plain and over encrypted connections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.job import Job

from config import Settings, read_settings
from errors import QueueUnavailable
from refresh import queue
from refresh.connection import connect_worker, fail_fast_options, is_reachable
from tests.support.redis_server import RedisServer
from tests.support.tls_front import TlsFront

TOKEN = "ghp_canaryOfTheQueue000000000000000000"


def settings(url: str) -> Settings:
    return read_settings({"REDIS_URL": url, "GITHUB_ACCESS_TOKEN": TOKEN})


@pytest.fixture
def tls_url(redis_server: RedisServer, tmp_path: Path) -> Iterator[str]:
    """The URL of a Redis behind a certificate that it has signed itself, as on Heroku."""
    port = int(redis_server.url.rpartition(":")[2].partition("/")[0])
    with TlsFront(port, tmp_path) as front:
        yield f"rediss://127.0.0.1:{front.port}/0"


def test_a_self_signed_certificate_is_accepted(tls_url: str, redis_server: RedisServer):
    over_tls = settings(tls_url)

    assert is_reachable(over_tls)
    queue.enqueue_listing(over_tls, "refresh")
    assert queue.count_waiting(over_tls) == 1
    with connect_worker(tls_url) as connection:
        assert Queue("default", connection=connection).job_ids == ["refresh"]


def test_a_connection_begins_without_commands_of_its_own(redis_server: RedisServer):
    url = redis_server.url
    with redis_server.client() as observer:
        observer.config_resetstat()
        with connect_worker(url) as connection:
            connection.get("key")
        with Redis.from_url(url, **fail_fast_options(url)) as connection:
            connection.get("key")
        counted = observer.info("commandstats")

    # A job opens two connections, and a request for the index one.
    assert counted["cmdstat_get"]["calls"] == 2
    assert {"cmdstat_hello", "cmdstat_client"}.isdisjoint(counted)


def test_jobs_carry_no_secret_and_are_not_kept_for_long(redis_server: RedisServer):
    plain = settings(redis_server.url)
    queue.enqueue_listing(plain, "refresh")
    queue.enqueue_measuring(plain, "refresh", count=9, threads=4)

    with redis_server.client() as connection:
        waiting = Queue("default", connection=connection)
        jobs = [Job.fetch(job_id, connection=connection) for job_id in waiting.job_ids]
        stored = b"".join(connection.dump(key) for key in connection.scan_iter("*", count=1000))
    assert [job.args for job in jobs] == [("refresh",)] * 4
    assert jobs[0].id == "refresh"
    assert all(0 < (job.failure_ttl or 0) <= 3600 for job in jobs)
    assert all(0 <= (job.result_ttl or 0) <= 3600 for job in jobs)
    # Longer than everything that a job waits for has limits of its own.
    limits = queue.CLAIM_FOR + 4 * (plain.clone_timeout + 2 * plain.measure_timeout)
    assert all(float(job.timeout or 0) > limits for job in jobs[1:])
    assert TOKEN.encode() not in stored


def test_a_redis_that_is_not_there_is_said(redis_server: RedisServer):
    nowhere = settings("redis://127.0.0.1:1/0")

    assert not is_reachable(nowhere)
    with pytest.raises(QueueUnavailable):
        queue.enqueue_listing(nowhere, "refresh")
    with pytest.raises(QueueUnavailable):
        queue.count_waiting(nowhere)
