"""`flask doctor` with real faults: each line is ok or says what to do, without secrets."""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask
from sqlalchemy import text

import doctor
from app import create_app
from database.types import utc_now
from models import db
from tests.support.github_api import GitHubApi
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.service import serving

PASSWORD = "hunter2secret"

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Said(NamedTuple):
    """The exit code, and of each part whether it is ok and the text."""

    code: int
    lines: dict[str, tuple[bool, str]]

    def fault(self) -> tuple[str, str]:
        """Return the name and the text of the one part that failed."""
        assert self.code == 1, self.lines
        ((name, said),) = [(name, said) for name, (ok, said) in self.lines.items() if not ok]
        return name, said


def run_doctor(environment: dict[str, str]) -> Said:
    app: Flask = create_app(environment)
    try:
        result = app.test_cli_runner().invoke(args=["doctor"])
    finally:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    secrets = (PASSWORD, environment.get("GITHUB_ACCESS_TOKEN"), environment.get("REFRESH_TOKEN"))
    assert not any(secret in result.output for secret in secrets if secret)
    lines = {}
    for line in result.output.splitlines():
        name, _, said = line[5:].partition(": ")
        lines[name] = line.startswith("ok "), said
    return Said(result.exit_code, lines)


@pytest.mark.dialect
@pytest.mark.needs_cloc
def test_all_is_well(environment: dict[str, str]):
    said = run_doctor(environment)
    assert said.code == 0, said
    assert list(said.lines) == [
        *("git", "cloc", "folder", "database", "database's clock", "Redis", "workers"),
        *("token", "GitHub's clock", "quota"),
    ]
    assert said.lines["token"][1] == "accepted, scopes: repo"
    assert said.lines["quota"][1].startswith("5000 of 5000 requests left until ")


@on_sqlite
@pytest.mark.needs_cloc
def test_a_worker_is_seen(environment: dict[str, str], redis_server: RedisServer, tmp_path: Path):
    environment["REDIS_URL"] = redis_server.url
    name, said = run_doctor(environment).fault()
    assert name == "workers"
    assert "python worker.py" in said
    with serving(environment, tmp_path / "service") as service:
        service.start_worker()
        found = run_doctor(environment)
    assert found.code == 0, found
    assert found.lines["workers"] == (True, "1 at work or waiting")


@on_sqlite
def test_no_git_and_no_cloc(environment: dict[str, str], tmp_path: Path):
    environment["PATH"] = str(tmp_path)
    said = run_doctor(environment)
    assert said.code == 1
    assert said.lines["git"][1].startswith("git is not installed")
    assert said.lines["cloc"][0] is False
    assert "cloc is not installed: install cloc or set CLOC_PATH" in said.lines["cloc"][1]


@on_sqlite
def test_a_cloc_that_does_not_run(environment: dict[str, str], tmp_path: Path):
    broken = tmp_path / "cloc"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    environment["CLOC_PATH"] = str(broken)
    name, said = run_doctor(environment).fault()
    assert name == "cloc"
    assert "lines are counted by pygount" in said


@on_sqlite
@pytest.mark.needs_cloc
def test_no_room_for_a_clone(environment: dict[str, str]):
    environment["MAX_REPO_MB"] = str(shutil.disk_usage(tempfile.gettempdir()).free // 2**20 + 9999)
    name, said = run_doctor(environment).fault()
    assert name == "folder"
    assert "MAX_REPO_MB" in said


@on_sqlite
@pytest.mark.needs_cloc
def test_a_folder_that_cannot_be_written(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    # Not even root may make a file there.
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    assert run_doctor(environment).lines["folder"][0] is False


@pytest.mark.dialect
@pytest.mark.needs_cloc
def test_a_database_without_tables(environment: dict[str, str], empty_database_url: str):
    environment["DATABASE_URL"] = empty_database_url
    said = run_doctor(environment)
    if empty_database_url.startswith("sqlite"):
        assert said.code == 0
        assert not Path(empty_database_url.removeprefix("sqlite:///")).exists()
    else:
        assert said.fault()[0] == "database"
        assert "flask --app app upgrade-database" in said.lines["database"][1]


@pytest.mark.dialect
@pytest.mark.needs_cloc
def test_a_database_of_a_newer_release(environment: dict[str, str], app: Flask):
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'newer'"))
    name, said = run_doctor(environment).fault()
    assert name == "database"
    assert "newer release" in said


@pytest.mark.needs_cloc
def test_a_database_that_is_away(
    environment: dict[str, str], postgres_url: str, postgres_server: PostgresServer
):
    environment["DATABASE_URL"] = f"postgresql://someone:{PASSWORD}@127.0.0.1:1/tracker"
    said = run_doctor(environment)
    assert said.code == 1
    assert "cannot be used" in said.lines["database"][1]
    assert said.lines["database's clock"] == (False, "unknown while the database does not answer")


@on_sqlite
@pytest.mark.needs_cloc
def test_redis_away_and_frozen(environment: dict[str, str], own_redis: RedisServer):
    environment["REDIS_URL"] = own_redis.url
    own_redis.freeze()
    frozen = run_doctor(environment)
    own_redis.thaw()
    own_redis.kill()
    for said in (frozen, run_doctor(environment)):
        assert said.code == 1
        assert said.lines["Redis"] == (
            False,
            "Redis does not answer: start it, or correct REDIS_URL",
        )
        assert said.lines["workers"][0] is False


@on_sqlite
@pytest.mark.needs_cloc
def test_redis_refuses_the_password(environment: dict[str, str], own_redis: RedisServer):
    with own_redis.client() as client:
        client.config_set("requirepass", "another")
    environment["REDIS_URL"] = own_redis.url.replace("redis://", f"redis://:{PASSWORD}@")
    assert "password" in run_doctor(environment).lines["Redis"][1]


@on_sqlite
@pytest.mark.needs_cloc
def test_a_token_that_is_refused(environment: dict[str, str], github_api: GitHubApi):
    github_api.token = "another"
    name, said = run_doctor(environment).fault()
    assert name == "token"
    assert "set a new one" in said


@on_sqlite
@pytest.mark.needs_cloc
@pytest.mark.parametrize(
    ("scopes", "mode", "ok"),
    [("public_repo, gist", "show", False), ("public_repo", "hide", True), (None, "show", True)],
)
def test_scopes(
    environment: dict[str, str], github_api: GitHubApi, scopes: str | None, mode: str, ok: bool
):
    github_api.scopes = scopes
    said = run_doctor(environment | {"PRIVATE_REPOSITORIES": mode})
    assert said.lines["token"][0] is ok
    assert said.code == (0 if ok else 1)


@on_sqlite
@pytest.mark.needs_cloc
def test_without_a_token(environment: dict[str, str], github_api: GitHubApi):
    del environment["GITHUB_ACCESS_TOKEN"]
    name, said = run_doctor(environment).fault()
    assert (name, "GITHUB_ACCESS_TOKEN" in said) == ("token", True)
    found = run_doctor(environment | {"GITHUB_OWNERS": "octocat"})
    assert found.code == 0, found


@on_sqlite
@pytest.mark.needs_cloc
def test_quota(environment: dict[str, str], github_api: GitHubApi):
    github_api.limit_rate(20)
    assert run_doctor(environment).fault()[0] == "quota"
    github_api.limit_rate(0)
    name, said = run_doctor(environment).fault()
    assert name == "quota"
    assert "rate limited until" in said


@on_sqlite
@pytest.mark.needs_cloc
def test_github_is_away(environment: dict[str, str], github_api: GitHubApi):
    github_api.fail("", status=502, times=None)
    name, said = run_doctor(environment).fault()
    assert name == "GitHub"
    assert "GITHUB_API_URL" in said


@pytest.mark.dialect
@pytest.mark.needs_cloc
@pytest.mark.parametrize(("seconds", "words"), [(45, "ahead of"), (-45, "behind")])
def test_a_clock_that_is_wrong(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, seconds: int, words: str
):
    def skewed() -> datetime:
        return utc_now() + timedelta(seconds=seconds)

    monkeypatch.setattr(doctor, "utc_now", skewed)
    said = run_doctor(environment)
    assert said.code == 1
    clocks = ["GitHub's clock"]
    if environment["DATABASE_URL"].startswith("postgresql"):
        clocks.append("database's clock")
    for clock in clocks:
        ok, told = said.lines[clock]
        assert not ok
        assert words in told
