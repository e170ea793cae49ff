"""action.yml and the workflow to copy: by GitHub's schemas, and as a runner would run the steps."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.github_action import Runner
from tests.support.service import ROOT
from tests.support.world import World

WORKFLOW = ROOT / "docs" / "publish-site.yml"
SECRET = "zq-secret-9020"


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.github-actions", ROOT / "action.yml"), ("vendor.github-workflows", WORKFLOW)],
)
def test_it_is_as_githubs_schema_says(schema: str, file: Path):
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_uses_the_action_as_it_is():
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["publish"]["steps"]
    given = next(step["with"] for step in steps if step["uses"] == "./")
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    assert given.keys() <= inputs.keys()
    assert {name for name, each in inputs.items() if each.get("required")} <= given.keys()
    uploaded = next(s["with"]["path"] for s in steps if "upload-pages-artifact" in s["uses"])
    assert uploaded == given["directory"]


def test_the_document_names_every_input():
    text = (ROOT / "docs" / "site-without-a-server.md").read_text()
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    table = re.findall(r"^\| `([a-z-]+)` \| `?(\w+)`? \|", text, re.M)
    assert dict(table) == {
        name: "required" if each.get("required") else each["default"] or "none"
        for name, each in inputs.items()
    }


@pytest.fixture
def runner_environment(world: World) -> dict[str, str]:
    """What GitHub sets on a runner, with the fake's address."""
    world.add("alpha")
    world.add("beta", commits=5)
    world.add(SECRET, private=True)
    return {"GITHUB_API_URL": world.api.url}


@pytest.fixture
def first_night(tmp_path: Path, world: World, runner_environment: dict[str, str]) -> Runner:
    """The steps were run on a clean tree, without a cache."""
    first = Runner(tmp_path / "first", tmp_path / "cache", runner_environment)
    first.run(token=world.api.token, url="https://me.example.org/figures/")
    return first


@pytest.mark.needs_cloc
def test_the_steps_on_a_clean_tree(first_night: Runner, world: World):
    listed = json.loads((first_night.workspace / "site/api/projects.json").read_bytes())
    assert {project["name"]: project["commits"] for project in listed} == {"alpha": 3, "beta": 5}
    written = (*contents(first_night.workspace), *contents(first_night.cache))
    for told in (first_night.output.encode(), *written):
        assert SECRET.encode() not in told
        assert world.api.token.encode() not in told


@pytest.mark.long
@pytest.mark.needs_cloc
def test_the_next_night_only_the_cache_is_left(
    first_night: Runner, tmp_path: Path, world: World, runner_environment: dict[str, str]
):
    world.push("beta")
    clones, requests = len(world.git.fetches("alpha")), len(world.api.requests)

    second = Runner(tmp_path / "second", first_night.cache, runner_environment)
    second.run(token=world.api.token, include_private="true", directory="public/figures")

    site = second.workspace / "public/figures/api"
    assert (site / "project/alpha.json").exists()
    assert len(world.git.fetches("alpha")) == clones
    assert [r.path for r in world.api.requests[requests:] if "alpha" in r.path] == []
    # Private ones are in it when asked for.
    listed = json.loads((site / "projects.json").read_bytes())
    assert SECRET in {project["name"] for project in listed}


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
