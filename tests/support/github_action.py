"""The steps of action.yml, run as a GitHub runner does, with a folder for the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.support.service import LIMIT, ROOT

EXPRESSION = re.compile(r"\$\{\{ ([\w.-]+) \}\}")


class Runner:
    """Run the action on a clean copy of the project; the folder `cache` outlives the run."""

    def __init__(self, folder: Path, cache: Path, environment: dict[str, str]) -> None:
        self.action = folder / "action"
        self.workspace = folder / "workspace"
        self.temporary = folder / "temporary"
        self.cache = cache
        self.environment = environment
        self.output = ""
        for each in (self.workspace, self.temporary, self.cache):
            each.mkdir(parents=True, exist_ok=True)
        copy_project(self.action)
        self.described = yaml.safe_load((self.action / "action.yml").read_text())

    def run(self, **inputs: str) -> None:
        """Run all steps; AssertionError where one fails."""
        names = {name: each.get("default", "") for name, each in self.described["inputs"].items()}
        context = {f"inputs.{name}": value for name, value in names.items()}
        context |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        context |= {
            "github.action_path": str(self.action),
            "github.workspace": str(self.workspace),
            "github.run_id": "1",
            "github.run_attempt": "1",
            "runner.temp": str(self.temporary),
        }
        for step in self.described["runs"]["steps"]:
            if "run" in step:
                self._run_script(step, context)
            else:
                self._use(step, context)

    def _run_script(self, step: dict[str, Any], context: dict[str, str]) -> None:
        assert step["shell"] == "bash"
        # In scripts an expression would be code; values come by the environment.
        assert "${{" not in step["run"]
        script = self.temporary / "step.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=_fill(step.get("working-directory", str(self.workspace)), context),
            env=self._environment()
            | {name: _fill(value, context) for name, value in step.get("env", {}).items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10 * LIMIT,
            check=False,
        )
        self.output += done.stdout
        assert done.returncode == 0, self.output

    def _environment(self) -> dict[str, str]:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # Nothing is downloaded: the tests' own environment has the packages.
        own = {"PATH": programs, "HOME": str(self.temporary), "PIP_NO_INDEX": "1", "CI": "true"}
        return own | self.environment

    def _use(self, step: dict[str, Any], context: dict[str, str]) -> None:
        kind = step["uses"].partition("@")[0]
        if kind == "actions/setup-python":
            return
        path = Path(_fill(step["with"]["path"], context))
        kept = self.cache / path.name
        if kind == "actions/cache/restore":
            if kept.exists():
                shutil.copy(kept, path)
        else:
            assert kind == "actions/cache/save"
            shutil.copy(path, kept)


def copy_project(folder: Path) -> None:
    """Copy what git has of the project, as a checkout would have it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def _fill(text: str, context: dict[str, str]) -> str:
    return EXPRESSION.sub(lambda expression: context[expression[1]], text)
