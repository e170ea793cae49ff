"""Badges, charts and cards as HTTP answers: content, errors and private projects."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime, timedelta
from functools import partial
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from database.transaction import run_in_transaction
from database.types import utc_now
from models import ActivityDay, Project
from tests.support.documents import check_answer
from web import embeds
from web.charts import BADGE_FIGURES

SECRET = "zq-canary-7731"
HOSTILE = "</title><script>alert(1)</script>&\"'"
PICTURES = {
    "GET /api/badge/<name>/<figure>.svg": "/api/badge/alpha/loc.svg",
    "GET /api/chart/<chart>.svg": "/api/chart/activity.svg?project=alpha",
    "GET /api/card/<name>.svg": "/api/card/alpha.svg",
}
CHARTS = tuple(f"/api/chart/{chart}.svg" for chart in embeds.CHARTS)
WITH_THEME = (*CHARTS, "/api/card/all.svg")
MISSING = (
    "/api/badge/nobody/loc.svg",
    "/api/badge/all/stars.svg",
    "/api/badge/alpha/loc.svg.svg",
    "/api/chart/pie.svg",
    *(f"{chart}?project=nobody" for chart in CHARTS),
    "/api/chart/activity.svg?project=alpha%00",
    "/api/card/nobody.svg",
    "/api/card/nobody/alpha.svg",
)


@pytest.fixture(autouse=True)
def projects(app: Flask) -> None:
    with app.app_context():
        run_in_transaction(add_projects)


def add_projects(session: Session) -> None:
    session.add(
        Project(
            id=1,
            name="alpha",
            github_id=1,
            loc=1984,
            commit_count=677,
            active_days=205,
            code_churn=22577,
            time_spent_min=7350987,
            first_commit_date=datetime(2011, 6, 24, tzinfo=UTC),
            last_commit_date=datetime(2025, 6, 14, 20, 35, tzinfo=UTC),
            primary_language="Python",
            languages_loc={"Python": 1984},
            measured_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )
    session.add(
        Project(
            id=2,
            name=SECRET,
            github_id=2,
            private=True,
            loc=16,
            commit_count=23,
            last_commit_date=datetime(2026, 7, 7, tzinfo=UTC),
            primary_language="Rust",
            languages_loc={"Rust": 16},
        )
    )
    session.flush()
    add_day(1, date(2025, 6, 14), 5, session)
    add_day(2, date(2025, 6, 14), 2, session)


def add_day(project: int, day: date, commits: int, session: Session) -> None:
    session.add(ActivityDay(project_id=project, day=day, commits=commits, additions=1, deletions=1))


@pytest.fixture
def public_client(environment: dict[str, str], request: pytest.FixtureRequest) -> FlaskClient:
    mode = getattr(request, "param", "count")
    return create_app({**environment, "PRIVATE_REPOSITORIES": mode}).test_client()


def parsed(answer: TestResponse) -> ElementTree.Element:
    """Check what every picture must be, and return its root."""
    assert answer.mimetype == "image/svg+xml"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert policy == ["default-src 'none'", "style-src 'unsafe-inline'", "frame-ancestors 'none'"]
    assert "no-cache" in answer.headers["Cache-Control"]
    root = ElementTree.fromstring(answer.data)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return root


def told(answer: TestResponse) -> str:
    return " ".join(text.strip() for text in parsed(answer).itertext())


# What they show


@pytest.mark.parametrize(
    ("figure", "one", "together"),
    [
        ("loc", "1,984", "2,000"),
        ("commits", "677", "700"),
        ("active-days", "205", "205"),
        ("churn", "22,577", "22,577"),
        ("time-spent", "14.0 years", "14.0 years"),
        ("last-commit", "2025-06-14", "2026-07-07"),
        ("language", "Python", "Python"),
    ],
)
def test_badges(client: FlaskClient, figure: str, one: str, together: str):
    for name, message in (("alpha", one), ("all", together)):
        assert message in told(client.get(f"/api/badge/{name}/{figure}.svg"))
        endpoint = client.get(f"/api/badge/{name}/{figure}.json")
        route = "GET /api/badge/<name>/<figure>.json"
        assert check_answer(route, endpoint)["message"] == message


def test_every_badge_of_a_project_that_was_never_measured(app: Flask, client: FlaskClient):
    with app.app_context():
        run_in_transaction(lambda session: session.add(Project(id=3, name="new", github_id=3)))
    for figure in BADGE_FIGURES:
        assert "unknown" in told(client.get(f"/api/badge/new/{figure}.svg"))
    assert told(client.get("/api/card/new.svg")).count("unknown") > 5


def test_a_calendar_of_a_year(client: FlaskClient):
    assert "7 commits on 1 day" in told(client.get("/api/chart/activity.svg?year=2025"))
    one = client.get("/api/chart/activity.svg?year=2025&project=alpha")
    assert "5 commits on 1 day" in told(one)
    assert "No commits" in told(client.get("/api/chart/activity.svg?year=1970"))


def test_a_calendar_of_the_last_twelve_months(app: Flask, client: FlaskClient):
    today = utc_now().date()
    with app.app_context():
        run_in_transaction(partial(add_day, 1, today, 3))
        run_in_transaction(partial(add_day, 1, today - timedelta(days=366), 4))
    assert "3 commits on 1 day" in told(client.get("/api/chart/activity.svg?project=alpha"))


def test_languages(client: FlaskClient):
    assert "Rust: 16 lines of code" in told(client.get("/api/chart/languages.svg"))
    assert "Rust" not in told(client.get("/api/chart/languages.svg?project=alpha"))


def test_cards(app: Flask, client: FlaskClient):
    said = told(client.get("/api/card/alpha.svg"))
    for part in ("alpha", "since 2011", "1,984", "Measured on 2026-01-01", "Python"):
        assert part in said
    with app.app_context():
        run_in_transaction(
            lambda session: session.execute(
                update(Project)
                .where(Project.id == 1)
                .values(stale_reason="no space", archived=True)
            )
        )
    stale = told(client.get("/api/card/alpha.svg"))
    assert "since 2011, archived" in stale
    assert "Stale: no space" in stale
    assert "2 projects" in told(client.get("/api/card/all.svg"))


@pytest.mark.parametrize("path", WITH_THEME)
def test_themes(client: FlaskClient, path: str):
    texts = {theme: client.get(f"{path}?theme={theme}").text for theme in ("light", "dark", "auto")}
    assert len(set(texts.values())) == 3
    assert client.get(path).text == texts["auto"]
    assert "prefers-color-scheme" in texts["auto"]
    assert "prefers-color-scheme" not in texts["light"] + texts["dark"]


def test_parameters_against_caches_are_ignored(client: FlaskClient):
    for path in ("/api/badge/alpha/loc.svg", "/api/card/alpha.svg"):
        assert client.get(f"{path}?v=2").data == client.get(path).data


def test_before_the_first_refresh(app: Flask, client: FlaskClient):
    with app.app_context():
        run_in_transaction(lambda session: session.query(Project).delete())
    for path in (*CHARTS, *(f"/api/badge/all/{figure}.svg" for figure in BADGE_FIGURES)):
        assert client.get(path).status_code == 200
    assert "No project has been measured yet." in told(client.get("/api/card/all.svg"))


# What cannot be drawn


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_a_picture_that_says_so(client: FlaskClient, path: str):
    answer = client.get(path)
    assert answer.status_code == 404
    said = told(answer)
    assert "not found" in said or "no such" in said
    head = client.head(path)
    assert (head.status_code, head.data) == (404, b"")


@pytest.mark.parametrize("path", ["/api/badge/nobody/loc.json", "/api/badge/all/stars.json"])
def test_an_endpoint_that_is_not_there_is_an_error(client: FlaskClient, path: str):
    answer = client.get(path)
    assert answer.status_code == 404
    check_answer("GET /api/badge/<name>/<figure>.json", answer)


@pytest.mark.parametrize("path", WITH_THEME)
@pytest.mark.parametrize(
    ("query", "fault"),
    [("theme=sepia", "theme"), ("theme=", "theme"), ("year=1969", "year"), ("year=last", "year")],
)
def test_a_bad_parameter_is_a_picture_that_names_it(
    client: FlaskClient, path: str, query: str, fault: str
):
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400
    assert f"{fault}: expected" in told(answer)


def test_names_cannot_inject_markup(app: Flask, client: FlaskClient):
    with app.app_context():
        run_in_transaction(
            lambda session: session.add(
                Project(
                    id=3,
                    name=HOSTILE,
                    github_id=3,
                    primary_language=HOSTILE,
                    stale_reason=HOSTILE,
                )
            )
        )
    paths = [f"/api/badge/{{}}/{figure}.svg" for figure in BADGE_FIGURES]
    paths += ["/api/card/{}.svg", *(f"{chart}?project={{}}" for chart in CHARTS)]
    quoted = HOSTILE.translate({ord(c): f"%{ord(c):02x}" for c in "&?#%"})
    for path in paths:
        answer = client.get(path.format(quoted))
        assert answer.status_code == 200
        assert not [e for e in parsed(answer).iter() if e.tag.endswith("script")]
        assert "<script" not in answer.text


# Private repositories


@pytest.mark.parametrize("public_client", ["count", "hide"], indirect=True)
def test_a_private_project_is_like_none(public_client: FlaskClient):
    paths = [f"/api/badge/{{}}/{figure}.svg" for figure in BADGE_FIGURES]
    paths += ["/api/badge/{}/loc.json", "/api/card/{}.svg"]
    paths += [f"{chart}?project={{}}" for chart in CHARTS]
    for path in paths:
        theirs = public_client.get(path.format(SECRET))
        nobodys = public_client.get(path.format("nobody"))
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.data == nobodys.data
        assert theirs.headers == nobodys.headers


@pytest.mark.parametrize(
    ("public_client", "loc", "commits", "size"),
    [("count", "2,000", 7, "2 projects"), ("hide", "1,984", 5, "1 project")],
    indirect=["public_client"],
)
def test_all_together_names_no_private_project(
    public_client: FlaskClient, loc: str, commits: int, size: str
):
    assert loc in told(public_client.get("/api/badge/all/loc.svg"))
    # The latest commit is one project's, not a sum.
    assert "2025-06-14" in told(public_client.get("/api/badge/all/last-commit.svg"))
    assert f"{commits} commits on" in told(public_client.get("/api/chart/activity.svg?year=2025"))
    card = told(public_client.get("/api/card/all.svg"))
    assert size in card
    assert "2026-07-07" not in card
    for path in WITH_THEME:
        assert SECRET not in public_client.get(path).text


# As HTTP wants them


@pytest.mark.parametrize("path", [*PICTURES.values(), "/api/badge/alpha/loc.json"])
def test_a_picture_is_kept_until_the_figures_change(app: Flask, client: FlaskClient, path: str):
    made = []
    app.before_request(lambda: made.append(1))
    first, again = client.get(path), client.get(path)
    assert len(made) == 1
    assert again.data == first.data
    etag = first.headers["ETag"]
    known = client.get(path, headers={"If-None-Match": etag})
    assert (known.status_code, known.data) == (304, b"")
    with app.app_context():
        run_in_transaction(change_figures)
    changed = client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def change_figures(session: Session) -> None:
    session.execute(update(Project).where(Project.id == 1).values(loc=7))
    add_day(1, utc_now().date(), 9, session)


@pytest.mark.parametrize("path", PICTURES.values())
def test_head_and_gzip(client: FlaskClient, path: str):
    got, head = client.get(path), client.head(path)
    assert (head.data, dict(head.headers)) == (b"", dict(got.headers))
    packed = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.data) == got.data
    assert packed.headers["Content-Security-Policy"] == embeds.SVG_POLICY


def test_caches_ask_again(client: FlaskClient, public_client: FlaskClient):
    for path in PICTURES.values():
        assert client.get(path).headers["Cache-Control"] == "private, no-cache"
        assert public_client.get(path).headers["Cache-Control"] == "public, no-cache"
