"""The commands of the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from tests.support.client import projects
from tests.support.git_server import GitServer
from tests.support.repos import RepoBuilder
from tests.support.world import World

pytestmark = pytest.mark.needs_cloc


def test_refresh_shows_how_it_goes_and_sums_up(
    runner: FlaskCliRunner, client: FlaskClient, world: World
):
    world.add("alpha")
    world.add("beta")
    world.git.fail("beta")

    result = runner.invoke(args=["refresh"])

    assert result.exit_code == 0, result.output
    assert "failed beta: " in result.output
    assert "completed: 2 repositories, 1 failed" in result.output
    assert projects(client)["alpha"]["commits"] == 3


def test_refresh_force_measures_again(runner: FlaskCliRunner, world: World):
    world.add("alpha")
    assert runner.invoke(args=["refresh"]).exit_code == 0
    clones = world.clones()

    assert runner.invoke(args=["refresh"]).exit_code == 0
    assert world.clones() == clones
    assert runner.invoke(args=["refresh", "--force"]).exit_code == 0
    assert world.clones() > clones


def test_refresh_says_why_it_failed(runner: FlaskCliRunner, world: World):
    world.add("alpha")
    world.api.token = "another"

    result = runner.invoke(args=["refresh"])

    assert result.exit_code == 1
    assert "GITHUB_ACCESS_TOKEN" in result.output
    assert "Traceback" not in result.output


def test_refresh_without_a_token_says_what_to_set(
    environment: dict[str, str], request: pytest.FixtureRequest
):
    del environment["GITHUB_ACCESS_TOKEN"]
    runner = request.getfixturevalue("runner")

    result = runner.invoke(args=["refresh"])

    assert result.exit_code == 1
    assert "GITHUB_ACCESS_TOKEN is not set" in result.output


@pytest.fixture
def builder(tmp_path: Path) -> RepoBuilder:
    builder = RepoBuilder(tmp_path / "built")
    builder.commit({"a.py": "a = 1\nb = 2\n", "b.c": "int main;\n"})
    builder.commit({"a.py": "a = 1\n"})
    return builder


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("where", ["folder", "url"])
def test_measure_prints_json(
    runner: FlaskCliRunner, builder: RepoBuilder, git_server: GitServer, where: str
):
    target = str(builder.path) if where == "folder" else builder.publish(git_server, "built")

    result = runner.invoke(args=["measure", target, "--json"])

    assert result.exit_code == 0, result.output
    assert json.loads(result.output) == {
        "head_sha": builder.head,
        "loc": 2,
        "loc_source": "cloc",
        "loc_by_language": {"C": 1, "Python": 1},
        "not_counted": [],
        "excluded_files": 0,
        "commits": 2,
        "active_days": 1,
        "time_spent": "60m",
        "first_commit": "2023-11-14T22:13:20Z",
        "last_finished": "2023-11-14T23:13:20Z",
        "code_churn": 4,
        "additions": 3,
        "deletions": 1,
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_measure_leaves_out_and_tells_authors_apart_as_the_settings_say(
    environment: dict[str, str], request: pytest.FixtureRequest, builder: RepoBuilder
):
    environment |= {"EXCLUDE_GENERATED": "true", "AUTHOR_EMAILS": "bob@*"}
    builder.commit({"yarn.lock": "# yarn\n", "c.py": "c = 1\n"}, author="Bob <bob@example.org>")
    builder.commit({"c.py": "c = 2\n"}, author="dependabot[bot] <bot@example.org>")
    runner = request.getfixturevalue("runner")

    result = runner.invoke(args=["measure", str(builder.path), "--json"])

    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    names = ("loc", "excluded_files", "code_churn", "own_commits", "own_active_days", "own_churn")
    assert [told[name] for name in names] == [3, 1, 7, 1, 1, 1]
    assert told["bot_commits"] == 1
    table = runner.invoke(args=["measure", str(builder.path)]).output
    assert "excluded_files" in table
    assert "own_churn" in table


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_measure_prints_a_table(runner: FlaskCliRunner, builder: RepoBuilder):
    result = runner.invoke(args=["measure", str(builder.path)])

    assert result.exit_code == 0, result.output
    assert builder.head in result.output
    assert "code_churn" in result.output


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("/no/such/folder", "not found"),
        ("http://127.0.0.1:1/nothing.git", "reached"),
        ("ftp://example.org/x.git", "https"),
    ],
)
def test_measure_says_why_it_cannot(runner: FlaskCliRunner, target: str, words: str):
    result = runner.invoke(args=["measure", target])

    assert result.exit_code == 1
    assert words in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_measure_says_that_a_repository_is_empty(runner: FlaskCliRunner, tmp_path: Path):
    empty = RepoBuilder(tmp_path / "empty")

    result = runner.invoke(args=["measure", str(empty.path)])

    assert result.exit_code == 1
    assert "no commit" in result.output


def test_upgrade_database_may_be_run_again(runner: FlaskCliRunner, app: Flask):
    assert runner.invoke(args=["upgrade-database"]).exit_code == 0
    assert runner.invoke(args=["upgrade-database"]).exit_code == 0
