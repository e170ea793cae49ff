"""The routes about time: answers, errors and private projects."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from database.transaction import run_in_transaction
from database.types import utc_now
from models import ActivityDay, Project
from tests.support.documents import check_answer

ROUTES = {
    "GET /api/activity": "/api/activity",
    "GET /api/project/<name>/history": "/api/project/alpha/history",
}


@pytest.fixture(autouse=True)
def projects(app: Flask) -> None:
    with app.app_context():
        run_in_transaction(add_projects)


def add_projects(session: Session) -> None:
    session.add(Project(id=1, name="alpha", github_id=1))
    session.add(Project(id=2, name="secret", github_id=2, private=True))
    session.flush()
    add_day(1, date(2026, 1, 31), session)
    add_day(1, date(2026, 2, 1), session)
    add_day(2, date(2026, 2, 1), session)


def add_day(project: int, day: date, session: Session) -> None:
    session.add(ActivityDay(project_id=project, day=day, commits=1, additions=20, deletions=3))


def changes(commits: int, additions: int, deletions: int) -> dict[str, int]:
    return {"commits": commits, "additions": additions, "deletions": deletions}


def get(client: FlaskClient, path: str, **query: str) -> Any:
    answer = client.get(path, query_string=query)
    assert answer.status_code == 200
    return answer.get_json()


def test_activity_of_all_projects(client: FlaskClient):
    answer = client.get("/api/activity")
    assert check_answer("GET /api/activity", answer) == {
        "project": None,
        "by": "month",
        "first_day": "2026-01-31",
        "last_day": "2026-02-01",
        "periods": [
            {"period": "2026-01", "start": "2026-01-01"} | changes(1, 20, 3),
            {"period": "2026-02", "start": "2026-02-01"} | changes(2, 40, 6),
        ],
        "totals": {"commits": 3, "additions": 60, "deletions": 9, "active_days": 2},
        "longest_streak": {"days": 2, "from": "2026-01-31", "to": "2026-02-01"},
        "current_streak": None,
        "busiest_weekday": {"weekday": "Sunday", "commits": 2},
    }


def test_activity_and_history_of_one_project(client: FlaskClient):
    told = get(client, "/api/activity", project="alpha", by="year")
    assert (told["project"], told["totals"]["commits"]) == ("alpha", 2)
    history = client.get("/api/project/alpha/history?by=year")
    assert check_answer("GET /api/project/<name>/history", history) == {
        "project": "alpha",
        "by": "year",
        "first_day": "2026-01-31",
        "last_day": "2026-02-01",
        "periods": told["periods"],
    }


def test_projects_of_other_owners_have_a_history(client: FlaskClient, app: Flask):
    def add_others(session: Session) -> None:
        session.add(Project(id=3, name="hubot/beta", github_id=3))
        session.add(Project(id=4, name="hubot/history", github_id=4))
        session.add(Project(id=5, name="alpha/history", github_id=5))
        session.flush()
        add_day(3, date(2026, 3, 1), session)
        add_day(4, date(2026, 4, 1), session)

    with app.app_context():
        run_in_transaction(add_others)
    route = "GET /api/project/<owner>/<name>/history"
    told = check_answer(route, client.get("/api/project/hubot/beta/history?by=day"))
    assert (told["project"], told["first_day"]) == ("hubot/beta", "2026-03-01")
    told = check_answer(route, client.get("/api/project/hubot/history/history"))
    assert (told["project"], told["first_day"]) == ("hubot/history", "2026-04-01")
    # A project named `history`; one of the token's user has precedence.
    project = client.get("/api/project/hubot/history")
    assert check_answer("GET /api/project/<owner>/<name>", project)["name"] == "hubot/history"
    assert get(client, "/api/project/alpha/history")["project"] == "alpha"
    assert client.get("/api/project/hubot/nothing/history").status_code == 404


@pytest.mark.parametrize("path", ROUTES.values())
def test_a_time_is_cut_out(client: FlaskClient, path: str):
    told = get(client, path, **{"from": "2026-02-01", "to": "2026-02-01", "by": "day"})
    assert [each["period"] for each in told["periods"]] == ["2026-02-01"]
    assert get(client, path, to="2020-01-01")["periods"] == []


def test_the_streak_that_lasts_until_today(client: FlaskClient, app: Flask):
    today = utc_now().date()
    with app.app_context():
        for days in range(3):
            run_in_transaction(partial(add_day, 1, today - timedelta(days=days)))
            assert get(client, "/api/activity")["current_streak"]["days"] == days + 1


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("from=2026-2-1", "from"),
        ("from=20260201", "from"),
        ("from=2026-W01-1", "from"),
        ("to=2026-02-30", "to"),
        ("to=", "to"),
        ("by=decade", "by"),
        ("by=day&by=day", "by"),
        ("since=2026-01-01", "since"),
    ],
)
def test_what_cannot_be_used_is_named(client: FlaskClient, route: str, query: str, fault: str):
    answer = client.get(f"{ROUTES[route]}?{query}")
    assert answer.status_code == 400
    assert fault in check_answer(route, answer)["error"]


def test_an_unknown_project_has_none(client: FlaskClient):
    for route, path in (
        ("GET /api/activity", "/api/activity?project=nobody"),
        ("GET /api/activity", "/api/activity?project=alpha%00"),
        ("GET /api/project/<name>/history", "/api/project/nobody/history"),
    ):
        answer = client.get(path)
        assert answer.status_code == 404
        check_answer(route, answer)


@pytest.mark.parametrize(("mode", "commits"), [("count", 3), ("hide", 2)])
def test_private_projects_are_not_told_apart(
    app: Flask, environment: dict[str, str], mode: str, commits: int
):
    client = create_app({**environment, "PRIVATE_REPOSITORIES": mode}).test_client()
    assert get(client, "/api/activity")["totals"]["commits"] == commits
    for path in ("/api/activity?project={}", "/api/project/{}/history"):
        theirs, nobodys = client.get(path.format("secret")), client.get(path.format("nobody"))
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.data == nobodys.data


@pytest.mark.parametrize("path", ROUTES.values())
def test_answers_are_kept_until_a_day_changes(client: FlaskClient, app: Flask, path: str):
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    with app.app_context():
        run_in_transaction(partial(add_day, 1, date(2026, 3, 1)))
    changed = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
