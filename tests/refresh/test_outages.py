"""Databases that are away or locked, web processes that die, and processes that resume late."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from config import checks
from tests.support.client import projects, refresh
from tests.support.postgres_server import PostgresServer
from tests.support.processes import freeze
from tests.support.redis_server import RedisServer
from tests.support.service import Service, descendants, serving, wait_until
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("_no_lines")


@pytest.fixture
def service(environment: dict[str, str], world: World, tmp_path: Path) -> Iterator[Service]:
    """The product without Redis, nothing started yet."""
    with serving(environment, tmp_path / "service") as service:
        yield service


@pytest.fixture
def queued(environment: dict[str, str], own_redis: RedisServer, service: Service) -> Service:
    """The product on a Redis of its own, nothing started yet."""
    service.environment["REDIS_URL"] = own_redis.url
    service.environment["REFRESH_CONCURRENCY"] = "2"
    return service


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("immediate", [False, True])
def test_a_postgresql_restarted_in_mid_refresh_loses_nothing(
    queued: Service, postgres_server: PostgresServer, world: World, immediate: bool
):
    world.git.latency = 0.2
    for number in range(8):
        world.add(f"repo{number}")
    queued.start_web()
    queued.start_worker("--pool")
    queued.post()
    wait_until(lambda: queued.newest()["repositories_processed"] >= 2, 30, "two are measured")

    postgres_server.restart(immediate=immediate)

    wait_until(lambda: requests.get(f"{queued.url}/api/health").status_code == 200, 20, "healthy")
    ended = queued.wait_for_end(90)
    assert ended["status"] == "completed", queued.logs()
    assert ended["error_message"] is None, queued.logs()
    assert ended["repositories_processed"] == ended["total_repositories"] == 8
    assert [p["commits"] for p in queued.get("/api/projects")] == [3] * 8


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_postgresql_away_is_said_and_passes(
    client: FlaskClient, postgres_server: PostgresServer, world: World
):
    world.add("alpha")
    refresh(client)
    postgres_server.stop(immediate=True)

    assert client.get("/api/health").status_code == 503
    assert client.get("/api/projects").status_code == 503
    assert client.get("/api/projects").get_json() == {"error": "the database does not answer"}

    postgres_server.start()
    assert list(projects(client)) == ["alpha"]
    assert client.get("/api/health").status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_sqlite_locked_for_five_seconds_loses_nothing(
    client: FlaskClient, sqlite_url: str, world: World
):
    for number in range(4):
        world.add(f"repo{number}")
    refresh(client)
    for number in range(4):
        world.repositories[f"repo{number}"].commit({"n.py": "n = 1\n"})
        world.push(f"repo{number}")
    locker = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), check_same_thread=False)
    locker.isolation_level = None
    locker.execute("BEGIN IMMEDIATE")
    locked_at = time.monotonic()
    threading.Timer(5, locker.close).start()

    answer = refresh(client)

    assert time.monotonic() - locked_at > 5
    assert answer["repositories_processed"] == 4
    assert [p["commits"] for p in projects(client).values()] == [4] * 4


def in_refresh(service: Service, world: World) -> threading.Thread:
    """Start a refresh in the web process itself, which hangs on `slow`."""
    world.add("slow", size=9)
    world.add("quick")
    world.git.hang("slow", times=1)
    service.environment["REFRESH_CONCURRENCY"] = "2"
    service.start_web()
    asking = threading.Thread(target=ask, args=[service])
    asking.start()
    wait_until(lambda: world.git.fetches("slow"), 20, "slow is being cloned")
    wait_until(lambda: service.get("/api/projects"), 20, "quick is measured")
    return asking


def ask(service: Service) -> None:
    # The process that received the request is killed before it answers.
    with contextlib.suppress(requests.ConnectionError):
        service.post()


def test_a_refresh_whose_web_process_was_killed_is_finished_by_the_next_that_is_asked(
    service: Service, world: World
):
    asking = in_refresh(service, world)
    web = service.processes[0]
    for pid in [web.pid, *descendants(web.pid)]:
        os.kill(pid, signal.SIGKILL)
    web.wait()
    asking.join()
    service.start_web()
    left = service.newest()
    assert left["status"] == "running"

    # Before its heartbeat is old enough a POST joins it; the rate limit is 30 a minute.
    wait_until(lambda: service.post().status_code == 200, 60, "a POST finishes the refresh", 2.5)

    finished = service.get(f"/api/refresh/status/{left['id']}")
    assert (finished["status"], finished["error_message"]) == ("completed", None)
    assert {p["name"]: p["commits"] for p in service.get("/api/projects")} == {
        "quick": 3,
        "slow": 3,
    }
    assert service.leftovers() == []


def test_a_web_process_told_to_stop_ends_its_refresh_in_words(service: Service, world: World):
    asking = in_refresh(service, world)
    web = service.processes[0]
    os.kill(web.pid, signal.SIGTERM)
    assert web.wait(100) == 0
    asking.join()
    assert service.leftovers() == []
    service.start_web()

    newest = service.newest()
    assert newest["status"] == "failed"
    assert "stopped" in newest["error_message"]


def stop_between_writes(pids: list[int], database_url: str) -> None:
    """Stop processes while none of them holds a database lock, which would block all others."""
    url = checks.database_url(database_url)
    lock = "LOCK TABLE refresh_job, refresh_task IN EXCLUSIVE MODE NOWAIT"
    wait: dict[str, int] = {}
    if url.startswith("sqlite"):
        lock, wait = "BEGIN IMMEDIATE", {"timeout": 0}
    engine = create_engine(url, poolclass=NullPool, connect_args=wait)

    def stopped() -> bool:
        freeze(pids)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(lock)
        except OperationalError:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            return False
        return True

    wait_until(stopped, 20, "no lock is held")


def test_an_orphan_that_wakes_up_writes_nothing(queued: Service, world: World):
    builder = world.add("slow", commits=2)
    world.git.drip("slow", rate=200, times=1)
    queued.start_web()
    keeper = queued.start_worker()
    queued.post()
    wait_until(lambda: world.git.fetches("slow"), 20, "slow is being cloned")
    sleepers = descendants(keeper.pid)
    stop_between_writes([keeper.pid, *sleepers], queued.environment["DATABASE_URL"])
    queued.start_worker()
    assert queued.wait_for_end()["status"] == "completed"
    builder.commit({"more.py": "m = 1\n"})
    world.push("slow")
    queued.post()
    assert queued.wait_for_end()["status"] == "completed"
    before = queued.get("/api/projects")
    assert before[0]["commits"] == 3

    for pid in [*sleepers, keeper.pid]:
        os.kill(pid, signal.SIGCONT)

    wait_until(lambda: "nothing written" in queued.logs(), 40, "the orphan has tried to write")
    assert queued.get("/api/projects") == before
    assert queued.newest()["repositories_processed"] == 1
