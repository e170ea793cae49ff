"""The routes about growth: answers, errors and private projects."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from database.transaction import run_in_transaction
from database.types import utc_now
from models import Growth, Project
from tests.support.documents import check_answer

ROUTES = {
    "GET /api/growth": "/api/growth",
    "GET /api/project/<name>/growth": "/api/project/alpha/growth",
    "GET /api/project/<owner>/<name>/growth": "/api/project/org/gamma/growth",
}
NOW = f"{utc_now():%Y-%m}"


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"GROWTH": "month"}


@pytest.fixture(autouse=True)
def projects(app: Flask) -> None:
    with app.app_context():
        run_in_transaction(add_projects)


def add_projects(session: Session) -> None:
    add(session, 1, "alpha", {"Python": 20, "C": 30})
    add(session, 2, "secret", {"Zig": 5}, private=True)
    add(session, 3, "org/gamma", {"Go": 1})


def add(
    session: Session, id_: int, name: str, languages: dict[str, int], private: bool = False
) -> None:
    loc = sum(languages.values())
    figures = {"loc": loc, "languages_loc": languages, "growth_sha": "a", "private": private}
    session.add(Project(id=id_, github_id=id_, name=name, commit_count=2, **figures))
    session.flush()
    half = {language: lines * 10 for language, lines in languages.items()}
    session.add(Growth(project_id=id_, month="2020-03", sha="b", loc=loc * 10, languages=half))


@pytest.mark.parametrize(("route", "loc"), list(zip(ROUTES, (56, 50, 1), strict=True)))
def test_growth_ends_with_todays_loc(client: FlaskClient, route: str, loc: int):
    told = check_answer(route, client.get(ROUTES[route]))
    assert told[0] == {"month": "2020-03", "loc": loc * 10}
    assert told[1] == {"month": "2020-04", "loc": loc * 10}
    assert told[-1] == {"month": NOW, "loc": loc}


def test_languages_have_the_most_lines_first(client: FlaskClient):
    path = "/api/project/alpha/growth?languages=true&from=2020-03&to=2020-03-31"
    told = check_answer("GET /api/project/<name>/growth", client.get(path))
    assert told == [{"month": "2020-03", "loc": 500, "languages": {"C": 300, "Python": 200}}]
    assert list(told[0]["languages"]) == ["C", "Python"]


def test_years(client: FlaskClient):
    told = check_answer("GET /api/growth", client.get("/api/growth?by=year&to=2021-01"))
    assert told == [{"year": "2020", "loc": 560}, {"year": "2021", "loc": 560}]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("from=2026", "from"),
        ("from=202601", "from"),
        ("to=2026-13", "to"),
        ("to=2026-02-30", "to"),
        ("by=week", "by"),
        ("languages=yes", "languages"),
        ("by=year&by=year", "by"),
        ("since=2026-01", "since"),
    ],
)
def test_what_cannot_be_used_is_named(client: FlaskClient, route: str, query: str, fault: str):
    answer = client.get(f"{ROUTES[route]}?{query}")
    assert answer.status_code == 400
    assert fault in check_answer(route, answer)["error"]


def test_a_project_may_be_called_as_the_route_ends(client: FlaskClient, app: Flask):
    with app.app_context():
        run_in_transaction(lambda session: add(session, 4, "org/growth", {"Go": 2}))
    told = client.get("/api/project/org/growth")
    assert check_answer("GET /api/project/<owner>/<name>", told)["name"] == "org/growth"
    assert client.get("/api/project/org/growth/growth").get_json()[-1]["loc"] == 2


def test_growth_of_nobody_is_not_found(client: FlaskClient):
    answer = client.get("/api/project/nobody/growth")
    assert answer.status_code == 404
    check_answer("GET /api/project/<name>/growth", answer)


@pytest.mark.parametrize(("mode", "loc"), [("count", 56), ("hide", 51)])
def test_private_ones_are_as_everywhere(environment: dict[str, str], mode: str, loc: int):
    client = create_app(environment | {"PRIVATE_REPOSITORIES": mode}).test_client()
    assert client.get("/api/growth").get_json()[-1]["loc"] == loc
    assert client.get("/api/project/secret/growth").status_code == 404
    page = client.get("/dashboard?by=project").text
    assert "org/gamma: 1 line of code at the end" in page
    assert "secret" not in page


def test_growth_is_drawn(client: FlaskClient):
    for path in ("/dashboard", "/dashboard/alpha", "/api/chart/growth.svg?project=alpha"):
        page = client.get(path).text
        assert "March 2020" in page, path
        assert "C: 30 lines of code at the end" in page, path
    assert 'href="/dashboard?by=project#growth"' in client.get("/dashboard").text
    assert client.get("/dashboard?by=owner").status_code == 400
