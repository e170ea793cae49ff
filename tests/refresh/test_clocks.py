"""Machines whose clocks differ: the age of a heartbeat is by the database's clock only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from models import RefreshTask, db
from tests.support.redis_server import RedisServer
from tests.support.service import Service, serving, wait_until
from tests.support.world import World


@pytest.fixture
def service(
    environment: dict[str, str], own_redis: RedisServer, world: World, tmp_path: Path
) -> Iterator[Service]:
    """The product on a Redis of its own, nothing started yet."""
    environment["REDIS_URL"] = own_redis.url
    with serving(environment, tmp_path / "service") as service:
        yield service


@pytest.mark.usefixtures("_no_lines")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_processes_whose_clocks_differ_do_not_take_each_other_for_dead(
    app: Flask, service: Service, world: World
):
    service.waits |= {"DEAD_AFTER": 10.0, "ABANDONED_AFTER": 60.0}
    world.add("alpha", commits=2)
    world.git.hang("alpha")
    service.waits["SKEW"] = -40.0
    service.start("worker.py")
    service.waits["SKEW"] = 130.0
    service.start_web()
    service.start("flask", "--app", "app", "clock")
    service.waits["SKEW"] = 0.0
    service.start("worker.py")
    service.post()
    wait_until(lambda: world.git.fetches("alpha"), 120, "alpha is being cloned")

    # The workers' parents and the clock check every half a second.
    end = time.monotonic() + 15
    while time.monotonic() < end:
        assert service.newest()["status"] == "running", service.logs()
        time.sleep(0.5)

    with app.app_context():
        (task,) = db.session.scalars(db.select(RefreshTask))
        assert (task.crashes, task.attempt) == (0, 1)
    world.git.heal()
    ended = service.wait_for_end()
    assert (ended["status"], ended["error_message"]) == ("completed", None), service.logs()
