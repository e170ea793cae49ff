"""Growth after a refresh: measured in the background, carried on by month, and never in its way."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy import select

import cancel
from config import GrowthMode
from errors import Interrupted
from models import Growth, Project, db
from refresh import figures, growth
from refresh.background import start_growth
from tests.support.client import projects, refresh
from tests.support.redis_server import RedisServer
from tests.support.service import serving, wait_until
from tests.support.world import World

pytestmark = pytest.mark.needs_cloc

LIMIT = 300


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"GROWTH": "month"}


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    join_threads()


def join_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "growth":
            thread.join(LIMIT)


@pytest.fixture
def world(world: World) -> World:
    """`alpha` gains a line in January 2023, and two in April."""
    alpha = world.add("alpha", commits=0)
    alpha.commit({"a.py": "a = 1\n"}, when=datetime(2023, 1, 20, tzinfo=UTC))
    alpha.commit({"b.py": "b = 1\nb = 2\n"}, when=datetime(2023, 4, 2, tzinfo=UTC))
    world.push("alpha")
    return world


@pytest.fixture
def lines(client: FlaskClient) -> Callable[..., list[int]]:
    """Read the growth of `alpha` from January 2023 on."""

    def read(last: str = "2023-05") -> list[int]:
        answer = client.get(f"/api/project/alpha/growth?to={last}").get_json()
        return [month["loc"] for month in answer]

    return read


def is_complete(app: Flask) -> bool:
    with app.app_context():
        row = db.session.scalars(select(Project).where(Project.name == "alpha")).one_or_none()
        return row is not None and row.growth_sha is not None and row.growth_sha == row.head_sha


def await_growth(app: Flask) -> None:
    wait_until(lambda: is_complete(app), LIMIT, "the growth of alpha is complete")
    # A thread that still looks for a next project would take what a test makes lack growth.
    join_threads()


def stored(app: Flask) -> dict[str, int]:
    with app.app_context():
        query = select(Growth.month, Growth.loc).order_by(Growth.month)
        return {row.month: row.loc for row in db.session.execute(query)}


def rows(app: Flask) -> list[tuple[str, str, int, dict[str, int]]]:
    with app.app_context():
        found = db.session.scalars(select(Growth).order_by(Growth.month))
        return [(each.month, each.sha, each.loc, each.languages) for each in found]


@pytest.mark.dialect
def test_growth_follows_a_refresh(client: FlaskClient, app: Flask, world: World, lines: Any):
    answer = refresh(client)
    assert answer["repositories_processed"] == answer["total_repositories"] == 1
    await_growth(app)
    assert lines() == [1, 1, 1, 3, 3]
    # A month without commits has no row; the current one's commit is that of April.
    assert stored(app) == {"2023-01": 1, "2023-04": 3}
    told = client.get("/api/growth?languages=true").get_json()[-1]
    assert (told["loc"], told["languages"]) == (projects(client)["alpha"]["loc"], {"Python": 3})


def test_a_push_adds_its_months(client: FlaskClient, app: Flask, world: World, lines: Any):
    refresh(client)
    await_growth(app)
    alpha = world.repositories["alpha"]
    alpha.commit({"c.py": "c = 1\n"}, when=datetime(2023, 5, 1, tzinfo=UTC))
    world.push("alpha")
    refresh(client)
    await_growth(app)
    assert lines() == [1, 1, 1, 3, 4]
    clones = world.clones()
    refresh(client)
    assert (world.clones(), stored(app)) == (clones, {"2023-01": 1, "2023-04": 3, "2023-05": 4})


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock by which growth has a current month."""

    def set_to(now: datetime) -> None:
        for module in (growth, figures):
            monkeypatch.setattr(module, "utc_now", lambda: now.replace(tzinfo=UTC))

    return set_to


MAY, JULY, JANUARY = (datetime(2023, 5, 10), datetime(2023, 7, 4), datetime(2024, 1, 3))


@pytest.mark.parametrize(
    ("mode", "pushed", "now", "needs_clone"),
    [
        ("month", [datetime(2023, 5, 9)], MAY, False),
        pytest.param(
            "month",
            [datetime(2023, 7, 2), datetime(2023, 7, 3)],
            JULY,
            False,
            marks=pytest.mark.long,
        ),
        ("month", [datetime(2023, 6, 30), datetime(2023, 7, 3)], JULY, True),  # June has one, too
        # Dated before its parent.
        pytest.param("month", [datetime(2023, 3, 3)], MAY, True, marks=pytest.mark.long),
        pytest.param("month", [datetime(2024, 1, 2)], JANUARY, False, marks=pytest.mark.long),
        pytest.param("year", [datetime(2023, 3, 3)], MAY, False, marks=pytest.mark.long),
        ("year", [datetime(2023, 6, 30), datetime(2023, 7, 3)], JULY, False),
        ("year", [datetime(2024, 1, 2)], JANUARY, True),
    ],
)
def test_a_push_of_the_current_month_needs_no_clone(
    mode: str,
    pushed: list[datetime],
    now: datetime,
    needs_clone: bool,
    environment: dict[str, str],
    request: pytest.FixtureRequest,
    world: World,
    set_clock: Callable[[datetime], None],
    monkeypatch: pytest.MonkeyPatch,
):
    environment["GROWTH"] = mode
    client, app = (request.getfixturevalue(name) for name in ("client", "app"))
    set_clock(datetime(2023, 5, 3))
    refresh(client)
    await_growth(app)
    alpha = world.repositories["alpha"]
    for number, when in enumerate(pushed, 1):
        alpha.commit({"c.py": "c = 1\n" * number}, when=when.replace(tzinfo=UTC))
    world.push("alpha")
    set_clock(now)
    with monkeypatch.context() as without_growth:
        without_growth.setattr(growth, "measure_next", lambda _settings: False)
        refresh(client)
        join_threads()
    assert is_complete(app) is not needs_clone

    with app.app_context():
        growth.measure_all(app.config["SETTINGS"])
    added = rows(app)
    with app.app_context():
        db.session.scalars(select(Project)).one().growth_sha = None
        db.session.execute(db.delete(Growth))
        db.session.commit()
        growth.measure_all(app.config["SETTINGS"])
    assert rows(app) == added
    assert added[-1][1:] == (alpha.head, 3 + len(pushed), {"Python": 3 + len(pushed)})


def test_months_of_a_head_that_came_in_between_do_not_stay(
    client: FlaskClient, app: Flask, world: World, monkeypatch: pytest.MonkeyPatch
):
    refresh(client)
    await_growth(app)
    complete = rows(app)
    alpha = world.repositories["alpha"]
    head = alpha.head
    alpha.reset("HEAD~1")
    alpha.commit({"b.py": "b = 1\n" * 9}, when=datetime(2023, 4, 1, tzinfo=UTC))
    alpha.commit({"c.py": "c = 1\n"}, when=datetime(2023, 6, 1, tzinfo=UTC))
    world.push("alpha")

    def interrupt(*_: object) -> None:
        raise Interrupted("a refresh has begun")

    with monkeypatch.context() as broken_off:
        broken_off.setattr(growth, "_finish", interrupt)
        refresh(client)
        join_threads()
    assert rows(app) != complete
    alpha.reset(head)
    world.push("alpha")
    refresh(client)
    await_growth(app)
    assert rows(app) == complete


def test_a_rewritten_history_is_done_anew(
    client: FlaskClient, app: Flask, world: World, lines: Any
):
    refresh(client)
    await_growth(app)
    alpha = world.repositories["alpha"]
    march = datetime(2023, 3, 1, tzinfo=UTC)
    alpha.commit({"a.py": "z = 1\nz = 2\n", "b.py": None}, when=march, parents=())
    world.push("alpha")
    refresh(client)
    await_growth(app)
    assert stored(app) == {"2023-03": 2}
    assert lines() == [2, 2, 2]


def test_what_is_counted_differently_is_counted_again(
    app: Flask, client: FlaskClient, world: World, environment: dict[str, str]
):
    refresh(client)
    await_growth(app)
    with app.app_context():
        row = db.session.scalars(select(Project)).one()
        row.growth_fingerprint = "of another time"
        for month in db.session.scalars(select(Growth)):
            month.loc = 99
        db.session.commit()
        growth.measure_all(app.config["SETTINGS"])
    assert stored(app) == {"2023-01": 1, "2023-04": 3}


def test_it_goes_on_by_the_month(app: Flask, client: FlaskClient, world: World):
    settings = app.config["SETTINGS"]
    refresh(client)
    await_growth(app)
    with app.app_context():
        row = db.session.scalars(select(Project)).one()
        row.growth_sha = None
        db.session.execute(db.delete(Growth).where(Growth.month == "2023-04"))
        # Had January been counted again, it would be 1.
        db.session.scalars(select(Growth)).one().languages = {"Python": 7}
        db.session.commit()
        growth.measure_all(settings)
        left = db.session.scalars(select(Growth).order_by(Growth.month)).all()
        assert [(each.month, each.languages) for each in left] == [
            ("2023-01", {"Python": 7}),
            ("2023-04", {"Python": 3}),
        ]
        assert growth.count_lacking(settings) == 0


def test_being_stopped_hands_the_project_back(app: Flask, client: FlaskClient, world: World):
    settings = app.config["SETTINGS"]
    refresh(client)
    await_growth(app)
    try:
        with app.app_context():
            db.session.scalars(select(Project)).one().growth_sha = None
            db.session.commit()
            cancel.stop_all()
            start_growth(app, settings)
            wait_until(
                lambda: not any(each.name == "growth" for each in threading.enumerate()),
                LIMIT,
                "the thread has ended",
            )
            assert growth.count_lacking(settings) == 1
    finally:
        cancel.allow_again()


def test_one_that_fails_is_left_for_a_while(app: Flask, client: FlaskClient, world: World):
    settings = app.config["SETTINGS"]
    refresh(client)
    await_growth(app)
    with app.app_context():
        db.session.scalars(select(Project)).one().growth_sha = None
        db.session.commit()
        world.git.fail("alpha")
        growth.measure_all(settings)
        assert growth.count_lacking(settings) == 0
        assert db.session.scalars(select(Project)).one().growth_sha is None
    assert client.get("/api/project/alpha").get_json()["stale"] is False


def test_private_names_are_not_in_the_log(
    environment: dict[str, str],
    request: pytest.FixtureRequest,
    world: World,
    caplog: pytest.LogCaptureFixture,
):
    environment["PRIVATE_REPOSITORIES"] = "count"
    world.api.update("alpha", private=True)
    world.git.private.add("alpha")
    client = request.getfixturevalue("client")
    caplog.set_level("INFO")
    refresh(client)
    await_growth(request.getfixturevalue("app"))
    wait_until(lambda: "growth of a private repository is complete" in caplog.text, LIMIT, "log")
    assert "alpha" not in caplog.text


def test_by_the_year(environment: dict[str, str], request: pytest.FixtureRequest, world: World):
    environment["GROWTH"] = GrowthMode.YEAR
    client = request.getfixturevalue("client")
    app = request.getfixturevalue("app")
    refresh(client)
    await_growth(app)
    assert stored(app) == {"2023-12": 3}
    told = client.get("/api/growth?by=year").get_json()
    assert [each["loc"] for each in told] == [3] * (datetime.now(UTC).year - 2022)
    assert client.get("/api/growth").get_json()[0] == {"month": "2023-12", "loc": 3}


def test_the_command_measures_growth_too(app: Flask, runner: FlaskCliRunner, world: World):
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    result = runner.invoke(args=["refresh"])
    assert result.exit_code == 0, result.output
    assert is_complete(app)
    assert os.getpriority(os.PRIO_PROCESS, 0) == priority


def test_with_a_queue_it_is_the_workers(
    environment: dict[str, str], app: Flask, world: World, redis_server: RedisServer, tmp_path: Path
):
    environment["REDIS_URL"] = redis_server.url
    with serving(environment, tmp_path / "service") as service:
        service.start_web()
        service.start_worker()
        assert service.post().status_code == 202
        await_growth(app)
        wait_until(lambda: "the growth of alpha is complete" in service.logs(), LIMIT, "it is said")
        assert service.get("/api/growth?to=2023-04")[-1]["loc"] == 3
        # A refresh takes the worker from it.
        world.git.hang("alpha", times=1)
        before = len(world.git.fetches("alpha"))
        with app.app_context():
            db.session.scalars(select(Project)).one().growth_sha = None
            db.session.commit()
        wait_until(lambda: len(world.git.fetches("alpha")) > before, LIMIT, "its growth hangs")
        service.post()
        assert service.wait_for_end()["status"] == "completed"
        wait_until(lambda: "growth is left to be resumed" in service.logs(), LIMIT, "it is said")
        await_growth(app)
        # Whatever was lost is put on the queue again.
        with app.app_context():
            db.session.scalars(select(Project)).one().growth_sha = None
            db.session.commit()
        await_growth(app)
