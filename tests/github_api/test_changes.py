"""Changes and inconsistencies on GitHub while a refresh runs: names, pushes, addresses."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from requests import get as fetch

from tests.support.client import projects, refresh
from tests.support.service import wait_until
from tests.support.world import World

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.needs_cloc


def test_names_swapped_between_the_listing_and_the_clone_are_put_right(
    client: FlaskClient, world: World
):
    world.add("alpha", commits=3)
    world.add("beta", commits=5)
    # The git server has the swapped names already, the listing does not.
    alpha, beta, spare = (world.git.path(name) for name in ("alpha", "beta", "spare"))
    for here, there in ((alpha, spare), (beta, alpha), (spare, beta)):
        here.rename(there)
    refresh(client)
    addresses = {name: world.git.url(name) for name in ("alpha", "beta")}
    for old, new in (("alpha", "gamma"), ("beta", "alpha"), ("gamma", "beta")):
        world.api.rename(old, new)
    for name, url in addresses.items():
        world.api.update(name, clone_url=url)

    refresh(client)

    assert {n: p["commits"] for n, p in projects(client).items()} == {"alpha": 5, "beta": 3}
    requests = len(world.git.log)
    refresh(client)
    assert len(world.git.log) == requests


def test_a_renamed_repository_is_looked_at_and_not_cloned(client: FlaskClient, world: World):
    builder = world.add("alpha")
    refresh(client)
    fetches = len(world.git.fetches("alpha"))
    world.api.rename("alpha", "moved")
    world.api.update("moved", clone_url=builder.publish(world.git, "moved"))

    refresh(client)

    assert projects(client)["moved"]["commits"] == 3
    assert len(world.git.fetches("alpha")) == fetches
    assert world.git.fetches("moved") == []


@pytest.mark.parametrize("commits", [0, 3])
def test_a_second_push_in_the_same_second_is_seen(client: FlaskClient, world: World, commits: int):
    builder = world.add("alpha", commits=commits)
    world.api.update("alpha", pushed_at=datetime.now(UTC))
    refresh(client)
    builder.commit({"second.py": "s = 2\n"})
    builder.push()

    refresh(client)

    assert projects(client)["alpha"]["commits"] == commits + 1


def test_a_measured_repository_renamed_in_mid_refresh_is_followed(
    client: FlaskClient, world: World
):
    builder = world.add("alpha")
    refresh(client)
    builder.commit({"new.py": "n = 1\n"})
    world.push("alpha")
    listed = fetch(
        world.api.url + "/user/repos", headers={"Authorization": f"token {world.api.token}"}
    )
    world.api.fail("^/user/repos", 200, body=listed.json())
    world.git.fail("alpha", status=404)
    world.api.rename("alpha", "moved")
    world.api.update("moved", clone_url=builder.publish(world.git, "moved"))

    assert refresh(client)["error_message"] is None
    assert projects(client)["alpha"]["commits"] == 4
    requests = len(world.git.log)
    refresh(client)
    assert projects(client)["moved"]["commits"] == 4
    assert len(world.git.log) == requests


def test_a_name_that_changes_hands_between_two_listings_fails_nothing(
    client: FlaskClient, world: World
):
    world.add("first")
    world.add("second")
    refresh(client)
    world.add("third", commits=5)
    gone_from_the_first = fetch(
        world.api.url + "/user/repos", headers={"Authorization": f"token {world.api.token}"}
    ).json()
    world.api.fail(
        "^/user/repos", 200, body=[e for e in gone_from_the_first if e["name"] != "second"]
    )
    # Before the second listing "first" is deleted, and "third" takes its name.
    world.api.remove("first")
    world.api.rename("third", "first")

    refresh(client)

    assert {n: p["commits"] for n, p in projects(client).items()} == {"first": 5, "second": 3}


@pytest.mark.dialect
def test_long_and_odd_names_fail_neither_the_listing_nor_the_repository(
    client: FlaskClient, world: World
):
    world.add("alpha", languages={"L" * 150: 5, "odd\0\ud800": 1})
    world.add("beta", languages={f"L{n}": n for n in range(1000)})
    world.api.rename("alpha", "n" * 300)
    world.api.rename("beta", "odd\x1b[31m\n\0name")

    answer = refresh(client)

    assert answer["error_message"] is None
    odd, long = (projects(client)[name] for name in sorted(projects(client), key=len))
    assert len(long["name"]) == 255
    assert long["commits"] == odd["commits"] == 3
    assert long["primary_language"].startswith("L" * 80)
    assert odd["primary_language"] == "L999"
    assert len(odd["languages"]) == 101
    assert odd["languages"]["Other"] == sum(range(900))


def test_control_characters_do_not_reach_the_log():
    code = (
        "import logging, log\nfrom config import LogFormat\n"
        "log.configure_logging(LogFormat.TEXT, redact={redact})\n"
        "logger = logging.getLogger('app')\n"
        "logger.info('measuring %s', 'a\\x1b[2J\\r\\nforged\\u2028line\\x9b')\n"
        "try:\n"
        "    raise ValueError('b\\x1b[2J\\n2026-01-01 00:00:00 INFO app: forged')\n"
        "except ValueError:\n"
        "    logger.exception('failed')\n"
    )
    for redact in (True, False):
        done = subprocess.run(
            [sys.executable, "-c", code.format(redact=redact)],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        lines = done.stderr.decode().split("\n")
        assert not any(set(line) & set("\x1b\r\u2028\x9b") for line in lines)
        assert sum(line.startswith("20") for line in lines) == 2
        assert r"a\x1b[2J\r\nforged\u2028line\x9b" in lines[0]


@pytest.mark.parametrize(
    ("measured", "asked_in_vain"), [(4, 15), pytest.param(20, 100, marks=pytest.mark.long)]
)
def test_measuring_leaves_no_descriptor_and_no_thread_behind(
    environment: dict[str, str],
    request: pytest.FixtureRequest,
    world: World,
    measured: int,
    asked_in_vain: int,
):
    environment["FETCH_CONCURRENCY"] = environment["REFRESH_CONCURRENCY"] = "4"
    client = request.getfixturevalue("client")
    world.add("alpha", commits=1)
    world.add("broken", commits=1)
    world.add("empty", commits=0)
    refresh(client)
    before = _held()
    # A measurement costs a clone and a count; a wrong guess about GitHub, a few requests.
    for name, times in (("alpha", measured), ("broken", asked_in_vain), ("empty", asked_in_vain)):
        for number in range(times):
            world.api.add(f"{name}{number}", world.git.url(name))
    world.git.fail("broken")

    answer = refresh(client, "?force=true")

    assert answer["total_repositories"] == 3 + measured + 2 * asked_in_vain
    world.api.drop_connections()
    descriptors, threads = before
    wait_until(lambda: _held()[0] <= descriptors + 5, 120, "the descriptors are closed")
    wait_until(lambda: _held()[1] <= threads + 5, 120, "the threads have ended")


def _held() -> tuple[int, int]:
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
