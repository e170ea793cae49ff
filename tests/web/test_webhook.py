"""GitHub's events: signatures, immediate changes, and the measurements."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

import github_api
from config import PrivateMode
from models import RefreshJob, RefreshKind, db
from refresh import listing, listing_claim, store, tasks, wanted
from tests.support import events
from tests.support.client import projects, refresh
from tests.support.redis_server import RedisServer
from tests.support.service import LIMIT, Service, serving, wait_until
from tests.support.wire import connect, exchange
from tests.support.world import World
from web import after_answer
from web.payloads import MAX_PAYLOAD, PATH

pytestmark = pytest.mark.needs_cloc


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "GITHUB_WEBHOOK_SECRET": events.SECRET}


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanted, "MEASURE_AGAIN_AFTER", 1.0)
    monkeypatch.setattr(after_answer, "LOOK_EVERY", 0.05)


@pytest.fixture
def app(app: Flask) -> Iterator[Flask]:
    """The application; what it measures after its answers is done before its database goes."""
    yield app
    settle(app)


def settle(app: Flask) -> None:
    wait_until(lambda: app not in after_answer._running, LIMIT, "the thread has ended")


def send(client: FlaskClient, event: str, body: bytes, **headers: str) -> Any:
    return client.post(PATH, data=body, headers=events.headers(event, body, **headers))


def accept(client: FlaskClient, event: str, body: bytes) -> None:
    answer = send(client, event, body)
    assert answer.status_code == 202, answer.json
    settle(client.application)


def fetch(client: FlaskClient, path: str) -> Any:
    return client.get(path).get_json()


def singles(app: Flask) -> list[RefreshJob]:
    with app.app_context():
        found = db.select(RefreshJob).where(RefreshJob.kind == RefreshKind.SINGLE)
        return list(db.session.scalars(found.order_by(RefreshJob.created_at)))


def add_commit(world: World, name: str) -> None:
    world.repositories[name].commit({"more.py": "print('more')\n"})
    world.push(name)


# Who may send them


def test_without_a_secret_there_is_no_such_route(environment: dict[str, str], request):
    environment.pop("GITHUB_WEBHOOK_SECRET")
    client = request.getfixturevalue("client")
    answer = send(client, "ping", events.PING)
    assert (answer.status_code, answer.json) == (404, {"error": "not found"})


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        events.sign(events.PING, "another secret"),
        events.sign(events.PING + b" "),
        events.sign(events.PING).replace("sha256=", "sha1="),
        events.sign(events.PING).removeprefix("sha256="),
        events.sign(events.PING).upper(),
        events.sign(events.PING) + "0",
        "sha256=\xe9\xff",
    ],
)
def test_a_wrong_signature_is_refused(client: FlaskClient, signature: str):
    answer = send(client, "ping", events.PING, **{"X-Hub-Signature-256": signature})
    assert answer.status_code == 401
    assert events.SECRET not in answer.text


def test_a_missing_signature_is_refused(client: FlaskClient):
    assert client.post(PATH, data=events.PING).status_code == 401


def test_a_ping_is_answered(client: FlaskClient):
    assert send(client, "ping", events.PING).status_code == 202


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b'{"repository": 1}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_event_is_refused(client: FlaskClient, body: bytes):
    answer = send(client, "push", body)
    assert answer.status_code == 400
    assert "error" in answer.json


@pytest.mark.parametrize("github_id", [0, -1, 2**63, "1", True, None, 1.5])
def test_an_id_that_is_none_is_refused(client: FlaskClient, github_id: Any):
    assert send(client, "push", events.push(github_id)).status_code == 400


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("push", events.push(1, ref="refs/heads/other")),
        ("push", events.push(1, ref="refs/tags/main")),
        ("repository", events.change("starred", 1)),
        ("issues", events.change("created", 1)),
        ("", events.change("created", 1)),
    ],
)
def test_what_changes_no_figure_is_not_measured(
    client: FlaskClient, world: World, event: str, body: bytes
):
    accept(client, event, body)
    assert world.api.requests == []


def test_a_form_is_read_too(client: FlaskClient, world: World):
    world.add("alpha")
    refresh(client)
    add_commit(world, "alpha")
    payload = events.push(world.api.id_of("alpha"))
    body = urlencode({"payload": payload.decode()}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert send(client, "push", body, **kind).status_code == 202
    settle(client.application)
    assert projects(client)["alpha"]["commits"] == 4


def test_a_body_beyond_the_limit_is_refused(client: FlaskClient):
    assert send(client, "push", b" " * (MAX_PAYLOAD + 1)).status_code == 413


# What is measured


@pytest.fixture
def measured(client: FlaskClient, world: World) -> FlaskClient:
    """A client of the application, which has measured two repositories."""
    world.add("alpha")
    world.add("beta")
    refresh(client)
    return client


def test_a_push_measures_its_repository_alone(measured: FlaskClient, world: World):
    before = projects(measured)
    add_commit(world, "alpha")
    add_commit(world, "beta")
    world.api.requests.clear()
    accept(measured, "push", events.push(world.api.id_of("alpha")))
    after = projects(measured)
    assert after["alpha"]["commits"] == world.commits("alpha") == 4
    assert after["alpha"]["code_churn"] == world.churn("alpha")
    assert after["beta"] == before["beta"]
    assert not [each for each in world.api.requests if "/user/repos" in each.path]
    (job,) = fetch(measured, "/api/refresh/jobs")[:1]
    assert (job["kind"], job["status"], job["total_repositories"]) == ("single", "completed", 1)


def test_a_push_that_github_does_not_know_of_yet_is_measured(measured: FlaskClient, world: World):
    world.repositories["alpha"].commit({"more.py": "print('more')\n"})
    world.repositories["alpha"].push()  # and pushed_at stays as it was
    accept(measured, "push", events.push(world.api.id_of("alpha")))
    assert projects(measured)["alpha"]["commits"] == 4


def test_twenty_pushes_are_two_measurements(
    measured: FlaskClient, world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wanted, "MEASURE_AGAIN_AFTER", 5.0)
    for number in range(20):
        world.repositories["alpha"].commit({f"more{number}.py": "print()\n"})
    world.push("alpha")
    start = time.monotonic()
    for _ in range(20):
        assert send(measured, "push", events.push(world.api.id_of("alpha"))).status_code == 202
    sent_within = time.monotonic() - start
    settle(measured.application)
    assert projects(measured)["alpha"]["commits"] == world.commits("alpha") == 23
    measurements = [job for job in singles(measured.application) if job.total_repositories]
    assert 1 <= len(measurements) <= 2 + sent_within / 5.0


def test_an_event_measures_by_the_same_rules_as_a_refresh(measured: FlaskClient, world: World):
    add_commit(world, "alpha")
    accept(measured, "push", events.push(world.api.id_of("alpha")))
    fetches = world.clones()
    refresh(measured)  # the figures stay, however they were made
    assert world.clones() == fetches


def test_a_replay_changes_nothing(measured: FlaskClient, world: World):
    add_commit(world, "alpha")
    body = events.push(world.api.id_of("alpha"))
    headers = events.headers("push", body)
    for _ in range(3):
        assert measured.post(PATH, data=body, headers=headers).status_code == 202
    settle(measured.application)
    first = projects(measured)["alpha"]
    accept(measured, "push", body)
    again = projects(measured)["alpha"]
    assert again == first | {"measured_at": again["measured_at"]}


def test_events_do_not_count_as_refreshes(measured: FlaskClient, world: World):
    refreshed_at = fetch(measured, "/api/metrics")["refreshed_at"]
    health = fetch(measured, "/api/health")
    time.sleep(1.1)  # times are compared to the second
    add_commit(world, "alpha")
    accept(measured, "push", events.push(world.api.id_of("alpha")))
    assert fetch(measured, "/api/metrics")["refreshed_at"] == refreshed_at
    now = fetch(measured, "/api/health")
    assert now["last_completed_refresh"] == health["last_completed_refresh"]


def test_a_new_repository_appears(measured: FlaskClient, world: World):
    world.add("gamma")
    accept(measured, "repository", events.change("created", world.api.id_of("gamma")))
    assert sorted(projects(measured)) == ["alpha", "beta", "gamma"]


def test_a_renamed_repository_keeps_its_figures(measured: FlaskClient, world: World):
    before = projects(measured)["alpha"]
    world.api.rename("alpha", "omega")
    accept(measured, "repository", events.change("renamed", world.api.id_of("omega")))
    after = projects(measured)
    assert sorted(after) == ["beta", "omega"]
    assert after["omega"]["commits"] == before["commits"]


def test_an_archived_repository_is_marked(measured: FlaskClient, world: World):
    world.api.update("alpha", archived=True)
    accept(measured, "repository", events.change("archived", world.api.id_of("alpha")))
    assert projects(measured)["alpha"]["archived"] is True


def test_a_transferred_repository_goes(measured: FlaskClient, world: World):
    github_id = world.api.id_of("alpha")
    world.api.transfer("alpha", "somebody")
    accept(measured, "repository", events.change("transferred", github_id))
    assert sorted(projects(measured)) == ["beta"]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured after the answer."""
    monkeypatch.setattr("web.webhook.measure_after_answer", lambda: None)


def test_a_deleted_repository_goes_at_once(offline, measured: FlaskClient, world: World):
    accept(measured, "repository", events.change("deleted", world.api.id_of("alpha")))
    assert sorted(projects(measured)) == ["beta"]


def test_a_replayed_deletion_is_made_good(measured: FlaskClient, world: World):
    accept(measured, "repository", events.change("deleted", world.api.id_of("alpha")))
    assert projects(measured)["alpha"]["commits"] == 3


@pytest.mark.parametrize("mode", PrivateMode)
def test_a_privatized_repository_is_private_at_once(
    offline, environment: dict[str, str], world: World, request, mode: PrivateMode
):
    environment["PRIVATE_REPOSITORIES"] = mode
    client = request.getfixturevalue("measured")
    accept(client, "repository", events.change("privatized", world.api.id_of("alpha")))
    shown = projects(client)
    assert sorted(shown) == (["alpha", "beta"] if mode is PrivateMode.SHOW else ["beta"])
    assert fetch(client, "/api/metrics")["total_projects"] == (1 if mode == "hide" else 2)


def test_what_the_settings_do_not_choose_is_not_measured(
    environment: dict[str, str], world: World, request
):
    environment["EXCLUDE_REPOSITORIES"] = "*/secret*"
    client = request.getfixturevalue("measured")
    world.add("secrets")
    world.add("fork", fork=True)
    world.add("others", owner="somebody")
    for name in ("secrets", "fork", "somebody/others"):
        accept(client, "push", events.push(world.api.id_of(name)))
    assert sorted(projects(client)) == ["alpha", "beta"]


def test_owners_that_are_chosen_keep_their_names(
    environment: dict[str, str], world: World, request
):
    environment["GITHUB_OWNERS"] = "octocat,acme"
    world.api.organizations.add("acme")
    world.add("web", owner="acme")
    client = request.getfixturevalue("measured")
    world.add("tools", owner="acme", private=True)
    accept(client, "push", events.push(world.api.id_of("acme/tools")))
    assert sorted(projects(client)) == ["acme/tools", "acme/web", "alpha", "beta"]


def test_a_repository_that_github_does_not_show_keeps_its_figures(
    measured: FlaskClient, world: World
):
    github_id = world.api.id_of("alpha")
    world.api.remove("alpha")
    accept(measured, "push", events.push(github_id))
    alpha = projects(measured)["alpha"]
    assert alpha["commits"] == 3
    assert "GitHub no longer has it" in alpha["stale_reason"]


# Together with a refresh


def test_an_event_during_a_refresh_waits_for_its_end(measured: FlaskClient, world: World):
    app = measured.application
    with app.app_context():
        under_way, _ = store.open_refresh(forced=False)
        listing_claim.claim(under_way.id)
    add_commit(world, "alpha")
    assert send(measured, "push", events.push(world.api.id_of("alpha"))).status_code == 202
    time.sleep(0.5)  # ten looks
    assert projects(measured)["alpha"]["commits"] == 3
    with app.app_context():
        store.fail(under_way.id, "ended by the test")
    settle(app)
    assert projects(measured)["alpha"]["commits"] == 4


def test_a_refresh_serves_what_is_wanted(offline, measured: FlaskClient, world: World):
    add_commit(world, "alpha")
    accept(measured, "push", events.push(world.api.id_of("alpha")))
    refresh(measured)
    assert projects(measured)["alpha"]["commits"] == 4
    with measured.application.app_context():
        assert not wanted.is_waiting()


def test_a_full_refresh_follows_the_single_one_it_was_asked_during(
    measured: FlaskClient, world: World
):
    app = measured.application
    with app.app_context():
        single, _ = store.open_refresh(False, RefreshKind.SINGLE)
        listing_claim.claim(single.id)
    add_commit(world, "beta")
    answer: Any = measured.post("/api/refresh")
    assert (answer.status_code, answer.json["job_id"]) == (202, single.id)
    with app.app_context():
        store.fail(single.id, "ended by the test")
    accept(measured, "push", events.push(world.api.id_of("alpha")))
    assert projects(measured)["beta"]["commits"] == 4
    newest = fetch(measured, "/api/refresh/jobs")
    assert "full" in [job["kind"] for job in newest[:2]]


def test_a_deletion_during_a_refresh_lets_it_end(offline, measured: FlaskClient, world: World):
    app = measured.application
    with app.app_context():
        refresh_row, _ = store.open_refresh(forced=True)
        settings = app.config["SETTINGS"]
        github = github_api.connect(settings)
        assert listing.list_repositories(settings, github, refresh_row.id) == 2
        github.close()
        claimed = tasks.claim_next(refresh_row.id)
        assert claimed is not None
    for name in ("alpha", "beta"):
        accept(measured, "repository", events.change("deleted", world.api.id_of(name)))
    with app.app_context():
        ended = store.close_if_done(refresh_row.id)
        assert ended is not None
        assert ended.status == "completed"
    assert projects(measured) == {}


# Real processes


@pytest.fixture
def service(environment: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    with serving(environment, tmp_path / "service") as service:
        yield service


def deliver(service: Service, event: str, body: bytes) -> requests.Response:
    return requests.post(
        service.url + PATH, data=body, headers=events.headers(event, body), timeout=LIMIT
    )


def commits(service: Service) -> int:
    return next(each["commits"] for each in service.get("/api/projects"))


@pytest.mark.parametrize("with_redis", [False, True])
def test_a_push_is_measured_behind_gunicorn(
    environment: dict[str, str], world: World, redis_server: RedisServer, tmp_path, with_redis: bool
):
    if with_redis:
        environment["REDIS_URL"] = redis_server.url
    world.add("alpha")
    with serving(environment, tmp_path / "service") as service:
        service.waits["MEASURE_AGAIN_AFTER"] = 5.0
        service.start_web()
        if with_redis:
            service.start_worker()
        service.post()
        service.wait_for_end()
        add_commit(world, "alpha")
        body = events.push(world.api.id_of("alpha"), padding="x" * 3_000_000)
        assert deliver(service, "push", body).status_code == 202
        wait_until(lambda: commits(service) == 4, LIMIT, "the push is measured")
        # One more, too soon after the first, is measured later, by any process.
        add_commit(world, "alpha")
        assert deliver(service, "push", body).status_code == 202
        wait_until(lambda: commits(service) == 5, LIMIT, "the second push is measured")


def test_slow_bodies_keep_nobody_out(service: Service):
    service.start_web()
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n".encode()
    slow = [connect(service.port) for _ in range(100)]
    for each in slow:
        each.sendall(head + b"{")
    start = time.monotonic()
    assert deliver(service, "ping", events.PING).status_code == 202
    assert requests.get(service.url + "/api/projects", timeout=LIMIT).status_code == 200
    assert time.monotonic() - start < 5
    for each in slow:
        each.close()


def test_too_long_a_body_is_refused_unread(service: Service):
    service.start_web()
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MAX_PAYLOAD + 1}\r\n\r\n"
    assert exchange(service.port, head.encode()).status == 413
