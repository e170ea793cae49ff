"""The files for servers, containers and Heroku agree with the code and with the documents."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from app import create_app
from config import VARIABLES, read_settings
from tests.support.documents import NO_DATABASE, ROOT

DEPLOY = ROOT / "deploy"
GUIDE = (ROOT / "docs" / "deploy.md").read_text()
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMMON = DEPLOY / "systemd" / "project-tracker-.service.d" / "common.conf"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = ("web", "worker", "clock")
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
APP_JSON: dict[str, Any] = json.loads((ROOT / "app.json").read_text())
KNOWN = {variable.name for variable in VARIABLES}
# Python's and the system's own.
OTHERS = {"PATH", "TMPDIR", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
PROCFILE = dict(re.findall(r"^(\w+): (.*)$", (ROOT / "Procfile").read_text(), re.M))


def settings_of(unit: Path) -> list[tuple[str, str]]:
    return re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.M)


def variables_of_the_environment_file() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "project-tracker.env").read_text(), re.M))


def test_units_run_the_commands_of_the_procfile():
    run = {
        unit.stem.removeprefix("project-tracker-"): dict(settings_of(unit))["ExecStart"]
        for unit in UNITS
    }
    folder = "/opt/project-tracker/.venv/bin/"
    assert {name: command.removeprefix(folder) for name, command in run.items()} == {
        name: PROCFILE[name] for name in OURS
    }
    assert all(command.startswith(folder) for command in run.values())


def test_containers_run_the_commands_of_the_procfile():
    default = json.loads(re.findall(r"^CMD (.*)$", CONTAINERFILE, re.M)[-1])
    run = {name: COMPOSE["services"][name].get("command", default) for name in OURS}
    assert {name: " ".join(command) for name, command in run.items()} == {
        name: PROCFILE[name] for name in OURS
    }


def test_every_variable_is_one_of_the_settings():
    named = set(variables_of_the_environment_file()) | set(APP_JSON["env"])
    for name in OURS:
        named |= set(COMPOSE["services"][name]["environment"])
    block = re.search(r"^ENV ((?:.*\\\n)*.*)$", CONTAINERFILE, re.M)
    assert block
    named |= set(re.findall(r"(\w+)=", block[1])) - OTHERS
    assert named <= KNOWN


def test_the_environment_file_is_accepted():
    settings = read_settings(variables_of_the_environment_file())
    assert settings.trusted_proxies == 1
    assert settings.redis_url


def test_values_of_app_json_are_accepted():
    values = {name: each["value"] for name, each in APP_JSON["env"].items() if "value" in each}
    read_settings(values)
    assert "value" not in APP_JSON["env"]["GITHUB_ACCESS_TOKEN"]


def test_app_json_is_what_the_guide_does_by_hand():
    section = GUIDE.split("## Heroku")[1]
    assert [each["url"] for each in APP_JSON["buildpacks"]] == re.findall(
        r"buildpacks:add (\S+)", section
    )
    assert [each["plan"] for each in APP_JSON["addons"]] == re.findall(
        r"addons:create (\S+)", section
    )
    assert set(APP_JSON["formation"]) == set(OURS)


def test_the_image_has_the_port_and_the_programs():
    settings = read_settings({})
    assert f"EXPOSE {settings.port}\n" in CONTAINERFILE
    assert COMPOSE["services"]["web"]["ports"] == [f"127.0.0.1:{settings.port}:{settings.port}"]
    assert re.search(r"apt-get install .*\bcloc git\b", CONTAINERFILE)
    assert re.search(r"^USER (?!root)\w+$", CONTAINERFILE, re.M)


def test_the_health_check_asks_a_route_that_exists():
    app: Flask = create_app(NO_DATABASE)
    (path,) = re.findall(r"'(/api/\w+)'", CONTAINERFILE)
    assert path in {rule.rule for rule in app.url_map.iter_rules()}


def test_nginx_passes_on_to_the_service():
    text = (DEPLOY / "nginx.conf").read_text()
    settings = read_settings({})
    assert f"proxy_pass http://{settings.host}:{settings.port};" in text
    assert text.count("{") == text.count("}")


def test_the_guide_names_only_files_that_exist():
    named = set(re.findall(r"\bdeploy/[\w./-]*[\w]", GUIDE))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    for unit in UNITS:
        assert unit.stem in GUIDE


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path: Path):
    # systemd checks that the programs exist, which they do not on this machine.
    text = "\n".join(unit.read_text() for unit in [*UNITS, COMMON])
    folder = tmp_path / "opt"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in set(re.findall(r"/opt/project-tracker/\.venv/bin/(\w+)", text)):
        (folder / ".venv/bin" / name).write_text("#!/bin/sh\n")
        (folder / ".venv/bin" / name).chmod(0o755)
    copies = tmp_path / "units"
    shutil.copytree(DEPLOY / "systemd", copies)
    for unit in copies.rglob("*.*"):
        if unit.is_file():
            unit.write_text(unit.read_text().replace("/opt/project-tracker", str(folder)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"]
        + [str(copies / unit.name) for unit in UNITS],
        env={"PATH": "/usr/bin:/bin", "SYSTEMD_UNIT_PATH": f"{copies}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    about_ours = [line for line in done.stderr.splitlines() if "project-tracker" in line]
    assert about_ours == []
