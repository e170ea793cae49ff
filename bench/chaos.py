"""Refresh back to back while workers, Redis and PostgreSQL are killed at random; check the result.

    python -m bench.chaos [--minutes 10] [--seed 1] [--quick]

Everything runs for real: gunicorn, a pool of workers, a Redis and a PostgreSQL of this run's own,
git over HTTP. Between the faults repositories are pushed to. In the end all figures must be those
of the oracle, which runs git and cloc itself, the next refresh must run, and no file, process or
database connection may be left. The exit code is 1 where any of that does not hold.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from bench.common import parser, print_table, say
from tests.support.git_server import GitServer
from tests.support.github_api import GitHubApi
from tests.support.oracle import ask
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.service import Service, descendants, serving
from tests.support.world import World

REPOSITORIES = 12
# Faults follow each other after so many seconds, at random.
PAUSES = (0.5, 6.0)
ENDS_WITHIN = 120.0
# A folder whose remover was killed half-way is swept after a minute.
SWEPT_WITHIN = 90.0


class Chaos:
    """The running product, and the faults that are injected."""

    def __init__(
        self,
        service: Service,
        redis: RedisServer,
        postgres: PostgresServer,
        world: World,
        chance: random.Random,
    ) -> None:
        self.service = service
        self.redis = redis
        self.postgres = postgres
        self.world = world
        self.chance = chance
        self.faults: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.pushes = 0
        self._seen: set[str] = set()
        self._worker = service.start_worker("--pool")

    def inject(self) -> None:
        """Inject a fault, chosen at random."""
        faults: dict[str, Callable[[], None]] = {
            "a work-horse or program SIGKILLed": self._kill_one,
            "all workers SIGKILLed, their parent left": self._kill_workers,
            "worker with all below it SIGKILLed": self._kill_everything,
            "worker with all below it SIGTERMed": self._terminate_everything,
            "Redis SIGKILLed and started anew": self._kill_redis,
            "Redis flushed": self.redis.flush,
            "Redis frozen for 3 s": self._freeze_redis,
            "PostgreSQL restarted at once": self._restart_postgres,
        }
        name = self.chance.choice(sorted(faults))
        faults[name]()
        self.faults[name] += 1

    def push(self) -> None:
        """Push a commit to one of the repositories, by force at times."""
        name = self.chance.choice(sorted(self.world.repositories))
        builder = self.world.repositories[name]
        if self.chance.random() < 0.2:
            builder.reset("HEAD~1")
        lines = "".join(
            f"v{n} = {self.chance.random()}\n" for n in range(self.chance.randint(1, 9))
        )
        builder.commit({f"f{self.chance.randint(0, 5)}.py": lines})
        self.world.push(name)
        self.pushes += 1

    def request(self) -> None:
        """Ask for a refresh and note which ones have ended."""
        with contextlib.suppress(requests.RequestException):
            forced = "?force=true" if self.chance.random() < 0.2 else ""
            self.service.post(forced)
        self._note_ends()

    def settle(self) -> dict[str, Any]:
        """Stop the faults, and return the refresh that brings everything up to date."""
        if not descendants(self._worker.pid):
            self._worker = self.service.start_worker("--pool")
        deadline = time.monotonic() + ENDS_WITHIN
        while True:
            refresh: dict[str, Any] = self.service.wait_for_end(ENDS_WITHIN)
            self._note_ends()
            if refresh["status"] == "completed" and self._is_current():
                return refresh
            if time.monotonic() > deadline:
                return refresh
            self.service.post()
            time.sleep(0.5)

    def wrong(self) -> list[str]:
        """Return the figures that differ from the oracle's."""
        measured = {row["name"]: row for row in self.service.get("/api/projects")}
        faults = []
        for name in sorted(self.world.repositories):
            with tempfile.TemporaryDirectory() as folder:
                truth = ask(self.world.git.url(name), Path(folder))
            row = measured.get(name)
            if row is None:
                faults.append(f"{name} is missing")
                continue
            churn, days = truth.additions + truth.deletions, len(truth.days)
            found = (row["commits"], row["code_churn"], row["active_days"], row["loc"])
            right = (truth.commits, churn, days, truth.loc)
            if found != right:
                faults.append(f"{name}: {found} instead of {right}")
        return faults

    def _is_current(self) -> bool:
        heads = {row["name"]: row["head_sha"] for row in self.service.get("/api/projects")}
        return all(heads.get(n) == b.head for n, b in self.world.repositories.items())

    def _note_ends(self) -> None:
        with contextlib.suppress(requests.RequestException, AssertionError):
            for row in self.service.get("/api/refresh/jobs"):
                if row["status"] in ("completed", "failed") and row["id"] not in self._seen:
                    self._seen.add(row["id"])
                    self.ends[row["status"]] += 1
                    if row["status"] == "failed":
                        say(f"failed: {row['error_message']}")

    def _kill_one(self) -> None:
        below = descendants(self._worker.pid)
        if below:
            _send(self.chance.choice(below), signal.SIGKILL)

    def _kill_workers(self) -> None:
        for pid in descendants(self._worker.pid):
            _send(pid, signal.SIGKILL)

    def _kill_everything(self) -> None:
        self._end_worker(signal.SIGKILL)

    def _terminate_everything(self) -> None:
        self._end_worker(signal.SIGTERM)

    def _end_worker(self, number: signal.Signals) -> None:
        for pid in [*descendants(self._worker.pid), self._worker.pid]:
            _send(pid, number)
        self._worker.wait(30)
        self._worker = self.service.start_worker("--pool")

    def _kill_redis(self) -> None:
        self.redis.kill()
        time.sleep(self.chance.uniform(0, 2))
        self.redis.start()

    def _freeze_redis(self) -> None:
        self.redis.freeze()
        time.sleep(3)
        self.redis.thaw()

    def _restart_postgres(self) -> None:
        self.postgres.restart(immediate=True)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def main() -> None:
    """Run the faults, check the result, and print both."""
    words = parser(__doc__)
    words.add_argument("--minutes", type=float, default=10.0)
    words.add_argument("--seed", type=int, default=1)
    options = words.parse_args()
    minutes = 0.5 if options.quick else options.minutes
    chance = random.Random(options.seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        GitServer(Path(folder) / "git") as git,
        GitHubApi() as api,
        RedisServer() as redis,
        PostgresServer() as postgres,
    ):
        git.token = api.token
        git.latency = 0.05
        world = World(Path(folder) / "world", git, api)
        for number in range(REPOSITORIES):
            world.add(f"repo{number}", commits=3).bulk(100 * (number + 1), seed=number)
            world.push(f"repo{number}")
        url = postgres.create_database()
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "DATABASE_URL": url,
            "REDIS_URL": redis.url,
            "GITHUB_API_URL": api.url,
            "GITHUB_ACCESS_TOKEN": api.token,
            "REFRESH_INTERVAL_HOURS": "0",
            "REFRESH_MIN_INTERVAL": "0",
            "FORCE_MIN_INTERVAL": "0",
            "REFRESH_CONCURRENCY": "2",
            "EXCLUDE_DIRS": "",
        }
        with serving(environment, Path(folder) / "service") as service:
            service.start_web()
            wrong = _run(Chaos(service, redis, postgres, world, chance), minutes)
            wrong += _check_result(service, postgres, url)
    for line in wrong:
        print(f"WRONG: {line}")
    print("nothing is wrong" if not wrong else f"{len(wrong)} things are wrong")
    sys.exit(1 if wrong else 0)


def _run(chaos: Chaos, minutes: float) -> list[str]:
    deadline = time.monotonic() + minutes * 60
    while time.monotonic() < deadline:
        chaos.request()
        if chaos.chance.random() < 0.5:
            chaos.push()
        time.sleep(chaos.chance.uniform(*PAUSES))
        chaos.inject()
        say(f"{sum(chaos.faults.values())} faults, {dict(chaos.ends)}")
    last = chaos.settle()
    print_table(
        f"Faults within {minutes:g} minutes of refreshes",
        ("fault", "times"),
        sorted(chaos.faults.items()),
    )
    print_table(
        "Meanwhile",
        ("what", "times"),
        [
            ("refreshes completed", chaos.ends["completed"]),
            ("refreshes ended as failed", chaos.ends["failed"]),
            ("pushes", chaos.pushes),
        ],
    )
    wrong = chaos.wrong()
    if last["status"] != "completed":
        wrong.append(f"the last refresh is not completed: {last}")
    return wrong


def _check_result(service: Service, postgres: PostgresServer, url: str) -> list[str]:
    """Wait for the last sweep, end the processes normally, and return what they leave."""
    deadline = time.monotonic() + SWEPT_WITHIN
    while service.leftovers() and time.monotonic() < deadline:
        time.sleep(1)
    below = [pid for process in service.processes for pid in descendants(process.pid)]
    for process in service.processes:
        process.terminate()
    for process in service.processes:
        with contextlib.suppress(Exception):
            process.wait(30)
    time.sleep(1)
    wrong = [f"process {pid} is left" for pid in below if Path(f"/proc/{pid}").exists()]
    wrong += [f"{name} is left" for name in service.leftovers()]
    connections = postgres.connections(url)
    if connections:
        wrong.append(f"{connections} database connections are left")
    return wrong


if __name__ == "__main__":
    main()
