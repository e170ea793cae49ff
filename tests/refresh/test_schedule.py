"""The scheduled refresh: due by the database, started once by any number of processes."""

from __future__ import annotations

import logging
import os
import signal
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from database.types import utc_now
from jobs import refresh_if_due
from models import RefreshJob, db
from refresh.schedule import Schedule
from tests.support.service import serving, wait_until
from tests.support.world import World


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """The tests' environment, with the schedule on."""
    environment["REFRESH_INTERVAL_HOURS"] = "24"
    environment["REFRESH_MIN_INTERVAL"] = "60"
    return environment


def ended(app: Flask, status: str, **ago: float) -> None:
    with app.app_context():
        when = utc_now() - timedelta(**ago)
        db.session.add(RefreshJob(id=f"{status}-{when:%H%M%S}", status=status, completed_at=when))
        db.session.commit()


def due(app: Flask, schedule: Schedule | None = None) -> bool:
    """Return whether a refresh is due by a schedule, by default that of a new process."""
    with app.app_context():
        return (schedule or Schedule(app.config["SETTINGS"])).is_due()


@pytest.fixture
def schedule(app: Flask) -> Schedule:
    """The schedule of a process that has checked an empty database once."""
    schedule = Schedule(app.config["SETTINGS"])
    assert due(app, schedule)
    return schedule


@pytest.mark.dialect
def test_the_last_completed_refresh_says_when_the_next_is_due(app: Flask, schedule: Schedule):
    ended(app, "completed", hours=23, minutes=59)
    # However often the process was started in between.
    assert not due(app)
    assert not due(app, schedule)


@pytest.mark.dialect
def test_a_refresh_is_due_an_interval_after_the_last_completed_one(app: Flask):
    ended(app, "completed", hours=24)

    assert due(app)


@pytest.mark.dialect
def test_a_failed_refresh_is_tried_again_after_a_pause(app: Flask, schedule: Schedule):
    ended(app, "failed", minutes=14)
    assert not due(app, schedule)


@pytest.mark.dialect
def test_a_failed_refresh_is_tried_again(app: Flask, schedule: Schedule):
    ended(app, "failed", minutes=16)
    assert due(app, schedule)


@pytest.mark.dialect
def test_a_first_refresh_that_failed_starts_again_at_the_next_start(app: Flask):
    ended(app, "failed", seconds=5)

    schedule = Schedule(app.config["SETTINGS"])
    assert due(app, schedule)
    ended(app, "failed", seconds=1)
    assert not due(app, schedule)


def test_a_wait_is_logged_once_with_its_end(app: Flask, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    ended(app, "completed", days=2)
    ended(app, "failed", seconds=5)
    schedule = Schedule(app.config["SETTINGS"])

    assert not due(app, schedule)
    assert not due(app, schedule)

    (line,) = [line for line in caplog.messages if "the next scheduled refresh" in line]
    at = datetime.fromisoformat(line.split()[-1])
    assert timedelta(minutes=14) < at - utc_now() < timedelta(minutes=15)


@pytest.mark.dialect
@pytest.mark.parametrize("status", ["queued", "running"])
def test_nothing_is_due_while_a_refresh_is_active(app: Flask, status: str):
    with app.app_context():
        db.session.add(RefreshJob(id="active", status=status, heartbeat_at=utc_now()))
        db.session.commit()

    assert not due(app)


@pytest.mark.parametrize(
    ("name", "value"), [("REFRESH_INTERVAL_HOURS", "0"), ("GITHUB_ACCESS_TOKEN", "")]
)
def test_nothing_is_due_without_a_schedule_or_a_token(
    environment: dict[str, str], request: pytest.FixtureRequest, name: str, value: str
):
    environment[name] = value

    assert not due(request.getfixturevalue("app"))


@pytest.mark.dialect
@pytest.mark.needs_cloc
def test_two_schedulers_make_one_refresh(app: Flask, world: World):
    world.add("alpha")
    settings = app.config["SETTINGS"]
    schedulers = [
        threading.Thread(target=refresh_if_due, args=[app, Schedule(settings)]) for _ in range(4)
    ]
    for scheduler in schedulers:
        scheduler.start()
    for scheduler in schedulers:
        scheduler.join()

    with app.app_context():
        assert [row.status for row in db.session.scalars(db.select(RefreshJob))] == ["completed"]


def test_a_fault_is_left_for_the_next_look(app: Flask, world: World):
    world.add("alpha")
    world.api.token = "another"

    refresh_if_due(app, Schedule(app.config["SETTINGS"]))

    with app.app_context():
        assert [row.status for row in db.session.scalars(db.select(RefreshJob))] == ["failed"]


@pytest.mark.needs_cloc
@pytest.mark.parametrize("program", ["clock", "app.py"])
def test_a_process_refreshes_by_itself_and_stops_on_sigterm(
    environment: dict[str, str],
    request: pytest.FixtureRequest,
    world: World,
    tmp_path: Path,
    program: str,
):
    world.add("alpha")
    app = request.getfixturevalue("app")
    with serving(environment, tmp_path / "service") as service:
        command = ("flask", "--app", "app", "clock") if program == "clock" else (program,)
        process = service.start(*command)

        def completed() -> bool:
            with app.app_context():
                rows = db.session.scalars(db.select(RefreshJob.status)).all()
                db.session.rollback()
                return rows == ["completed"]

        wait_until(completed, 30, "the first refresh is completed")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(100) is not None
        assert "Traceback" not in service.logs()
