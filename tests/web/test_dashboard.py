"""The page as the server makes it: complete, escaped, without private names, and cached."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import GrowthMode
from database.transaction import run_in_transaction
from models import ActivityDay, Growth, Project, RefreshJob, RefreshStatus, db
from refresh import store
from web.accept import EXPORTING

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
NOW = datetime.now(UTC)
LANGUAGES = ("Python", "C", "Go", "Rust", "HTML", "CSS", "JavaScript", "Bourne Shell", "SQL", "PHP")


def add(app: Flask, name: str, github_id: int, **values: object) -> None:
    """Store a project with a commit on each of the last ten days."""
    defaults = {
        "url": f"https://github.com/octocat/{name}",
        "loc": 1234,
        "languages_loc": {"Python": 1000, "C": 234},
        "commit_count": 10,
        "active_days": 10,
        "code_churn": 56789,
        "time_spent_min": 14_400,
        "first_commit_date": NOW - timedelta(days=10),
        "last_commit_date": NOW,
        "primary_language": "Python",
        "repository_size_kb": 12.5,
        "loc_source": "cloc",
        "measured_at": NOW,
        "head_sha": "0123456789abcdef",
    }
    with app.app_context():
        project = Project(name=name, github_id=github_id, **(defaults | values))
        db.session.add(project)
        db.session.flush()
        for day in range(10):
            db.session.add(
                ActivityDay(
                    project_id=project.id,
                    day=NOW.date() - timedelta(days=day),
                    commits=1,
                    additions=5,
                    deletions=1,
                )
            )
        db.session.commit()


def refreshed(app: Flask, **values: object) -> None:
    """Store a refresh that has ended."""
    given = {"status": RefreshStatus.COMPLETED, "completed_at": NOW, **values}
    with app.app_context():
        run_in_transaction(lambda s: s.add(RefreshJob(id="a" * 36, created_at=NOW, **given)))


def page(client: FlaskClient, path: str = "/dashboard") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    return answer.text


def words_of(text: str) -> str:
    """Return what a page says, without its markup."""
    body = text.split("<body>")[1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


# Where a browser is sent


def test_a_browser_is_sent_to_the_page(client: FlaskClient):
    answer = client.get("/", headers={"Accept": BROWSER})
    assert (answer.status_code, answer.location) == (302, "/dashboard")
    assert "Accept" in answer.vary


@pytest.mark.parametrize("accept", ["*/*", "application/json", "", None, "text/*;q=0.1, */*"])
def test_everybody_else_gets_the_list_of_routes(client: FlaskClient, accept: str | None):
    answer = client.get("/", headers={} if accept is None else {"Accept": accept})
    assert answer.status_code == 200
    assert "GET /dashboard" in answer.get_json()["endpoints"]
    assert "Accept" in answer.vary


# What the page shows


def test_totals_have_separators_and_units(client: FlaskClient, app: Flask):
    add(app, "alpha", 1, first_commit_date=datetime(2010, 1, 1, tzinfo=UTC))
    add(app, "beta", 2, loc=2_000_000)
    said = words_of(page(client))
    assert "Projects 2" in said
    assert "Lines of code 2,001,234" in said
    assert "Code churn 113,578 lines" in said
    assert re.search(rf"From 2010 to {NOW.year} \d\d\.\d years", said)


def test_rows_have_all_figures_without_javascript(client: FlaskClient, app: Flask):
    add(app, "alpha", 1, stale_reason="the server failed", archived=True)
    text = page(client)
    row = text.split("<tbody>")[1].split("</tbody>")[0]
    assert words_of(f"<body>{row}") == (
        "alpha archived Stale: the server failed Python 1,234 10 10 today 10 commits in 12 months"
    )
    assert re.search(r'<time datetime="[\dT:-]+Z" title="\d+ \w+ \d+, \d\d:\d\d UTC">today', row)


def test_whose_figures_they_are(client: FlaskClient, app: Flask):
    add(app, "alpha", 1)
    assert "<h1>octocat</h1>" in page(client)
    add(app, "beta", 2, url="https://github.com/hubot/beta")
    assert "<h1>octocat and hubot</h1>" in page(client)


def test_a_year_is_chosen(client: FlaskClient, app: Flask):
    add(app, "alpha", 1)
    text = page(client, f"/dashboard?year={NOW.year}")
    assert f"31 December {NOW.year}" in text
    assert f'?year={NOW.year}#activity" aria-current="true"' in text
    for bad in ("x", "0", "99999", "٢٠٢٦"):
        answer = client.get("/dashboard", query_string={"year": bad})
        assert answer.status_code == 400
        assert "year" in answer.get_json()["error"]


def test_names_cannot_inject_markup(client: FlaskClient, app: Flask):
    name = "<img src=x onerror=alert(1)>\"'"
    add(app, name, 1, stale_reason="<script>alert(1)</script>", primary_language="<b>C</b>")
    for path in ("/dashboard", "/dashboard/" + name):
        text = page(client, path)
        assert "<img" not in text
        assert "<script>" not in text
        assert "<b>" not in text


def test_a_name_with_a_slash_has_a_page(client: FlaskClient, app: Flask):
    add(app, "hubot/beta", 1)
    assert 'href="/dashboard/hubot/beta"' in page(client)
    assert "<h1>hubot/beta</h1>" in page(client, "/dashboard/hubot/beta")


def test_a_project_says_what_its_figures_mean(client: FlaskClient, app: Flask):
    add(app, "alpha", 1, loc_source="estimate", stale_reason="the clone took too long")
    said = words_of(page(client, "/dashboard/alpha"))
    assert "The last try failed: the clone took too long." in said
    assert "neither blank nor comments. From an estimate" in said
    assert "Main language Python The language with the most bytes. From GitHub." in said
    assert "Size 12.5 kB" in said
    assert "0123456789" in said


def test_a_project_without_figures_has_a_page(client: FlaskClient, app: Flask):
    with app.app_context():
        run_in_transaction(lambda s: s.add(Project(name="old")))
    assert "Not measured yet" in words_of(page(client, "/dashboard/old"))
    assert "old" in words_of(page(client))


def test_what_was_never_measured_is_not_shown_as_none(client: FlaskClient, app: Flask):
    with app.app_context():
        row = Project(name="broken", stale_reason="the server failed")
        run_in_transaction(lambda s: s.add(row))
    said = words_of(page(client, "/dashboard/broken"))
    assert "Lines of code — Commits — Active days — Code churn — Time spent —" in said
    assert "No commits" not in said
    assert "From unknown" not in said
    assert "Unknown — — — unknown" in words_of(page(client))


def test_a_project_that_is_not_there(client: FlaskClient):
    answer = client.get("/dashboard/nope", headers={"Accept": BROWSER})
    assert answer.status_code == 404
    assert "There is no such project" in answer.text
    answer = client.get("/dashboard/nope")
    assert (answer.status_code, answer.json) == (404, {"error": "no such project"})


# Under which policy


def test_nothing_comes_from_elsewhere(client: FlaskClient, app: Flask):
    add(app, "alpha", 1)
    for path in ("/dashboard", "/dashboard/alpha"):
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'")
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=", answer.text)
        assert set(re.findall(r'(?:src|href)="(https?://[^"]+)', answer.text)) <= {
            "https://github.com/octocat",
            "https://github.com/octocat/alpha",
        }
        for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', answer.text):
            found = client.get(html.unescape(address))
            assert found.status_code == 200
            assert "max-age=31536000" in found.headers["Cache-Control"]


# What it says of refreshes


def test_states_say_what_to_do(client: FlaskClient, app: Flask):
    assert "Start the first refresh with the button above" in words_of(page(client))
    with app.app_context():
        refresh, _ = store.open_refresh(forced=False)
    assert "The first refresh is under way" in words_of(page(client))
    with app.app_context():
        store.fail(refresh.id, "GitHub refuses the token")
    said = words_of(page(client))
    assert "The last refresh failed GitHub refuses the token. Fix what is named here" in said
    add(app, "alpha", 1)
    assert "The figures below are those of the previous refresh." in words_of(page(client))


def test_an_account_without_repositories(client: FlaskClient, app: Flask):
    refreshed(app)
    assert "There is no repository to show" in words_of(page(client))


def test_failures_are_named(client: FlaskClient, app: Flask):
    add(app, "alpha", 1)
    failures = [{"name": "alpha", "private": False, "reason": "the server failed"}]
    refreshed(app, failures=failures, failed_repositories=3, total_repositories=5)
    said = words_of(page(client))
    assert "3 of 5 repositories could not be measured" in said
    assert "alpha: the server failed and 2 more" in said


def test_the_refresh_under_way_is_shown(client: FlaskClient, app: Flask):
    add(app, "alpha", 1)
    with app.app_context():
        store.open_refresh(forced=False)
    assert re.search(r'id="refreshing" class="message" data-job="[\w-]{36}"', page(client))


class TestScheduled:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"REFRESH_INTERVAL_HOURS": "24"}

    def test_the_next_refresh_is_announced(self, client: FlaskClient, app: Flask):
        refreshed(app, completed_at=datetime(2026, 1, 1, 10, 30, tzinfo=UTC))
        said = words_of(page(client))
        assert "Refreshed 1 January 2026, 10:30 UTC · next 2 January 2026, 10:30 UTC" in said


class TestWithoutAToken:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return {k: v for k, v in environment.items() if k != "GITHUB_ACCESS_TOKEN"}

    def test_it_says_which_variable_to_set(self, client: FlaskClient):
        said = words_of(page(client))
        assert "No GitHub token is set" in said
        assert "set the variable GITHUB_ACCESS_TOKEN" in said


# What is private


@pytest.mark.parametrize("mode", ["show", "count", "hide"])
class TestPrivate:
    @pytest.fixture
    def environment(self, environment: dict[str, str], mode: str) -> dict[str, str]:
        return environment | {"PRIVATE_REPOSITORIES": mode}

    def test_private_projects_are_told_of_as_the_setting_says(
        self, client: FlaskClient, app: Flask, mode: str
    ):
        add(app, "alpha", 1)
        add(app, "zq-canary", 2, private=True, url="https://github.com/canary/zq-canary")
        failures = [{"name": "zq-canary", "private": True, "reason": "the server failed"}]
        refreshed(app, failures=failures, failed_repositories=1, total_repositories=2)
        text = page(client)
        assert ("canary" in text) == (mode == "show")
        assert f"Projects {1 if mode == 'hide' else 2}" in words_of(text)
        status = client.get("/dashboard/zq-canary").status_code
        assert status == (200 if mode == "show" else 404)


# That it is kept


def test_the_page_is_made_once(client: FlaskClient, app: Flask):
    add(app, "alpha", 1)
    made = []
    app.before_request(lambda: made.append(1))
    first = client.get("/dashboard")
    again = client.get("/dashboard", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, len(made)) == (304, 1)
    assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]


def test_a_hundred_projects_are_less_than_100_kb(client: FlaskClient, app: Flask):
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], growth=GrowthMode.MONTH)
    with app.app_context():
        for number in range(100):
            project = Project(
                name=f"project-number-{number}",
                github_id=number,
                url=f"https://github.com/octocat/project-number-{number}",
                loc=40_000 + number,
                languages_loc=dict.fromkeys(LANGUAGES, 4_000 + number),
                commit_count=1_500,
                active_days=500,
                last_commit_date=NOW,
                first_commit_date=NOW - timedelta(days=3_000),
                primary_language="Python",
                growth_sha="0" * 40,
            )
            db.session.add(project)
            db.session.flush()
            db.session.add_all(
                ActivityDay(
                    project_id=project.id,
                    day=date.fromordinal(NOW.date().toordinal() - 13 * day),
                    commits=1 + day % 7 * 10,
                    additions=1,
                    deletions=1,
                )
                for day in range(30)
            )
            db.session.add_all(
                Growth(
                    project_id=project.id,
                    month=f"{2013 + month // 12}-{1 + month % 12:02}",
                    sha="0" * 40,
                    loc=sum(lines.values()),
                    languages=lines,
                )
                for month in range(120)
                for lines in [dict.fromkeys(LANGUAGES, 300 * month + 70 * (month * number % 13))]
            )
        db.session.commit()
    assert len(page(client).encode()) < 100_000


def test_an_export_has_no_button(client: FlaskClient, app: Flask):
    add(app, "alpha", 1)
    text = client.get("/dashboard", environ_overrides={EXPORTING: True}).text
    assert "<button" not in text.split("<main")[0]
    assert "<form" not in text


def test_an_export_has_its_policy_in_the_page(client: FlaskClient, app: Flask):
    add(app, "alpha", 1)
    text = client.get("/dashboard", environ_overrides={EXPORTING: True}).text
    policy = text.index('<meta http-equiv="Content-Security-Policy" content="default-src ')
    assert policy < text.index("<link")
    assert "frame-ancestors" not in text  # which browsers refuse there


def test_lines_to_embed_from_an_export_name_files_of_it(client: FlaskClient, app: Flask):
    add(app, "alpha", 1)
    answer = client.get(
        "/dashboard/alpha",
        base_url="https://me.example.org/figures/",
        environ_overrides={EXPORTING: True},
    )
    said = words_of(answer.text)
    assert "https://me.example.org/figures /api/card/alpha.svg" in said
    assert "?project=" not in said
