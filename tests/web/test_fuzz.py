"""Every answer agrees with openapi.yaml for random paths, queries, headers and methods.

`pytest tests/web/test_fuzz.py --fuzz 1000 -rP` generates up to a thousand cases for each operation
in each phase, and prints how many there were.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis_server import RedisServer
from tests.support.service import Service, serving
from tests.support.world import World

pytestmark = [pytest.mark.needs_cloc, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
SEED = 20260701
OPTIONS = (
    *("--checks", "all", "--mode", "all", "--continue-on-failure", "--no-color"),
    *("--seed", str(SEED), "--request-timeout", "100", "--suppress-health-check", "all"),
)


@pytest.fixture
def service(
    environment: dict[str, str], redis_server: RedisServer, world: World, tmp_path: Path
) -> Iterator[Service]:
    """A service with projects, one of them stale, and with refreshes of all endings."""
    environment["REDIS_URL"] = redis_server.url
    # The first is the example in openapi.yaml.
    for name in ("itsdangerous", "beta", "r\N{LATIN SMALL LETTER E WITH ACUTE}sum 100%"):
        world.add(name, commits=2)
    environment["GITHUB_WEBHOOK_SECRET"] = "made up for this test"
    with serving(environment, tmp_path / "service") as service:
        service.start_web()
        service.start_worker()
        service.post()
        assert service.wait_for_end()["status"] == "completed"
        world.git.fail("beta")
        service.post("?force=true")
        assert "beta" in service.wait_for_end()["error_message"]
        world.api.fail("/user/repos", 401)
        service.post()
        assert service.wait_for_end()["status"] == "failed"
        yield service


def test_every_answer_is_as_documented(service: Service, tmp_path: Path, fuzz_cases: int):
    report = tmp_path / "report.json"
    where = ["--url", service.url, "--report-json-path", str(report)]
    cases = ["--max-examples", str(fuzz_cases)]

    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(ROOT / "openapi.yaml")),
            *(*OPTIONS, *where, *cases),
        ],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr + service.logs()[-5000:]
    result = json.loads(report.read_text())
    assert result["operations"]["tested"] == result["operations"]["total"] >= 8
    assert {phase["status"] for phase in result["phases"].values()} == {"success"}
    generated = result["test_cases"]["generated"]
    assert generated > 150
    sys.stdout.write(f"{result['test_cases']} in {result['running_time']:.0f} s\n")
    # No error was only logged.
    assert "Traceback" not in service.logs()
