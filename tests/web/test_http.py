"""HTTP answers to any request: errors, methods, odd names, headers, origins."""

from __future__ import annotations

import itertools
import time
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from models import db
from tests.support.postgres_server import PostgresServer
from tests.support.wire import TELLTALES

READS = (
    "/",
    "/api/health",
    "/api/projects",
    "/api/metrics",
    "/api/refresh/jobs",
)
ALL_ROUTES = (*READS, "/api/project/x", "/api/refresh/status/x", "/api/refresh")
ODD_NAMES = (
    str(2**63),
    str(-(2**63) - 1),
    "9" * 400,
    "a\0b",
    "\0",
    "'; DROP TABLE project; --",
    "%s%n{0}{{7*7}}${x}",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "\N{PILE OF POO}",
    "nai\N{COMBINING DIAERESIS}ve",
    "x" * 10_000,
    " ",
    "a\nb: c",
)
# Percent-encoded bytes that are not UTF-8: a lone surrogate, a stray byte, an overlong slash.
ODD_BYTES = ("%ED%A0%80", "%FF%FE", "%C0%AF")


def assert_error(answer: TestResponse, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    content = answer.get_json()
    assert isinstance(content["error"], str)
    assert content["error"]
    for telltale in TELLTALES:
        assert telltale not in answer.text
    assert_secured(answer)


def assert_secured(answer: TestResponse) -> None:
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Origin" in answer.headers["Vary"]
    assert "*" not in answer.headers.get("Access-Control-Allow-Origin", "")


# Errors


def test_unknown_paths_are_told_in_json(client: FlaskClient):
    for path in ("/nowhere", "/api", "/api/", "/api/projects/", "/api//projects", "//evil.test"):
        # Set as it is, not as a URL whose first part would be a host.
        assert_error(client.get("/", environ_overrides={"PATH_INFO": path}), 404)


def test_other_methods_are_told_in_json(client: FlaskClient):
    methods = ("POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")
    for method, path in itertools.product(methods, ALL_ROUTES):
        if (method, path) == ("POST", "/api/refresh"):
            continue
        answer = client.open(path, method=method)
        assert_error(answer, 405)
        allowed = {"POST", "OPTIONS"} if path == "/api/refresh" else {"GET", "HEAD", "OPTIONS"}
        assert set(answer.headers["Allow"].split(", ")) == allowed


def test_a_large_body_is_refused_by_its_length(client: FlaskClient):
    length = {"CONTENT_LENGTH": str(100 * 1024**2)}
    for path in ALL_ROUTES:
        method = "POST" if path == "/api/refresh" else "GET"
        assert_error(client.open(path, method=method, environ_overrides=length), 413)
    assert client.get("/api/refresh/jobs").json == []


def test_a_body_of_no_announced_length_is_refused(client: FlaskClient):
    headers = {"Transfer-Encoding": "chunked"}

    assert_error(client.post("/api/refresh", headers=headers), 413)
    assert client.get("/api/refresh/jobs").json == []


@pytest.mark.dialect
def test_a_fault_of_ours_is_told_without_its_details(client: FlaskClient, app: Flask):
    with app.app_context():
        db.session.execute(text("ALTER TABLE project RENAME TO gone"))
        db.session.commit()

    for path in ("/api/projects", "/api/project/x", "/api/metrics"):
        assert_error(client.get(path), 500)
    assert client.get("/api/refresh/jobs").json == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_is_away_is_told_soon_and_comes_back(
    client: FlaskClient, postgres_server: PostgresServer
):
    assert client.get("/api/projects").status_code == 200
    postgres_server.stop(immediate=True)

    for path in ("/api/projects", "/api/project/x", "/api/metrics", "/api/refresh/status/x"):
        started = time.monotonic()
        assert_error(client.get(path), 503)
        assert time.monotonic() - started < 40
    started = time.monotonic()
    assert_error(client.post("/api/refresh"), 503)
    assert time.monotonic() - started < 40
    health = client.get("/api/health")
    assert_error(health, 503)
    assert health.get_json()["status"] == "unhealthy"

    postgres_server.start()
    assert client.get("/api/projects").json == []
    assert client.get("/api/health").get_json()["status"] == "healthy"


# Methods


def test_head_is_get_without_its_body(client: FlaskClient):
    for path in (*READS, "/api/project/x", "/api/refresh/status/x", "/nowhere"):
        told, head = client.get(path), client.head(path)
        assert head.status_code == told.status_code
        assert head.data == b""
        assert head.headers["Content-Length"] == told.headers["Content-Length"]
        assert head.mimetype == told.mimetype == "application/json"
        assert_secured(head)


def test_options_names_the_methods(client: FlaskClient):
    for path in ALL_ROUTES:
        answer = client.options(path)
        assert answer.status_code == 200
        assert answer.data == b""
        expected = {"POST", "OPTIONS"} if path == "/api/refresh" else {"GET", "HEAD", "OPTIONS"}
        assert set(answer.headers["Allow"].split(", ")) == expected
        assert_secured(answer)
    assert_error(client.options("/nowhere"), 404)


def test_head_starts_no_refresh(client: FlaskClient):
    assert client.head("/api/refresh").status_code == 405
    assert client.get("/api/refresh/jobs").json == []


# Odd names


@pytest.mark.dialect
def test_odd_names_are_not_found(client: FlaskClient):
    for name in [quote(name, safe="") for name in ODD_NAMES] + list(ODD_BYTES):
        for prefix in ("/api/project/", "/api/refresh/status/"):
            assert_error(client.get(prefix + name), 404)


@pytest.mark.dialect
def test_a_nul_does_not_make_a_name_another(client: FlaskClient, app: Flask):
    from models import Project

    with app.app_context():
        db.session.add(Project(name="ab", github_id=1))
        db.session.commit()

    assert client.get("/api/project/ab").status_code == 200
    assert_error(client.get("/api/project/a%00b"), 404)
    assert_error(client.get("/api/project/AB"), 404)


def test_odd_queries_are_refused_by_the_list_and_ignored_by_other_reads(client: FlaskClient):
    for query in ("?force=%00", "?force=%FF", "?force", "?force=true&force=x&&=="):
        for path in READS:
            status = 400 if path == "/api/projects" else 200
            assert client.get(path + query).status_code == status


def test_odd_hosts_are_no_fault(client: FlaskClient):
    hosts = ("q  z", "", "x" * 5000, "[::1", "evil.test:99999999", "\xff")
    for host, path in itertools.product(hosts, ("/", "/api/projects", "/nowhere")):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code in (200, 400, 404)
        assert answer.mimetype == "application/json"
        assert host.strip() == "" or host not in answer.text


# Origins

OURS = ("http://127.0.0.1:5500", "http://localhost:5500", "http://localhost:3000")
NOT_OURS = (
    "http://localhost:3000.evil.test",
    "https://evil.test/http://localhost:3000",
    "http://evillocalhost:3000",
    "http://a.localhost:3000",
    "http://127X0.0.1:5500",
    "https://localhost:3000",
    "http://localhost",
    "http://localhost:3000/",
    "http://localhost:3000 https://evil.test",
    "http://localhost:30000",
    "https://samarthkumbla.com",
    "null",
    "*",
    "",
)


def allowed_origin(client: FlaskClient, origin: str, path: str = "/api/projects") -> Any:
    answer = client.get(path, headers={"Origin": origin})
    assert answer.headers.getlist("Vary") in (
        ["Origin"],
        ["Accept, Origin"],
        ["Origin, Accept-Encoding"],
    )
    exposed = answer.headers.get("Access-Control-Expose-Headers")
    if "Access-Control-Allow-Origin" in answer.headers:
        assert exposed == "ETag, Link, Retry-After, X-Total-Count"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    return answer.headers.get("Access-Control-Allow-Origin")


def test_exactly_the_named_origins_may_read(client: FlaskClient):
    for origin in OURS:
        for path in (*ALL_ROUTES, "/nowhere"):  # errors too
            assert allowed_origin(client, origin, path) == origin
    for origin in NOT_OURS:
        for path in (*ALL_ROUTES, "/nowhere"):
            assert allowed_origin(client, origin, path) is None
    assert "Access-Control-Allow-Origin" not in client.get("/").headers


def test_an_origin_in_capitals_is_the_same_host(client: FlaskClient):
    assert allowed_origin(client, "HTTP://LocalHost:3000") == "HTTP://LocalHost:3000"
    assert allowed_origin(client, "HTTP://LocalHost:3000.evil.test") is None


@pytest.mark.parametrize("path", ["/api/projects", "/api/refresh"])
def test_preflights_are_answered_for_the_named_origins_only(client: FlaskClient, path: str):
    headers = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    ours = client.options(path, headers={"Origin": OURS[0], **headers})
    assert ours.status_code == 200
    assert ours.headers["Access-Control-Allow-Origin"] == OURS[0]
    assert "POST" in ours.headers["Access-Control-Allow-Methods"]
    assert "authorization" in ours.headers["Access-Control-Allow-Headers"]
    assert ours.headers["Access-Control-Max-Age"] == "3600"
    assert ours.headers.getlist("Vary") == ["Origin"]
    for origin in NOT_OURS:
        theirs = client.options(path, headers={"Origin": origin, **headers})
        assert not [name for name, _ in theirs.headers if name.startswith("Access-Control")]


def test_cors_origins_replaces_the_default(
    environment: dict[str, str], request: pytest.FixtureRequest
):
    environment["CORS_ORIGINS"] = "https://other.test"
    client: FlaskClient = request.getfixturevalue("client")

    assert allowed_origin(client, "https://other.test") == "https://other.test"
    for origin in (*OURS, "https://other.test.evil.test", "https://otherxtest"):
        assert allowed_origin(client, origin) is None


# Hosts


def test_any_host_is_served_where_none_is_named(client: FlaskClient):
    assert client.get("/api/health", headers={"Host": "tracker.example"}).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_only_the_allowed_hosts_are_served(
    environment: dict[str, str], request: pytest.FixtureRequest
):
    environment["ALLOWED_HOSTS"] = "Tracker.example, .wide.example,192.0.2.7"
    client: FlaskClient = request.getfixturevalue("client")

    for host in ("tracker.example", "tracker.example:8080", "a.wide.example", "192.0.2.7:5001"):
        assert client.get("/api/projects", headers={"Host": host}).status_code == 200, host
    for host in ("evil.test", "tracker.example.evil.test", "localhost", "192.0.2.8", "[::1]:80"):
        for path in (*ALL_ROUTES, "/nowhere"):
            answer = client.get(path, headers={"Host": host})
            assert_error(answer, 400)
            assert "ALLOWED_HOSTS" in answer.get_json()["error"]
    assert client.post("/api/refresh", headers={"Host": "evil.test"}).status_code == 400
