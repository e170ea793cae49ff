"""A refresh on the queue: real web and worker processes, a real Redis, both databases."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import freeze
from tests.support.redis_server import RedisServer
from tests.support.service import Service, descendants, serving, wait_until
from tests.support.world import World

pytestmark = pytest.mark.needs_cloc


@pytest.fixture
def service(
    environment: dict[str, str], own_redis: RedisServer, world: World, tmp_path: Path
) -> Iterator[Service]:
    """The product on a Redis of its own, nothing started yet."""
    environment["REDIS_URL"] = own_redis.url
    environment["REFRESH_CONCURRENCY"] = "2"
    with serving(environment, tmp_path / "service") as service:
        yield service


def figures(service: Service) -> dict[str, int]:
    return {project["name"]: project["commits"] for project in service.get("/api/projects")}


@pytest.mark.dialect
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_refresh_is_queued_and_polled_to_the_end(
    service: Service, empty_database_url: str, world: World
):
    service.environment["DATABASE_URL"] = empty_database_url
    for number in range(5):
        world.add(f"repo{number}", commits=number + 1)
    service.start_web()
    service.start_worker("--pool")

    answer = service.post()

    assert answer.status_code == 202
    queued = answer.json()
    assert queued["status"] == "queued"
    assert queued["check_status_url"] == f"/api/refresh/status/{queued['job_id']}"
    ended = service.wait_for_end()
    assert ended["id"] == queued["job_id"]
    assert ended["status"] == "completed"
    assert ended["error_message"] is None
    assert ended["progress"] == 100
    assert ended["repositories_processed"] == ended["total_repositories"] == 5
    assert figures(service) == {f"repo{number}": number + 1 for number in range(5)}
    assert service.leftovers() == []

    # Nothing has moved: nothing is cloned, and the refresh ends all the same.
    clones = world.clones()
    assert service.post().json()["job_id"] != queued["job_id"]
    assert service.wait_for_end()["status"] == "completed"
    assert world.clones() == clones
    assert world.api.token not in service.logs()


def preloaded_clocs(keeper: int) -> list[int]:
    """Return the pids of the preloaded clocs below a worker's parent."""
    return [
        pid
        for pid in descendants(keeper)
        if parent(pid) == keeper and b"-MForkServer" in command_line(pid)
    ]


def command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_preloaded_cloc_is_replaced_when_it_dies(service: Service, world: World):
    world.add("alpha")
    service.start_web()
    keeper = service.start_worker().pid
    wait_until(lambda: preloaded_clocs(keeper), 20, "cloc is preloaded")
    (first,) = preloaded_clocs(keeper)

    send(first, signal.SIGKILL)
    service.post()

    assert service.wait_for_end()["status"] == "completed"
    assert [project["loc_source"] for project in service.get("/api/projects")] == ["cloc"]
    wait_until(lambda: preloaded_clocs(keeper) not in ([], [first]), 10, "another one is preloaded")


@pytest.fixture
def slow(_no_lines: None, service: Service, world: World) -> Service:
    """A running service in the middle of measuring `slow`, which hangs, with `quick` done."""
    world.add("slow", commits=2, size=9)
    world.add("quick", commits=1)
    world.git.hang("slow", times=1)
    service.start_web()
    service.start_worker("--pool")
    service.post()
    wait_until(lambda: figures(service).get("quick") == 1, 20, "quick is measured")
    wait_until(lambda: world.git.fetches("slow"), 20, "slow is being cloned")
    return service


def send(pid: int, number: signal.Signals) -> None:
    # Children of a process that has just been killed may have ended with it.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def work_horses(service: Service) -> list[int]:
    """The work-horses: children of the workers, which are children of the pool."""
    keeper = service.processes[1].pid
    workers = [pid for pid in descendants(keeper) if keeper == parent(pid)]
    return [pid for worker in workers for pid in descendants(worker) if parent(pid) == worker]


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def assert_finished_well(service: Service) -> None:
    ended = service.wait_for_end()
    assert ended["status"] == "completed", service.logs()
    assert ended["error_message"] is None, service.logs()
    assert ended["repositories_processed"] == ended["total_repositories"] == 2
    assert figures(service) == {"slow": 2, "quick": 1}
    wait_until(lambda: service.leftovers() == [], 10, "clone folders are gone")


def test_a_killed_work_horse_is_replaced(slow: Service):
    for pid in work_horses(slow):
        send(pid, signal.SIGKILL)

    assert_finished_well(slow)


@pytest.mark.long
def test_workers_killed_with_their_work_horses_are_replaced(slow: Service):
    keeper = slow.processes[1].pid
    for pid in descendants(keeper):
        send(pid, signal.SIGKILL)

    assert_finished_well(slow)


def test_a_whole_worker_killed_is_carried_on_by_the_next(slow: Service):
    keeper = slow.processes[1].pid
    for pid in [keeper, *descendants(keeper)]:
        send(pid, signal.SIGKILL)
    slow.start_worker()

    assert_finished_well(slow)


def test_sigterm_to_every_process_is_not_the_repositorys_failure(slow: Service):
    keeper = slow.processes[1]
    everybody = [keeper.pid, *descendants(keeper.pid)]
    # Stopped meanwhile, so that none goes on with the work of one that had the signal before it.
    freeze(everybody)
    for number in (signal.SIGTERM, signal.SIGCONT):
        for pid in everybody:
            send(pid, number)
    assert keeper.wait(100) == 0
    assert slow.newest()["status"] == "running"
    slow.start_worker()

    assert_finished_well(slow)


@pytest.mark.usefixtures("_no_lines")
def test_without_a_worker_a_refresh_ends_as_failed_in_words(service: Service, world: World):
    service.waits["UNATTENDED_AFTER"] = 6.0
    world.add("alpha")
    service.start_web()
    assert service.post().status_code == 202

    service.start("flask", "--app", "app", "clock")
    ended = service.wait_for_end()

    assert ended["status"] == "failed"
    assert "worker.py" in ended["error_message"]
    service.start_worker()
    assert service.post().status_code == 202
    assert service.wait_for_end()["status"] == "completed"


@pytest.fixture
def _soon_abandoned(_no_lines: None, service: Service) -> None:
    service.waits["ABANDONED_AFTER"] = 6.0


@pytest.mark.usefixtures("_soon_abandoned")
def test_workers_killed_for_good_end_the_refresh_as_failed(slow: Service):
    keeper = slow.processes[1].pid
    for pid in [keeper, *descendants(keeper)]:
        send(pid, signal.SIGKILL)

    slow.start("flask", "--app", "app", "clock")
    ended = slow.wait_for_end()

    assert ended["status"] == "failed"
    assert ended["error_message"]
    assert figures(slow) == {"quick": 1}
    assert slow.post().status_code == 202


@pytest.mark.usefixtures("_no_lines")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_workers_that_get_nowhere_do_not_keep_a_refresh_alive(service: Service, world: World):
    service.waits |= {"UNATTENDED_AFTER": 5.0, "STALLED_AFTER": 5.0}
    world.add("alpha")
    service.start_web()
    keeper = service.start_worker().pid
    freeze(descendants(keeper))
    assert service.post().status_code == 202

    ended = service.wait_for_end()

    assert ended["status"] == "failed"
    assert "worker" in ended["error_message"]


@pytest.mark.usefixtures("_no_lines")
def test_a_flushed_redis_loses_nothing(service: Service, own_redis: RedisServer, world: World):
    for number in range(3):
        world.add(f"repo{number}")
    service.start_web()
    service.post()
    own_redis.flush()
    service.start_worker()

    ended = service.wait_for_end()

    assert ended["status"] == "completed"
    assert len(figures(service)) == 3


@pytest.mark.usefixtures("_no_lines")
def test_a_redis_killed_in_mid_refresh_is_survived(
    service: Service, own_redis: RedisServer, world: World
):
    world.git.latency = 0.3
    for number in range(6):
        world.add(f"repo{number}")
    service.start_web()
    service.start_worker("--pool")
    service.post()
    wait_until(lambda: service.newest()["repositories_processed"] >= 1, 20, "one is measured")
    own_redis.kill()
    own_redis.start()

    ended = service.wait_for_end(90)

    assert ended["status"] == "completed", service.logs()
    assert ended["repositories_processed"] == 6
    assert len(figures(service)) == 6


@pytest.mark.usefixtures("_no_lines")
def test_a_frozen_redis_holds_nobody_up(service: Service, own_redis: RedisServer, world: World):
    world.add("alpha")
    service.start_web()
    own_redis.freeze()
    try:
        answer = service.post()
        assert answer.status_code == 200
        assert "job_id" not in answer.json()
        assert answer.elapsed.total_seconds() < 40
        assert figures(service) == {"alpha": 3}
    finally:
        own_redis.thaw()
