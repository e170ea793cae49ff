"""Every answer agrees with openapi.yaml, in each state of the service."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

import app as application
from tests.support.documents import NO_DATABASE, check_answer, routes_of
from tests.support.redis_server import RedisServer
from tests.support.world import World


@pytest.fixture
def cut_off() -> Flask:
    """The application without a database behind it."""
    return application.create_app(NO_DATABASE)


def test_answers_before_the_first_refresh(client: FlaskClient):
    for path in ("/", "/api/health", "/api/projects", "/api/metrics", "/api/refresh/jobs"):
        answer = client.get(path)
        assert answer.status_code == 200
        check_answer(f"GET {path}", answer)


def test_answers_after_refreshes(client: FlaskClient, world: World):
    world.add("alpha", languages={"Python": 10, "C": 30})
    world.add("beta", commits=1, private=True, archived=True, languages={})
    world.add("broken")
    world.git.fail("broken", status=404)

    ran = client.post("/api/refresh?force=true")
    assert ran.status_code == 200
    done = check_answer("POST /api/refresh", ran)
    assert "broken" in done["error_message"]

    for path in ("/", "/api/health", "/api/projects", "/api/metrics", "/api/refresh/jobs"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert check_answer(f"GET {path}", answer)
    for name, status in (("alpha", 200), ("beta", 200), ("broken", 200), ("no-such", 404)):
        answer = client.get(f"/api/project/{name}")
        assert answer.status_code == status
        check_answer("GET /api/project/<name>", answer)
    job = check_answer("GET /api/refresh/jobs", client.get("/api/refresh/jobs"))[0]
    for job_id, status in ((job["id"], 200), ("no-such", 404)):
        answer = client.get(f"/api/refresh/status/{job_id}")
        assert answer.status_code == status
        check_answer("GET /api/refresh/status/<job_id>", answer)


def test_answer_when_the_refresh_failed(client: FlaskClient, world: World):
    world.api.fail("/user", status=401, times=None)
    answer = client.post("/api/refresh")
    assert answer.status_code == 502
    check_answer("POST /api/refresh", answer)
    jobs = check_answer("GET /api/refresh/jobs", client.get("/api/refresh/jobs"))
    assert jobs[0]["status"] == "failed"


class TestAskedForTooSoon:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"REFRESH_MIN_INTERVAL": "60"}

    def test_answers(self, client: FlaskClient, world: World):
        world.add("alpha")
        assert client.post("/api/refresh").status_code == 200
        for query, status in (("", 200), ("?force=true", 429)):
            answer = client.post(f"/api/refresh{query}")
            assert answer.status_code == status
            check_answer("POST /api/refresh", answer)


class TestOnTheQueue:
    @pytest.fixture
    def environment(self, environment: dict[str, str], redis_server: RedisServer) -> dict[str, str]:
        return environment | {"REDIS_URL": redis_server.url}

    def test_answers(self, client: FlaskClient):
        for _ in ("queued", "joined"):
            answer = client.post("/api/refresh")
            assert answer.status_code == 202
            asked = check_answer("POST /api/refresh", answer)
        watched = client.get(asked["check_status_url"])
        job = check_answer("GET /api/refresh/status/<job_id>", watched)
        assert job["id"] == asked["job_id"]


class TestWithABearerToken:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"REFRESH_TOKEN": "open-sesame"}

    @pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
    def test_answers_without_it(self, client: FlaskClient, headers: dict[str, str]):
        answer = client.post("/api/refresh", headers=headers)
        assert answer.status_code == 401
        check_answer("POST /api/refresh", answer)


class TestWithoutAGitHubToken:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return {k: v for k, v in environment.items() if k != "GITHUB_ACCESS_TOKEN"}

    def test_answers(self, client: FlaskClient):
        answer = client.post("/api/refresh")
        assert answer.status_code == 503
        check_answer("POST /api/refresh", answer)


@pytest.mark.parametrize(
    "route",
    [
        "GET /api/health",
        "GET /api/projects",
        "GET /api/project/<name>",
        "GET /api/metrics",
        "GET /api/refresh/jobs",
        "GET /api/refresh/status/<job_id>",
    ],
)
def test_answers_without_a_database(cut_off: Flask, route: str):
    answer = cut_off.test_client().get(re.sub("<.*?>", "x", route.split()[1]))
    assert answer.status_code == 503
    check_answer(route, answer)


def test_answers_to_a_large_body(cut_off: Flask):
    for route in routes_of(cut_off):
        method, path = route.split()
        path = re.sub("<.*?>", "x", path)
        answer = cut_off.test_client().open(path, method=method, data=b"x" * 65_537)
        assert answer.status_code == 413
        check_answer(route, answer)


def test_answer_to_a_page_of_another_origin(cut_off: Flask):
    answer = cut_off.test_client().post("/api/refresh", headers={"Origin": "https://evil.test"})
    assert answer.status_code == 403
    check_answer("POST /api/refresh", answer)


def test_answers_under_another_name():
    client = application.create_app(
        NO_DATABASE | {"ALLOWED_HOSTS": "tracker.example"}
    ).test_client()
    for route in routes_of(client.application):
        method, path = route.split()
        answer = client.open(re.sub("<.*?>", "x", path), method=method)
        assert answer.status_code == 400
        check_answer(route, answer)
