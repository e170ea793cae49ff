"""Private repositories: a canary's name, commit and URL must not leak anywhere.

Logs are those of real processes, at their ordinary level, INFO.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from app import create_app, prepare
from database.types import utc_now
from models import Project, RefreshJob, RefreshStatus, db
from tests.support.redis_server import RedisServer
from tests.support.service import LIMIT, Service, serving
from tests.support.world import World
from web.charts import BADGE_FIGURES
from web.embeds import CHARTS

pytestmark = pytest.mark.needs_cloc

CANARY = "zq-canary-7731"
READS = (
    *("/", "/api/health", "/api/projects", "/api/metrics", "/api/refresh/jobs"),
    *("/api/overview", "/api/activity", "/api/card/all.svg", "/api/growth?languages=true"),
    *("/dashboard", "/dashboard?by=project"),
    *(f"/api/badge/all/{figure}.{kind}" for figure in BADGE_FIGURES for kind in ("svg", "json")),
    *(f"/api/chart/{chart}.svg" for chart in CHARTS),
)
OF_THE_CANARY = (
    *("/api/project/{0}", "/api/project/{0}%00", "/api/project/{0}/history", "/dashboard/{0}"),
    *("/api/activity?project={0}", "/api/card/{0}.svg", "/api/badge/{0}/loc.svg"),
    *("/api/badge/{0}/loc.json", "/api/chart/activity.svg?project={0}"),
    *("/api/project/{0}/growth", "/api/chart/growth.svg?project={0}"),
)
WARNING = "private repositories are shown to everybody"
DISCREET = pytest.mark.parametrize("mode", ["count", "hide"])


@pytest.fixture
def canary(world: World) -> World:
    """A world in which a private canary outdoes the public `alpha` in everything."""
    world.add("alpha", commits=2)
    world.add(CANARY, commits=6, private=True, size=50, languages={"Rust": 999})
    return world


def secrets(world: World) -> list[str]:
    head = world.repositories[CANARY].head
    return [CANARY, head, head[:10]]


def assert_untold(world: World, told: str) -> None:
    for secret in secrets(world):
        assert secret not in told


@contextlib.contextmanager
def client_of(environment: Mapping[str, str], **variables: str) -> Iterator[FlaskClient]:
    """Return a client of an app of its own, so that the variables may change between two."""
    app: Flask = create_app({**environment, **variables})
    prepare(app)
    try:
        yield app.test_client()
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def everything(client: FlaskClient) -> str:
    """Fetch all that can be fetched, and return it with its headers."""
    names = [project["name"] for project in client.get("/api/projects").get_json()]
    jobs = [job["id"] for job in client.get("/api/refresh/jobs").get_json()]
    paths = [*READS, "/nowhere", *(path.format(CANARY) for path in OF_THE_CANARY)]
    paths += [f"/api/project/{name}" for name in names]
    paths += [f"/api/refresh/status/{job}" for job in jobs]
    answers = [client.open(path, method=m) for path in paths for m in ("GET", "HEAD", "OPTIONS")]
    assert {answer.status_code for answer in answers} == {200, 404}
    return "\n".join(f"{answer.headers}{answer.text}" for answer in answers)


def metrics(client: FlaskClient) -> Any:
    return client.get("/api/metrics").get_json()


# The answers


def test_shown_they_are_like_any_other(environment: dict[str, str], canary: World):
    with client_of(environment) as client:
        assert client.post("/api/refresh").status_code == 200

        assert client.get(f"/api/project/{CANARY}").get_json()["private"] is True
        assert metrics(client)["project_with_most_commits"] == {"name": CANARY, "commits": 6}
        for secret in secrets(canary):
            assert secret in everything(client)


@pytest.mark.dialect
def test_counted_they_are_in_the_totals_and_nowhere_by_name(
    environment: dict[str, str], canary: World
):
    with client_of(environment, PRIVATE_REPOSITORIES="count") as client:
        assert client.post("/api/refresh").status_code == 200

        assert [each["name"] for each in client.get("/api/projects").get_json()] == ["alpha"]
        figures = metrics(client)
        assert figures["total_projects"] == 2
        assert figures["total_commits"] == 8
        assert figures["project_with_most_commits"] == {"name": "alpha", "commits": 2}
        assert figures["project_with_most_loc"]["name"] == "alpha"
        assert figures["project_with_most_time"]["name"] == "alpha"
        assert figures["languages_breakdown"]["Rust"]["project_count"] == 1
        assert_untold(canary, everything(client))


def test_hidden_they_are_not_even_measured(environment: dict[str, str], canary: World):
    with client_of(environment, PRIVATE_REPOSITORIES="hide") as client:
        answer = client.post("/api/refresh")

        assert answer.get_json()["total_repositories"] == 1
        assert metrics(client)["total_projects"] == 1
        assert "Rust" not in metrics(client)["languages_breakdown"]
        assert_untold(canary, answer.text + everything(client))
    assert canary.git.requests(CANARY) == []
    assert not [each for each in canary.api.requests if CANARY in each.path]


@DISCREET
def test_asking_for_a_private_one_is_like_asking_for_nothing(
    environment: dict[str, str], canary: World, mode: str
):
    with client_of(environment, PRIVATE_REPOSITORIES=mode) as client:
        client.post("/api/refresh")

        theirs, nobodys = client.get(f"/api/project/{CANARY}"), client.get("/api/project/nobody")
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.data == nobodys.data


def test_with_nothing_but_private_ones_nothing_is_named(environment: dict[str, str], canary: World):
    canary.api.remove("alpha")
    with client_of(environment, PRIVATE_REPOSITORIES="count") as client:
        client.post("/api/refresh")

        assert client.get("/api/projects").get_json() == []
        assert metrics(client)["total_projects"] == 1
        assert metrics(client)["project_with_most_loc"] is None
        canary.git.fail(CANARY)
        failed = client.post("/api/refresh?force=true")
        assert failed.status_code == 502
        assert "a private repository" in failed.get_json()["error"]
        assert_untold(canary, failed.text + everything(client))


# What changes


def test_a_repository_that_turns_private_is_named_no_more(
    environment: dict[str, str], world: World, caplog: pytest.LogCaptureFixture
):
    world.add("alpha", commits=1)
    world.add(CANARY, commits=3)
    with client_of(environment, PRIVATE_REPOSITORIES="count") as client:
        world.git.fail(CANARY)
        client.post("/api/refresh")
        assert CANARY in everything(client)
        world.git.heal()
        world.api.update(CANARY, private=True)
        world.git.private.add(CANARY)
        caplog.clear()
        with caplog.at_level(logging.INFO):
            client.post("/api/refresh")

        # Nor does the message of the refresh in which it was public and failed.
        assert_untold(world, everything(client) + caplog.text)
        assert metrics(client)["total_projects"] == 2
    with client_of(environment, PRIVATE_REPOSITORIES="hide") as client:
        client.post("/api/refresh")
        assert metrics(client)["total_projects"] == 1
        assert_untold(world, everything(client))


@DISCREET
def test_switching_the_variable_needs_no_refresh(
    environment: dict[str, str], canary: World, mode: str
):
    with client_of(environment) as client:
        client.post("/api/refresh")
        canary.git.fail(CANARY)
        client.post("/api/refresh?force=true")
        # Both where its figures are and in the refresh's message.
        assert CANARY in client.get("/api/projects").text
        assert CANARY in client.get("/api/refresh/jobs").text
    with client_of(environment, PRIVATE_REPOSITORIES=mode) as client:
        assert_untold(canary, everything(client))
        assert metrics(client)["total_projects"] == (2 if mode == "count" else 1)
        client.post("/api/refresh")
        assert_untold(canary, everything(client))
    with client_of(environment) as client:
        kept = sorted(project["name"] for project in client.get("/api/projects").get_json())
        assert kept == (["alpha", CANARY] if mode == "count" else ["alpha"])


# Real processes and their logs


@pytest.fixture
def service(
    environment: dict[str, str], own_redis: RedisServer, canary: World, tmp_path: Path
) -> Iterator[Service]:
    """The product on a Redis of its own, nothing started yet."""
    environment["REDIS_URL"] = own_redis.url
    environment["REFRESH_CONCURRENCY"] = "2"
    with serving(environment, tmp_path / "service") as service:
        yield service


def refresh(service: Service) -> dict[str, Any]:
    assert service.post("?force=true").status_code == 202
    return service.wait_for_end()


def all_told(service: Service) -> str:
    paths = [*READS, f"/api/project/{CANARY}", f"/api/refresh/status/{service.newest()['id']}"]
    return service.logs() + "".join(
        requests.get(service.url + p, timeout=LIMIT).text for p in paths
    )


@pytest.mark.parametrize(
    ("database_url", "mode"),
    [("sqlite", "hide"), ("postgresql", "count")],
    indirect=["database_url"],
)
def test_no_process_tells_of_it_whatever_fails(service: Service, canary: World, mode: str):
    service.environment["PRIVATE_REPOSITORIES"] = mode
    service.start_web()
    service.start_worker("--pool")
    assert refresh(service)["status"] == "completed"

    canary.git.fail(CANARY)
    ended = refresh(service)
    assert ended["status"] == "completed"
    if mode == "count":
        assert "a private repository" in ended["error_message"]
    canary.git.heal()
    canary.api.fail(r"/languages", 404, times=None)
    canary.git.cut(CANARY, after=10)
    refresh(service)
    canary.api.heal()
    canary.git.heal()
    canary.git.token = "another"  # refuses ours
    refresh(service)

    assert "refresh completed" in service.logs()
    assert "jobs.measure_next_async" in service.logs()  # RQ's own lines are among them
    if mode == "count":
        assert "measuring a private repository" in service.logs()
    assert_untold(canary, all_told(service))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("refused", ["name", "figures"])
def test_a_row_that_the_database_refuses_is_quoted_nowhere(
    service: Service, canary: World, refused: str
):
    service.environment["PRIVATE_REPOSITORIES"] = "count"
    app = create_app(service.environment)
    prepare(app)
    condition = "loc IS NULL OR " if refused == "figures" else ""
    with app.app_context():
        # PostgreSQL quotes the row that it refuses.
        db.session.execute(
            text(f"ALTER TABLE project ADD CHECK ({condition} name NOT LIKE 'zq-canary%')")
        )
        db.session.commit()
        db.engine.dispose()
    service.start_web()
    service.start_worker()

    ended = refresh(service)

    if refused == "figures":
        assert ended["status"] == "completed"
        assert "a private repository: an unexpected fault" in ended["error_message"]
    else:
        assert ended["status"] == "failed"
    assert "IntegrityError" in service.logs()
    assert_untold(canary, all_told(service))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_python_app_py_tells_nothing_of_it(service: Service, canary: World):
    service.environment["PRIVATE_REPOSITORIES"] = "count"
    del service.environment["REDIS_URL"]
    service.start_local()

    assert service.post().status_code == 200
    canary.git.fail(CANARY)
    failed = service.post("?force=true")

    assert "a private repository" in failed.json()["error_message"]
    assert "measuring a private repository" in service.logs()
    assert_untold(canary, failed.text + all_told(service))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("mode", "private", "refreshed", "warnings"),
    [
        ("show", True, True, 1),
        ("show", False, True, 0),
        ("show", False, False, 1),  # the first refresh may bring some
        ("count", True, False, 0),
        pytest.param("hide", True, False, 0, marks=pytest.mark.long),
    ],
)
def test_starting_with_private_rows_shown_is_warned_of_once(
    service: Service, mode: str, private: bool, refreshed: bool, warnings: int
):
    service.environment |= {"PRIVATE_REPOSITORIES": mode, "WEB_CONCURRENCY": "2"}
    app = create_app(service.environment)
    prepare(app)
    with app.app_context():
        db.session.add(Project(name=CANARY, github_id=1, private=private))
        if refreshed:
            db.session.add(
                RefreshJob(id="done", status=RefreshStatus.COMPLETED, completed_at=utc_now())
            )
        db.session.commit()
        db.engine.dispose()

    service.start_web()

    logs = service.logs()
    assert logs.count(WARNING) == warnings
    assert logs.count("PRIVATE_REPOSITORIES") == warnings
    assert CANARY not in logs
