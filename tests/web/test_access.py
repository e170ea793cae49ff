"""Access to refreshes: token, intervals, origins and the rate limit, with and without Redis."""

from __future__ import annotations

import hmac
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

from database.types import utc_now
from models import RefreshJob, RefreshStatus, db
from tests.support.redis_server import RedisServer
from tests.support.service import LIMIT, Service, serving
from tests.support.wire import exchange
from tests.support.world import World
from web.access import REFRESHES_A_MINUTE

TOKEN = "open-sesame-0123456789"
SQLITE_ONLY = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def complete_a_refresh(app: Flask, seconds_ago: float = 1) -> str:
    """Leave a completed refresh behind, and return its id."""
    with app.app_context():
        then = utc_now() - timedelta(seconds=seconds_ago)
        row = RefreshJob(
            id="7d3b7a3e-0000-4000-8000-000000000000",
            status=RefreshStatus.COMPLETED,
            created_at=then,
            started_at=then,
            completed_at=then,
        )
        db.session.add(row)
        db.session.commit()
        return row.id


@pytest.fixture
def app_of(environment: dict[str, str], request: pytest.FixtureRequest):
    """Build the application in the environment with some variables changed."""

    def build(**variables: str) -> Flask:
        environment.update(variables)
        app: Flask = request.getfixturevalue("app")
        return app

    return build


# The token


@pytest.fixture
def guarded(app_of) -> FlaskClient:
    """A client of an app that wants a token and answers from a refresh just completed."""
    app = app_of(REFRESH_TOKEN=TOKEN, REFRESH_MIN_INTERVAL="600")
    complete_a_refresh(app)
    client: FlaskClient = app.test_client()
    return client


@SQLITE_ONLY
@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Basic {TOKEN}",
        f"Token {TOKEN}",
        TOKEN,
        f"Bearer{TOKEN}",
        f"Bearer {TOKEN}\xff",
        "Bearer \xe9\xff\x80",
        "Bearer \U0001f511".encode().decode("latin-1"),
        "Bearer " + "x" * 7000,
    ],
)
def test_without_the_right_token_nothing_starts(guarded: FlaskClient, given: str | None):
    headers = {} if given is None else {"Authorization": given}

    answer = guarded.post("/api/refresh?force=true", headers=headers)

    assert answer.status_code == 401
    assert isinstance(answer.get_json()["error"], str)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert len(guarded.get("/api/refresh/jobs").get_json()) == 1


@SQLITE_ONLY
@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_the_right_token_opens(guarded: FlaskClient, given: str):
    assert guarded.post("/api/refresh", headers={"Authorization": given}).status_code == 200


@SQLITE_ONLY
def test_reads_and_preflights_want_no_token(guarded: FlaskClient):
    for path in ("/", "/api/health", "/api/projects", "/api/metrics", "/api/refresh/jobs"):
        assert guarded.get(path).status_code == 200
    assert guarded.options("/api/refresh").status_code == 200


@SQLITE_ONLY
@pytest.mark.parametrize(("verdict", "status"), [(True, 200), (False, 401)])
def test_tokens_are_compared_in_constant_time(
    guarded: FlaskClient, monkeypatch: pytest.MonkeyPatch, verdict: bool, status: int
):
    """`hmac.compare_digest` alone decides, so no other comparison can tell by its duration."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return verdict

    monkeypatch.setattr(hmac, "compare_digest", compare)
    for given in (TOKEN, TOKEN[:-1], "wrong"):
        headers = {"Authorization": f"Bearer {given}"}
        assert guarded.post("/api/refresh", headers=headers).status_code == status
        assert set(compared.pop()) == {given.encode(), TOKEN.encode()}


@SQLITE_ONLY
def test_without_a_token_configured_anybody_may_ask(app_of):
    app = app_of(REFRESH_MIN_INTERVAL="600")
    complete_a_refresh(app)

    answer = app.test_client().post("/api/refresh", headers={"Authorization": "Bearer whatever"})

    assert answer.status_code == 200


# The least interval


@pytest.mark.dialect
def test_a_refresh_just_completed_answers_for_the_next(app_of, redis_server: RedisServer):
    app = app_of(REFRESH_MIN_INTERVAL="60", REDIS_URL=redis_server.url)
    completed = complete_a_refresh(app, seconds_ago=10)
    client = app.test_client()

    answer = client.post("/api/refresh")
    assert answer.status_code == 202
    assert answer.get_json()["job_id"] == completed
    assert answer.get_json()["status"] == "completed"
    assert answer.get_json()["check_status_url"] == f"/api/refresh/status/{completed}"

    forced = client.post("/api/refresh?force=true")
    assert forced.status_code == 429
    assert isinstance(forced.get_json()["error"], str)
    assert 45 <= int(forced.headers["Retry-After"]) <= 51
    assert len(client.get("/api/refresh/jobs").get_json()) == 1


@pytest.mark.dialect
def test_after_the_interval_a_refresh_starts(app_of, redis_server: RedisServer):
    app = app_of(REFRESH_MIN_INTERVAL="60", REDIS_URL=redis_server.url)
    completed = complete_a_refresh(app, seconds_ago=61)
    client = app.test_client()

    started = client.post("/api/refresh?force=true")

    assert started.status_code == 202
    assert started.get_json()["job_id"] != completed
    assert started.get_json()["status"] == "queued"


def test_forced_or_not_a_refresh_under_way_is_joined(app_of, redis_server: RedisServer):
    app = app_of(REFRESH_MIN_INTERVAL="60", REDIS_URL=redis_server.url)
    client = app.test_client()
    first = client.post("/api/refresh").get_json()

    for query in ("", "?force=true"):
        joined = client.post("/api/refresh" + query)
        assert joined.status_code == 202
        assert joined.get_json()["job_id"] == first["job_id"]
        assert joined.get_json()["status"] == "queued"
    assert len(client.get("/api/refresh/jobs").get_json()) == 1


@SQLITE_ONLY
def test_a_failed_refresh_holds_up_nobody(app_of, world: World):
    app = app_of(REFRESH_MIN_INTERVAL="60")
    client = app.test_client()
    assert client.post("/api/refresh").status_code == 502  # there is no repository yet
    world.add("alpha", commits=1)

    assert client.post("/api/refresh").status_code == 200


# The interval between forced ones


@SQLITE_ONLY
def test_without_a_token_a_refresh_is_forced_once_in_an_interval(app_of, world: World):
    world.add("alpha", commits=1)
    client = app_of(FORCE_MIN_INTERVAL="600").test_client()
    assert client.post("/api/refresh?force=true").status_code == 200

    again = client.post("/api/refresh?force=true")

    assert again.status_code == 429
    wait = again.headers["Retry-After"]
    assert 500 < int(wait) <= 600
    assert again.get_json()["error"] == (
        f"a refresh may be forced once in 600 s: try again in {wait} s"
    )
    assert client.post("/api/refresh").status_code == 200
    assert len(client.get("/api/refresh/jobs").get_json()) == 2


@SQLITE_ONLY
def test_a_forced_refresh_that_failed_counts_too(app_of):
    client = app_of(FORCE_MIN_INTERVAL="600").test_client()
    assert client.post("/api/refresh?force=true").status_code == 502  # there is no repository

    assert client.post("/api/refresh?force=true").status_code == 429


@SQLITE_ONLY
def test_after_the_interval_a_refresh_is_forced_again(app_of, world: World):
    world.add("alpha", commits=1)
    app = app_of(FORCE_MIN_INTERVAL="600")
    client = app.test_client()
    assert client.post("/api/refresh?force=true").status_code == 200
    with app.app_context():
        for row in db.session.scalars(db.select(RefreshJob)):
            row.created_at = utc_now() - timedelta(seconds=601)
        db.session.commit()

    assert client.post("/api/refresh?force=true").status_code == 200


@SQLITE_ONLY
def test_with_the_token_a_refresh_is_forced_at_will(app_of, world: World):
    world.add("alpha", commits=1)
    client = app_of(FORCE_MIN_INTERVAL="600", REFRESH_TOKEN=TOKEN).test_client()
    headers = {"Authorization": f"Bearer {TOKEN}"}

    for _ in range(2):
        assert client.post("/api/refresh?force=true", headers=headers).status_code == 200


# The origin


@SQLITE_ONLY
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "null",
        "",
        "http://localhost",
        "http://localhost:30000",
        "http://tracker.example:81",
        "http://tracker.example.evil.test",
        "http://evil.test@tracker.example",
        "tracker.example",
        "http://[",
        "\xff",
    ],
)
def test_pages_of_other_origins_change_nothing(app_of, world: World, origin: str):
    world.add("alpha", commits=1)
    client = app_of().test_client()

    answer = client.post(
        "/api/refresh?force=true", headers={"Origin": origin, "Host": "tracker.example"}
    )

    assert answer.status_code == 403
    assert "CORS_ORIGINS" in answer.get_json()["error"]
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert client.get("/api/refresh/jobs").get_json() == []


@SQLITE_ONLY
@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://localhost:3000",
        "HTTP://LocalHost:3000",
        "http://tracker.example",
        "http://tracker.example:80",
        "https://tracker.example:443",
    ],
)
def test_listed_origins_our_own_and_programs_may_refresh(app_of, world: World, origin: str | None):
    world.add("alpha", commits=1)
    headers = {"Host": "tracker.example"} | ({} if origin is None else {"Origin": origin})

    assert app_of().test_client().post("/api/refresh", headers=headers).status_code == 200


# The rate


def post(client: FlaskClient, peer: str, forwarded: str | None = None) -> int:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    answer = client.post("/api/refresh", headers=headers, environ_base={"REMOTE_ADDR": peer})
    if answer.status_code == 429:
        wait = answer.headers["Retry-After"]
        assert 0 < int(wait) <= 60
        assert answer.get_json()["error"].endswith(f"try again in {wait} s")
    return answer.status_code


@pytest.fixture
def limited(app_of, redis_server: RedisServer):
    """Build a client whose app answers each refresh asked for from the last, as Redis is there."""

    def build(**variables: str) -> FlaskClient:
        app = app_of(REDIS_URL=redis_server.url, REFRESH_MIN_INTERVAL="600", **variables)
        complete_a_refresh(app)
        client: FlaskClient = app.test_client()
        return client

    return build


@SQLITE_ONLY
def test_one_client_may_ask_thirty_times_a_minute(limited):
    client = limited()

    answers = [post(client, "192.0.2.1") for _ in range(REFRESHES_A_MINUTE + 5)]

    assert answers == [202] * 30 + [429] * 5
    assert post(client, "192.0.2.2") == 202
    assert client.get("/api/projects").status_code == 200


@SQLITE_ONLY
def test_without_proxies_no_header_makes_another_client(limited):
    client = limited(TRUSTED_PROXIES="0")

    answers = [post(client, "192.0.2.1", f"198.51.100.{n}") for n in range(35)]

    assert Counter(answers) == {202: 30, 429: 5}


@SQLITE_ONLY
def test_behind_one_proxy_its_word_counts_and_nobody_elses(limited):
    client = limited(TRUSTED_PROXIES="1")

    # The proxy adds the address it saw to whatever the client made up.
    answers = [post(client, "10.0.0.1", f"198.51.100.{n}, 192.0.2.1") for n in range(35)]

    assert Counter(answers) == {202: 30, 429: 5}
    assert post(client, "10.0.0.1", "192.0.2.1, 192.0.2.2") == 202
    assert post(client, "10.0.0.9", "192.0.2.1") == 429


@SQLITE_ONLY
def test_behind_two_proxies_the_last_but_one_counts(limited):
    client = limited(TRUSTED_PROXIES="2")

    answers = [post(client, "10.0.0.1", f"198.51.100.{n}, 192.0.2.1, 10.0.0.2") for n in range(35)]

    assert Counter(answers) == {202: 30, 429: 5}
    assert post(client, "10.0.0.1", "192.0.2.2, 10.0.0.2") == 202


@SQLITE_ONLY
@pytest.mark.parametrize("forwarded", ["", ",,,", "\xff", "a" * 7000, "unknown, ", "[::1"])
def test_odd_forwarded_addresses_are_no_fault(limited, forwarded: str):
    assert post(limited(TRUSTED_PROXIES="1"), "10.0.0.1", forwarded) in (202, 400)


# Real processes


@pytest.fixture
def service(
    environment: dict[str, str], own_redis: RedisServer, world: World, tmp_path: Path
) -> Iterator[Service]:
    """A service on a Redis of its own, not started yet."""
    environment["REDIS_URL"] = own_redis.url
    with serving(environment, tmp_path / "service") as service:
        yield service


@SQLITE_ONLY
def test_two_web_processes_count_together(service: Service):
    service.environment["WEB_CONCURRENCY"] = "2"
    service.environment["TRUSTED_PROXIES"] = "1"
    service.start_web()

    headers = {"X-Forwarded-For": "192.0.2.1"}
    answers = [
        requests.post(f"{service.url}/api/refresh", headers=headers, timeout=LIMIT).status_code
        for _ in range(36)
    ]

    assert Counter(answers) == {202: 30, 429: 6}
    assert service.post().status_code == 202


@SQLITE_ONLY
def test_spoofed_headers_do_not_help_against_the_real_server(service: Service):
    service.environment["TRUSTED_PROXIES"] = "0"
    service.start_web()

    answers = [
        exchange(
            service.port,
            b"POST /api/refresh HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"X-Forwarded-For: 192.0.2.%d\r\nX-Real-IP: 192.0.2.%d\r\n"
            b"Forwarded: for=192.0.2.%d\r\n\r\n" % (n, n, n),
        ).status
        for n in range(34)
    ]

    assert Counter(answers) == {202: 30, 429: 4}


@SQLITE_ONLY
@pytest.mark.parametrize("fate", ["killed", "frozen"])
def test_without_redis_requests_are_answered_and_still_counted(
    service: Service, own_redis: RedisServer, world: World, fate: str
):
    world.add("alpha", commits=1)
    service.environment["REFRESH_MIN_INTERVAL"] = "600"
    service.start_web()
    if fate == "killed":
        own_redis.kill()
    else:
        own_redis.freeze()
    try:
        statuses: Counter[int] = Counter()
        # Each request waits a second for a frozen one, so only a few are sent.
        for _ in range(34 if fate == "killed" else 3):
            started = time.monotonic()
            answer = service.post()
            assert time.monotonic() - started < 40
            statuses[answer.status_code] += 1
            assert "job_id" not in answer.json()
        if fate == "killed":
            # Counted in memory once Redis is found to be away.
            assert set(statuses) == {200, 429}
            assert 29 <= statuses[200] <= 31
        else:
            assert set(statuses) == {200}
        for path in ("/", "/api/health", "/api/projects", "/api/metrics"):
            started = time.monotonic()
            assert requests.get(service.url + path, timeout=LIMIT).status_code == 200
            assert time.monotonic() - started < 40
        assert (
            requests.get(f"{service.url}/api/health", timeout=LIMIT).json()["status"] == "healthy"
        )
    finally:
        own_redis.thaw()
    if fate == "killed":
        own_redis.start()
    assert service.get("/")["redis_available"] is True
