"""Faults of GitHub during a refresh: refusals, limits, errors, blocked and deleted repositories."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import github_api
from github_api import Repository
from models import Project, RefreshTask, db
from refresh import listing_claim, store, tasks
from tests.support.client import projects, refresh
from tests.support.world import World

pytestmark = pytest.mark.needs_cloc


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten how long the product waits for GitHub; nothing else is changed."""
    short = partial(
        github_api.RetryPolicy, deadline=6.0, read_timeout=3.0, max_wait=2.0, backoff=0.05
    )
    monkeypatch.setattr(github_api, "RetryPolicy", short)


def failed(client: FlaskClient, query: str = "") -> str:
    """Request a refresh that fails, and return the public reason."""
    answer = client.post("/api/refresh" + query)
    assert answer.status_code == 502, answer.get_json()
    job: dict[str, Any] = client.get("/api/refresh/jobs").get_json()[0]
    assert job["status"] == "failed"
    assert answer.get_json() == {"error": job["error_message"]}
    return str(job["error_message"])


@pytest.fixture
def measured(client: FlaskClient, world: World) -> FlaskClient:
    """Two repositories, measured once, and one of them pushed to since."""
    world.add("alpha")
    world.add("beta")
    refresh(client)
    world.repositories["alpha"].commit({"new.py": "n = 1\n"})
    world.push("alpha")
    return client


def test_a_refused_token_is_named(measured: FlaskClient, world: World):
    world.api.token = "another"

    assert "GITHUB_ACCESS_TOKEN" in failed(measured)
    assert sorted(projects(measured)) == ["alpha", "beta"]


def test_a_token_that_does_not_show_private_repositories_deletes_none(
    client: FlaskClient, world: World
):
    world.add("alpha")
    world.add("secret", private=True)
    refresh(client)
    before = projects(client)["secret"]
    world.api.scopes = "public_repo"

    refresh(client)

    after = projects(client)["secret"]
    assert after["stale"] is True
    assert "`repo` scope" in after["stale_reason"]
    assert after["commits"] == before["commits"]

    world.api.scopes = "repo"
    refresh(client)
    assert projects(client)["secret"]["stale"] is False


def test_a_used_up_quota_says_until_when(measured: FlaskClient, world: World):
    world.api.limit_rate(0, resets_in=3600)

    message = failed(measured)

    until = re.fullmatch(r"rate limited until (\S+Z)", message)
    assert until, message
    left = datetime.fromisoformat(until[1]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left < timedelta(minutes=61)
    assert projects(measured)["alpha"]["commits"] == 3


def test_a_quota_used_up_in_mid_refresh_keeps_what_is_measured(
    environment: dict[str, str], request: pytest.FixtureRequest, world: World
):
    environment["FETCH_CONCURRENCY"] = environment["REFRESH_CONCURRENCY"] = "1"
    client = request.getfixturevalue("client")
    for number in range(4):
        world.add(f"repo{number}")
    world.api.limit_rate(2, resets_in=3600)

    answer = refresh(client)

    assert answer["status"] == "completed"
    found = list(projects(client).values())
    assert [project["commits"] for project in found] == [3, 3, 3, 3]
    lacking = [project for project in found if project["stale"]]
    assert len(lacking) == 3
    for project in lacking:
        assert re.search("languages .*: rate limited until", project["stale_reason"])
        assert project["languages"] == {}
    # One was refused; the others were not requested any more.
    assert len(world.api.requests) == 3

    world.api.limit_rate(5000)
    world.api.counts_down = False
    requests = len(world.git.log)
    refresh(client)
    assert not any(project["stale"] for project in projects(client).values())
    assert all(project["languages"] for project in projects(client).values())
    assert len(world.git.log) == requests
    assert len(world.api.requests) == 3 + 1 + 3


def test_a_quota_that_stays_used_up_keeps_what_was_measured(measured: FlaskClient, world: World):
    world.api.limit_rate(1, resets_in=3600)
    for _ in range(2):
        assert refresh(measured)["status"] == "completed"
        alpha = projects(measured)["alpha"]
        assert alpha["commits"] == 4
        assert "rate limited until" in alpha["stale_reason"]
        world.api.limit_rate(1, resets_in=3600)


def test_a_clone_that_fails_without_a_quota_left_is_that_repositorys_failure(
    measured: FlaskClient, world: World
):
    world.repositories["beta"].commit({"b.py": "b = 1\n"})
    world.push("beta")
    world.git.fail("alpha")
    world.api.limit_rate(1, resets_in=3600)

    answer = refresh(measured)

    assert answer["error_message"].startswith("1 of 2 repositories could not be measured: alpha: ")
    assert projects(measured)["beta"]["commits"] == 4


@pytest.mark.dialect
def test_a_used_up_quota_is_known_to_every_process_of_a_refresh(app: Flask):
    with app.app_context():
        refresh_row, _ = store.open_refresh(forced=False)
        listing_claim.claim(refresh_row.id)
        facts = Repository.from_github({"id": 1, "name": "a", "clone_url": "https://b/c"})
        db.session.add(
            RefreshTask(
                refresh_id=refresh_row.id, github_id=1, position=0, name="a", facts=facts.to_json()
            )
        )
        db.session.commit()
        until = datetime(2030, 1, 1, tzinfo=UTC)
        store.note_rate_limit(refresh_row.id, until)
        task = tasks.claim_next(refresh_row.id)
        assert task is not None
        assert task.limited_until == until


def test_a_secondary_limit_is_waited_for_when_it_is_short(measured: FlaskClient, world: World):
    world.api.limit_secondary(retry_after=1)
    refresh(measured)
    assert projects(measured)["alpha"]["commits"] == 4


def test_a_long_secondary_limit_fails_in_words(measured: FlaskClient, world: World):
    world.api.limit_secondary(retry_after=600, times=None)
    assert "rate limited until" in failed(measured)


def test_the_quota_left_is_reported(measured: FlaskClient, world: World):
    world.api.limit_rate(1234)
    refresh(measured)

    quota = measured.get("/api/health").get_json()["github_rate_limit"]

    assert 1200 < quota["remaining"] < 1234
    assert quota["resets_at"].endswith("Z")


def test_server_errors_that_pass_are_ridden_out(measured: FlaskClient, world: World):
    world.api.fail("", 502, times=2)
    refresh(measured)
    assert projects(measured)["alpha"]["commits"] == 4


@pytest.mark.parametrize("fault", ["500", "cut", "drip", "gone"])
def test_a_listing_that_fails_on_its_second_page_changes_nothing(
    client: FlaskClient, app: Flask, world: World, fault: str
):
    world.add("alpha")
    for number in range(120):
        world.api.add(f"fork{number}", fork=True)
    world.add("omega")
    refresh(client)
    before = client.get("/api/projects").get_json()
    page = r"[?&]page=2\b"
    if fault == "500":
        world.api.fail(page, 500, times=None)
    elif fault == "cut":
        world.api.cut(page, times=None)
    elif fault == "drip":
        world.api.drip(page, 0.01)
    else:
        world.api.fail(page, 404, times=None)

    assert failed(client)

    assert client.get("/api/projects").get_json() == before
    with app.app_context():
        assert db.session.scalar(db.select(db.func.count(Project.id))) == 2


def test_an_unreachable_github_fails_in_words(measured: FlaskClient, world: World):
    world.api.stop()
    try:
        assert "GitHub" in failed(measured)
    finally:
        world.api.start()


@pytest.mark.parametrize("status", [404, 403, 451])
def test_one_repository_gone_or_blocked_does_not_stop_the_others(
    measured: FlaskClient, world: World, status: int
):
    world.repositories["beta"].commit({"b.py": "b = 1\n"})
    world.push("beta")
    world.git.fail("alpha", status=status)
    if status == 404:
        world.api.fail(f"^/repositories/{world.api.id_of('alpha')}", 404, times=None)
    else:
        world.api.block("alpha", status)

    answer = refresh(measured)

    assert answer["error_message"].startswith("1 of 2 repositories could not be measured: alpha: ")
    assert projects(measured)["beta"]["commits"] == 4
    assert projects(measured)["alpha"]["stale"] is True
    assert projects(measured)["alpha"]["commits"] == 3


def test_a_repository_deleted_between_two_pages_takes_no_other_with_it(
    client: FlaskClient, world: World
):
    """It moves the first of page 2 to page 1, which has been read by then."""
    world.add("first")
    for number in range(99):
        world.api.add(f"fork{number}", fork=True)
    world.add("shifted")
    refresh(client)
    calls = len(world.api.requests)
    world.api.fail(r"[?&]page=2\b", 200, body="[]")

    refresh(client)

    assert sorted(projects(client)) == ["first", "shifted"]
    # The listing was fetched twice.
    assert len(world.api.requests) == calls + 4
