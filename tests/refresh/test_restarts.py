"""`python app.py`, `flask clock` and gunicorn stopped and killed in the middle of a refresh."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from models import RefreshJob, db
from refresh.running import STOPPED
from tests.support.service import Service, descendants, serving, wait_until
from tests.support.world import World

pytestmark = [
    pytest.mark.usefixtures("_no_lines"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
LOCAL = ("app.py",)
CLOCK = ("flask", "--app", "app", "clock")


@pytest.fixture
def service(
    environment: dict[str, str], app: Flask, world: World, tmp_path: Path
) -> Iterator[Service]:
    """The product without Redis and with the schedule on, nothing started yet."""
    environment["REFRESH_INTERVAL_HOURS"] = "24"
    with serving(environment, tmp_path / "service") as service:
        yield service


@pytest.fixture
def refreshes(app: Flask) -> Any:
    """Read the refreshes from the database, oldest first."""

    def read() -> list[tuple[str, str | None]]:
        with app.app_context():
            rows = db.session.scalars(db.select(RefreshJob).order_by(RefreshJob.created_at)).all()
            return [(row.status, row.error_message) for row in rows]

    return read


def start_amid_refresh(service: Service, world: World, *command: str) -> Any:
    """Start a program and wait until its first refresh is cloning `slow`, which hangs."""
    world.add("slow", commits=2, size=9)
    world.add("quick", commits=1)
    world.git.hang("slow", times=1)
    process = service.start(*command)
    wait_until(lambda: world.git.fetches("slow"), 120, "slow is being cloned")
    return process


@pytest.mark.parametrize(
    ("command", "number"),
    [
        pytest.param(LOCAL, signal.SIGINT, id="app.py-SIGINT"),
        pytest.param(CLOCK, signal.SIGTERM, id="clock-SIGTERM"),
        pytest.param(LOCAL, signal.SIGTERM, id="app.py-SIGTERM", marks=pytest.mark.long),
        pytest.param(CLOCK, signal.SIGINT, id="clock-SIGINT", marks=pytest.mark.long),
    ],
)
def test_a_refresh_ends_in_words_with_its_process_and_starts_at_once_with_the_next(
    service: Service, world: World, refreshes: Any, command: tuple[str, ...], number: int
):
    process = start_amid_refresh(service, world, *command)

    os.killpg(process.pid, number)  # as a terminal does, and a platform

    assert process.wait(60) == 0, service.logs()
    assert refreshes() == [("failed", STOPPED)]
    assert "Traceback" not in service.logs()
    assert "could not be measured" not in service.logs()

    process = service.start(*command)
    wait_until(lambda: len(refreshes()) == 2, 120, "the next start has begun anew")
    wait_until(lambda: refreshes()[1] == ("completed", None), 120, "it is completed")


@pytest.mark.parametrize(
    "command",
    [pytest.param(LOCAL, id="app.py"), pytest.param(CLOCK, id="clock", marks=pytest.mark.long)],
)
def test_a_refresh_whose_process_was_killed_is_carried_on_by_the_next(
    service: Service, world: World, refreshes: Any, command: tuple[str, ...]
):
    process = start_amid_refresh(service, world, *command)
    for pid in [process.pid, *descendants(process.pid)]:
        with contextlib.suppress(ProcessLookupError):  # a program of `quick` that has just ended
            os.kill(pid, signal.SIGKILL)
    process.wait()
    assert refreshes() == [("running", None)]

    service.start(*command)

    wait_until(lambda: refreshes() == [("completed", None)], 120, "the refresh is carried on")
    assert "Traceback" not in service.logs()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_refresh_in_a_request_ends_in_words_with_gunicorn(
    service: Service, world: World, refreshes: Any, number: int
):
    service.environment["REFRESH_INTERVAL_HOURS"] = "0"
    world.add("slow", commits=2)
    world.git.hang("slow", times=1)
    process = service.start_web()
    asking = threading.Thread(target=ask, args=[service])
    asking.start()
    wait_until(lambda: world.git.fetches("slow"), 120, "slow is being cloned")

    os.killpg(process.pid, number)

    process.wait(120)
    asking.join()
    assert refreshes() == [("failed", STOPPED)]


def test_a_wrong_token_put_right_starts_the_first_refresh_at_once(
    service: Service, world: World, refreshes: Any
):
    world.add("alpha")
    right = service.environment["GITHUB_ACCESS_TOKEN"]
    service.environment["GITHUB_ACCESS_TOKEN"] = "ghp_" + "w" * 36
    process = service.start(*LOCAL)
    wait_until(lambda: [row[0] for row in refreshes()] == ["failed"], 120, "the token is refused")
    process.terminate()
    assert process.wait(60) == 0

    service.environment["GITHUB_ACCESS_TOKEN"] = right
    service.start(*LOCAL)

    wait_until(lambda: len(refreshes()) == 2, 120, "the next start has begun anew")
    wait_until(lambda: refreshes()[1] == ("completed", None), 120, "it is completed")


def test_a_listing_that_hangs_does_not_keep_a_process_from_ending(
    service: Service, world: World, refreshes: Any
):
    world.add("alpha")
    world.api.drip(".*", interval=5)
    process = service.start(*LOCAL)
    wait_until(lambda: refreshes() and world.api.requests, 120, "GitHub is asked")
    began = time.monotonic()

    process.terminate()

    assert process.wait(120) == 0
    assert time.monotonic() - began < 60
    assert refreshes() == [("failed", STOPPED)]


def ask(service: Service) -> None:
    with contextlib.suppress(requests.RequestException):
        service.post()
