"""A refresh without Redis, in the process that received the request, on real git over HTTP."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from requests import get as fetch

from database.types import utc_now
from models import ActivityDay, Project, RefreshJob, RefreshStatus, db
from tests.support.client import projects, refresh
from tests.support.world import World

pytestmark = pytest.mark.needs_cloc


@pytest.mark.dialect
def test_first_refresh_measures_everything(client: FlaskClient, world: World):
    world.add("alpha", commits=3, languages={"Python": 10, "C": 30}, size=7)
    world.add("beta", commits=1, archived=True)
    world.add("a-fork", fork=True)

    answer = refresh(client)

    assert "job_id" not in answer
    assert answer["total_repositories"] == answer["repositories_processed"] == 2
    found = projects(client)
    assert sorted(found) == ["alpha", "beta"]
    alpha = found["alpha"]
    assert alpha["commits"] == world.commits("alpha") == 3
    assert alpha["code_churn"] == world.churn("alpha") == 6
    assert alpha["loc"] == 6
    assert alpha["loc_source"] == "cloc"
    assert alpha["active_days"] == 2
    assert alpha["time_spent"] == "120m"
    assert alpha["primary_language"] == "C"
    assert alpha["repository_size_kb"] == 7
    assert alpha["head_sha"] == world.repositories["alpha"].head
    assert alpha["stale"] is False
    assert found["beta"]["archived"] is True


def test_unchanged_repositories_cost_nothing(client: FlaskClient, world: World):
    for name in ("alpha", "beta"):
        world.add(name)
    refresh(client)
    before = client.get("/api/projects").json
    clones, calls = world.clones(), len(world.api.requests)
    requests = {name: len(world.git.requests(name)) for name in world.repositories}

    answer = refresh(client)

    assert answer["repositories_processed"] == 2
    assert world.clones() == clones
    assert {name: len(world.git.requests(name)) for name in world.repositories} == requests
    assert len(world.api.requests) == calls + 1
    assert client.get("/api/projects").json == before


def test_facts_of_unchanged_repositories_are_taken_over(client: FlaskClient, world: World):
    world.add("alpha")
    refresh(client)
    clones = world.clones()
    world.api.update("alpha", size=99, archived=True)

    refresh(client)

    alpha = projects(client)["alpha"]
    assert alpha["repository_size_kb"] == 99
    assert alpha["archived"] is True
    assert world.clones() == clones


@pytest.mark.dialect
def test_a_push_is_added_to_the_sums(client: FlaskClient, app: Flask, world: World):
    builder = world.add("alpha", commits=4)
    refresh(client)
    builder.commit({"new.py": "x = 1\ny = 2\n"}, when=datetime(2026, 5, 1, tzinfo=UTC))
    world.push("alpha")

    refresh(client)

    alpha = projects(client)["alpha"]
    assert alpha["commits"] == world.commits("alpha") == 5
    assert alpha["code_churn"] == world.churn("alpha")
    assert alpha["active_days"] == 3
    assert alpha["last_finished"] == "2026-05-01T00:00:00Z"
    assert alpha["head_sha"] == builder.head
    with app.app_context():
        days = db.session.scalars(db.select(ActivityDay)).all()
        assert sum(day.commits for day in days) == 5
        assert sum(day.additions + day.deletions for day in days) == world.churn("alpha")


def test_a_force_push_is_measured_again(client: FlaskClient, world: World):
    builder = world.add("alpha", commits=4)
    refresh(client)
    builder.reset("HEAD~2")
    builder.commit({"other.py": "z = 1\n"})
    world.push("alpha")

    refresh(client)

    alpha = projects(client)["alpha"]
    assert alpha["commits"] == world.commits("alpha") == 3
    assert alpha["code_churn"] == world.churn("alpha")


def test_a_push_to_another_branch_fetches_no_file(client: FlaskClient, world: World):
    builder = world.add("alpha", commits=0)
    builder.commit({"large.bin": random.Random(1).randbytes(100_000)})
    world.push("alpha")
    refresh(client)
    sent = world.git.bytes_sent("alpha")
    requests = len(world.git.requests("alpha"))
    builder.branch("topic")
    builder.commit({"topic.py": "t = 1\n"})
    builder.checkout("main")
    world.push("alpha")

    refresh(client)

    assert len(world.git.requests("alpha")) - requests <= 3
    assert world.git.bytes_sent("alpha") - sent < 10_000
    assert projects(client)["alpha"]["commits"] == 1
    world.git.log.clear()
    refresh(client)
    assert world.git.requests("alpha") == []


def test_switching_the_default_branch_measures_again(client: FlaskClient, world: World):
    builder = world.add("alpha")
    refresh(client)
    builder.branch("trunk")
    builder.commit({"trunk.py": "t = 1\n"})
    builder.push()
    world.api.update("alpha", default_branch="trunk")

    refresh(client)

    assert projects(client)["alpha"]["commits"] == world.commits("alpha") == 4


def test_force_measures_everything_again(client: FlaskClient, world: World):
    world.add("alpha")
    refresh(client)
    clones = world.clones()

    refresh(client, "?force=true")

    assert world.clones() > clones


@pytest.mark.dialect
def test_a_rename_moves_the_row(client: FlaskClient, app: Flask, world: World):
    world.add("alpha")
    world.add("beta")
    refresh(client)
    with app.app_context():
        ids = dict(db.session.execute(db.select(Project.name, Project.id)).all())
    # The two swap their names.
    for old, new in (("alpha", "gamma"), ("beta", "alpha"), ("gamma", "beta")):
        world.api.rename(old, new)

    refresh(client)

    with app.app_context():
        after = dict(db.session.execute(db.select(Project.name, Project.id)).all())
    assert after == {"alpha": ids["beta"], "beta": ids["alpha"]}


@pytest.mark.dialect
def test_a_new_repository_may_take_the_name_of_a_deleted_one(client: FlaskClient, world: World):
    world.add("alpha", commits=2)
    refresh(client)
    world.api.remove("alpha")
    other = world.add("other", commits=5)
    world.api.rename("other", "alpha")

    refresh(client)

    assert {n: p["commits"] for n, p in projects(client).items()} == {"alpha": 5}
    assert projects(client)["alpha"]["head_sha"] == other.head


@pytest.mark.dialect
def test_rows_of_the_first_release_are_matched_by_name(
    client: FlaskClient, app: Flask, world: World
):
    world.add("alpha")
    with app.app_context():
        db.session.add(Project(name="alpha", loc=5, commit_count=1))
        db.session.add(Project(name="long gone", loc=5, commit_count=1))
        db.session.commit()
    assert projects(client)["long gone"]["loc"] == 5

    refresh(client)

    assert projects(client)["alpha"]["commits"] == 3
    assert list(projects(client)) == ["alpha"]
    with app.app_context():
        assert db.session.scalars(db.select(Project.github_id)).all() != [None]


def test_empty_repositories_are_skipped_and_remembered(client: FlaskClient, world: World):
    world.add("alpha")
    world.add("empty", commits=0)

    answer = refresh(client)
    assert answer["error_message"] is None
    assert list(projects(client)) == ["alpha"]
    requests = len(world.git.requests("empty"))
    refresh(client)
    assert len(world.git.requests("empty")) == requests

    world.repositories["empty"].commit({"a.py": "a = 1\n"})
    world.push("empty")
    refresh(client)
    assert projects(client)["empty"]["commits"] == 1


def test_a_failing_repository_keeps_its_figures_and_does_not_stop_the_others(
    client: FlaskClient, world: World
):
    world.add("alpha")
    world.add("beta")
    refresh(client)
    before = projects(client)["alpha"]
    for name in ("alpha", "beta"):
        world.repositories[name].commit({"new.py": "n = 1\n"})
        world.push(name)
    world.git.fail("alpha")

    answer = refresh(client)

    assert answer["status"] == "completed"
    assert "1 of 2 repositories" in answer["error_message"]
    assert "alpha" in answer["error_message"]
    after = projects(client)
    assert after["beta"]["commits"] == 4
    assert after["alpha"]["stale"] is True
    assert after["alpha"]["stale_reason"]
    assert {k: v for k, v in after["alpha"].items() if not k.startswith("stale")} == {
        k: v for k, v in before.items() if not k.startswith("stale")
    }

    world.git.heal("alpha")
    refresh(client)
    assert projects(client)["alpha"]["commits"] == 4
    assert projects(client)["alpha"]["stale"] is False


def test_a_refresh_in_which_every_repository_fails_is_failed(client: FlaskClient, world: World):
    world.add("alpha")
    world.git.fail("alpha")

    answer = client.post("/api/refresh")

    assert answer.status_code == 502
    assert "alpha" in answer.get_json()["error"]
    assert client.get("/api/refresh/jobs").get_json()[0]["status"] == "failed"


def test_languages_that_cannot_be_had_leave_the_last_ones(client: FlaskClient, world: World):
    builder = world.add("alpha", languages={"C": 1})
    refresh(client)
    builder.commit({"new.py": "n = 1\n"})
    world.push("alpha")
    world.api.fail("/languages", 404)

    answer = client.post("/api/refresh")

    assert answer.status_code == 502
    alpha = projects(client)["alpha"]
    assert alpha["commits"] == 4
    assert alpha["primary_language"] == "C"
    assert "languages" in alpha["stale_reason"]
    world.api.heal()
    refresh(client)
    assert projects(client)["alpha"]["stale"] is False


def test_a_repository_renamed_in_mid_refresh_is_followed(client: FlaskClient, world: World):
    builder = world.add("alpha")
    # The listing still shows the old address, which git no longer serves.
    listed = fetch(
        world.api.url + "/user/repos", headers={"Authorization": f"token {world.api.token}"}
    )
    world.api.fail("^/user/repos", 200, body=listed.json())
    world.git.fail("alpha", status=404)
    world.api.rename("alpha", "moved")
    world.api.update("moved", clone_url=builder.publish(world.git, "moved"))

    refresh(client)

    assert projects(client)["alpha"]["commits"] == 3


@pytest.mark.parametrize("page", [b"", b"Down for maintenance"])
def test_a_maintenance_page_of_git_s_host_erases_nothing(
    page: bytes, client: FlaskClient, world: World
):
    world.add("kept", commits=2)
    world.add("other")
    refresh(client)
    before = projects(client)["kept"]
    world.push("kept")
    world.git.maintain("kept", page)
    refresh(client)
    during = projects(client)["kept"]
    world.git.heal()
    refresh(client)

    assert (before["commits"], before["active_days"]) == (2, 1)
    assert (during["commits"], during["active_days"], during["stale"]) == (2, 1, True)
    assert projects(client)["kept"]["stale"] is False


@pytest.mark.parametrize("kept", [True, False])
def test_commits_are_gone_when_github_says_so_too(kept: bool, client: FlaskClient, world: World):
    builder = world.add("subject")
    world.add("other")
    refresh(client)
    world.git.path("subject").rename(world.git.path("old"))
    builder.published.clear()
    world.git.create("subject")
    # GitHub gives whole kilobytes: a repository of size 0 may hold commits.
    world.push("subject", size=0 if kept else 1)
    if not kept:
        world.api.empty("subject")
    refresh(client)

    assert ("subject" in projects(client)) == kept


def test_an_empty_listing_deletes_nothing(client: FlaskClient, world: World):
    world.add("alpha")
    refresh(client)
    world.api.remove("alpha")

    answer = client.post("/api/refresh")

    assert answer.status_code == 502
    assert "no repository" in answer.get_json()["error"]
    assert list(projects(client)) == ["alpha"]


def test_a_refused_token_fails_the_refresh(client: FlaskClient, world: World):
    world.add("alpha")
    world.api.token = "another"

    answer = client.post("/api/refresh")

    assert answer.status_code == 502
    assert "GITHUB_ACCESS_TOKEN" in answer.get_json()["error"]


def test_a_token_revoked_in_mid_refresh_costs_no_measurement(client: FlaskClient, world: World):
    builder = world.add("alpha")
    world.api.fail("/languages", 401)

    answer = client.post("/api/refresh")

    assert answer.status_code == 502
    assert "GITHUB_ACCESS_TOKEN" in answer.get_json()["error"]
    alpha = projects(client)["alpha"]
    assert (alpha["commits"], alpha["head_sha"], alpha["stale"]) == (3, builder.head, True)
    clones = world.clones()
    refresh(client)
    assert world.clones() == clones
    assert projects(client)["alpha"]["languages"] == {"Python": 1000}


def test_a_hundred_languages_are_kept_of_the_count_and_the_rest_added_up(
    environment: dict[str, str], request: pytest.FixtureRequest, world: World, tmp_path: Path
):
    stub, table = tmp_path / "cloc", tmp_path / "table.csv"
    rows = "".join(f"1,L{number:03},0,0,{number}\n" for number in range(150))
    table.write_text(f"files,language,blank,comment,code,\n{rows}150,SUM,0,0,{sum(range(150))}\n")
    stub.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo 1.96 && exit\ncat {table}\n')
    stub.chmod(0o755)
    environment["CLOC_PATH"] = str(stub)
    client = request.getfixturevalue("client")
    world.add("alpha")

    refresh(client)

    alpha = projects(client)["alpha"]
    assert alpha["loc_source"] == "cloc"
    assert len(alpha["languages_loc"]) == 101
    assert alpha["languages_loc"]["Other"] == sum(range(50))
    assert sum(alpha["languages_loc"].values()) == alpha["loc"] == sum(range(150))


def test_too_large_repositories_are_not_cloned(
    environment: dict[str, str], request: pytest.FixtureRequest, world: World
):
    environment["MAX_REPO_MB"] = "1"
    client = request.getfixturevalue("client")
    world.add("alpha")
    world.add("huge", size=1025)

    refresh(client)

    assert "MAX_REPO_MB" in projects(client)["huge"]["stale_reason"]
    assert world.git.requests("huge") == []


def test_the_last_count_stays_where_cloc_fails(
    environment: dict[str, str], request: pytest.FixtureRequest, world: World, tmp_path: Path
):
    stub, broken = tmp_path / "cloc", tmp_path / "broken"
    stub.write_text(f'#!/bin/sh\n[ "$1" = --version ] || [ ! -e {broken} ] || kill -9 $$\n')
    stub.write_text(stub.read_text() + f'exec {shutil.which("cloc")} "$@"\n')
    stub.chmod(0o755)
    environment["CLOC_PATH"] = str(stub)
    client = request.getfixturevalue("client")
    alpha = world.add("alpha")
    world.add("unmoved")
    refresh(client)
    assert projects(client)["alpha"]["not_counted"] == []

    broken.touch()
    for commits in (4, 5):
        alpha.commit({f"new{commits}.py": f"n = {commits}\n"})
        world.push("alpha")
        answer = refresh(client)
        found = projects(client)["alpha"]
        assert "alpha: its lines could not be counted: cloc failed" in answer["error_message"]
        assert (found["loc"], found["loc_source"], found["stale"]) == (6, "cloc", True)
        assert found["commits"] == world.commits("alpha") == commits
        assert found["code_churn"] == world.churn("alpha")
    world.add("beta")  # never counted by cloc: another counter's figure is better than none
    refresh(client)
    assert projects(client)["beta"]["loc_source"] == "pygount"
    assert projects(client)["unmoved"]["stale"] is False

    broken.unlink()
    refresh(client)
    found = projects(client)
    assert (found["alpha"]["loc"], found["alpha"]["stale"]) == (8, False)
    assert found["beta"]["loc_source"] == "cloc"


def test_what_a_counter_left_out_is_said(
    environment: dict[str, str], request: pytest.FixtureRequest, world: World
):
    environment["CLOC_PATH"] = shutil.which("false") or ""
    client = request.getfixturevalue("client")
    alpha = world.add("alpha")
    alpha.commit({"made.py": "# Generated; do not edit.\nx = 1\n"})
    world.push("alpha")

    refresh(client)

    assert projects(client)["alpha"]["loc_source"] == "pygount"
    assert projects(client)["alpha"]["not_counted"] == [
        {"reason": "generated", "files": 1, "paths": ["made.py"]}
    ]


def test_without_a_token_nothing_is_asked_of_github(
    environment: dict[str, str], request: pytest.FixtureRequest, world: World
):
    del environment["GITHUB_ACCESS_TOKEN"]
    client = request.getfixturevalue("client")

    answer = client.post("/api/refresh")

    assert answer.status_code == 503
    assert "GITHUB_ACCESS_TOKEN" in answer.get_json()["error"]
    assert client.get("/api/refresh/jobs").json == []
    assert world.api.requests == []


def test_a_refresh_soon_after_the_last_is_answered_from_it(
    environment: dict[str, str], request: pytest.FixtureRequest, world: World
):
    environment["REFRESH_MIN_INTERVAL"] = "60"
    client = request.getfixturevalue("client")
    world.add("alpha")
    refresh(client)
    calls = len(world.api.requests)

    answer = refresh(client)
    assert "job_id" not in answer
    forced = client.post("/api/refresh?force=true")
    assert forced.status_code == 429
    assert 0 < int(forced.headers["Retry-After"]) <= 60
    assert len(world.api.requests) == calls


@pytest.mark.dialect
def test_a_refresh_under_way_is_joined(client: FlaskClient, app: Flask, world: World):
    with app.app_context():
        row = RefreshJob(
            id="3f0d4d3e-0000-4000-8000-000000000000",
            status=RefreshStatus.RUNNING,
            created_at=utc_now(),
            heartbeat_at=utc_now(),
        )
        db.session.add(row)
        db.session.commit()

    answer = client.post("/api/refresh")

    assert answer.status_code == 202
    assert answer.get_json()["job_id"] == "3f0d4d3e-0000-4000-8000-000000000000"
    assert answer.get_json()["status"] == "running"


@pytest.mark.dialect
@pytest.mark.parametrize(("status", "age"), [("queued", 301), ("running", 121), ("running", 31)])
def test_a_refresh_that_nobody_works_on_is_carried_on_by_whoever_asks_for_one(
    client: FlaskClient, app: Flask, world: World, status: str, age: int
):
    world.add("alpha")
    with app.app_context():
        then = utc_now() - timedelta(seconds=age)
        db.session.add(RefreshJob(id="gone", status=status, created_at=then, heartbeat_at=then))
        db.session.commit()

    for path in ("/api/refresh/status/gone", "/api/refresh/jobs", "/api/health", "/"):
        assert client.get(path).status_code == 200
    assert client.get("/api/refresh/status/gone").get_json()["status"] == status
    refresh(client)
    assert client.get("/api/refresh/status/gone").get_json()["status"] == "completed"
    assert list(projects(client)) == ["alpha"]
