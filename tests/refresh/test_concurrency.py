"""Many clones under way and few counts, in one process and in a pool, with processes killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from refresh.store import MAX_CRASHES
from tests.support.redis_server import RedisServer
from tests.support.service import Service, serving, wait_until
from tests.support.world import World

pytestmark = [
    pytest.mark.needs_cloc,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
CLONES = 4
COUNTS = 2
# Logs when a count begins and ends, and takes long enough for others to run meanwhile.
CLOC = """#!/bin/sh
case "$*" in *--version*) exec {cloc} "$@" ;; esac
echo begun >> {log}
{cloc} "$@"
status=$?
sleep 0.3
echo ended >> {log}
exit $status
"""


@pytest.fixture
def service(environment: dict[str, str], world: World, tmp_path: Path) -> Iterator[Service]:
    """The product with limits that differ, nothing started yet."""
    environment["FETCH_CONCURRENCY"] = str(CLONES)
    environment["REFRESH_CONCURRENCY"] = str(COUNTS)
    with serving(environment, tmp_path / "service") as service:
        yield service


@pytest.fixture
def counts(service: Service, tmp_path: Path) -> Path:
    """The log of a cloc that logs when it begins and ends."""
    log, script = tmp_path / "counts", tmp_path / "cloc"
    script.write_text(CLOC.format(cloc=shutil.which("cloc"), log=log))
    script.chmod(0o755)
    service.environment |= {"CLOC_PATH": str(script), "PRELOAD_CLOC": "false"}
    return log


def most_at_once(log: Path) -> int:
    running = most = 0
    for line in log.read_text().split():
        running += 1 if line == "begun" else -1
        most = max(most, running)
    return most


@pytest.mark.parametrize("pool", [False, True], ids=["one process", "pool"])
def test_as_many_are_cloned_and_counted_at_once_as_the_settings_say(
    service: Service, world: World, own_redis: RedisServer, counts: Path, pool: bool
):
    names = [f"repo{number}" for number in range(3 * CLONES)]
    for name in names:
        world.add(name)
        world.git.drip(name, rate=1000)
    if pool:
        service.environment["REDIS_URL"] = own_redis.url
    service.start_web()
    if pool:
        service.start_worker("--pool")

    service.post()

    ended = service.wait_for_end()
    assert (ended["status"], ended["error_message"]) == ("completed", None), service.logs()
    assert {row["loc_source"] for row in service.get("/api/projects")} == {"cloc"}
    assert world.git.busiest == CLONES
    assert most_at_once(counts) == COUNTS
    assert service.leftovers() == []


def work_horses(service: Service) -> list[int]:
    """Return what the workers of the program started last have forked."""
    keeper = service.processes[-1].pid
    return [pid for worker in children(keeper) for pid in children(worker)]


def children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    ]


def kill_work_horses(service: Service) -> None:
    for pid in work_horses(service):
        with contextlib.suppress(ProcessLookupError):  # a count that has just ended
            os.kill(pid, signal.SIGKILL)


def wait_for_fetches(world: World, name: str, count: int) -> None:
    wait_until(lambda: len(world.git.fetches(name)) >= count, 60, f"{name} is cloned again")


@pytest.fixture
def on_a_worker(service: Service, own_redis: RedisServer) -> Service:
    """The product with one worker, which measures several repositories in one work-horse."""
    service.environment["REDIS_URL"] = own_redis.url
    service.start_web()
    service.start_worker()
    return service


def test_a_work_horse_killed_amid_several_measurements_loses_nothing(
    on_a_worker: Service, world: World
):
    names = [f"repo{number}" for number in range(CLONES + 3)]
    for name in names:
        world.add(name)
        world.git.hang(name, times=1)
    on_a_worker.post()
    wait_until(lambda: world.clones() == CLONES, 60, "several are being cloned")

    world.git.heal()
    kill_work_horses(on_a_worker)

    ended = on_a_worker.wait_for_end()
    assert (ended["status"], ended["error_message"]) == ("completed", None), on_a_worker.logs()
    assert ended["repositories_processed"] == ended["total_repositories"] == len(names)
    figures = {row["name"]: row["commits"] for row in on_a_worker.get("/api/projects")}
    assert figures == dict.fromkeys(names, 3)
    wait_until(lambda: on_a_worker.leftovers() == [], 60, "nothing is left behind")


def test_only_the_repository_that_kills_its_process_is_given_up(on_a_worker: Service, world: World):
    innocent = [f"innocent{number}" for number in range(CLONES - 1)]
    for name in ["deadly", *innocent]:
        world.add(name)
        world.git.hang(name)
    on_a_worker.post()
    wait_until(lambda: world.clones() == CLONES, 60, "all are being cloned")

    for crashes in range(1, MAX_CRASHES + 1):
        wait_for_fetches(world, "deadly", crashes)
        kill_work_horses(on_a_worker)
        for name in innocent:
            world.git.heal(name)

    ended = on_a_worker.wait_for_end()
    assert ended["status"] == "completed", on_a_worker.logs()
    assert ended["error_message"] is not None
    assert "deadly" in ended["error_message"]
    assert "innocent" not in ended["error_message"]
    assert {row["name"] for row in on_a_worker.get("/api/projects")} == set(innocent)
    wait_until(lambda: on_a_worker.leftovers() == [], 60, "nothing is left behind")
