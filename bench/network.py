"""Time the first refresh over a network with latency and a limited rate per connection.

Compared with the obvious script and the floor, which is the larger of the least time that the CPU
and the network need; in one process, and in a pool of RQ workers.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from bench.common import Repeating, in_process, machine, parser, print_table, say
from bench.product import Refreshed, environment, refresh
from bench.refresh import Figures, run_script
from bench.repositories import make, size_kb
from bench.stage import Served, Stage
from bench.workers import ROOT, queue_refresh, running, wait_for_workers
from config import available_cores
from tests.support.redis_server import RedisServer
from tests.support.service import descendants

LATENCY = 0.15
RATE = 2_000_000
SUFFIXES = (".py", ".js", ".c", ".go", ".rb", ".java")
EVERY = 0.2
"""Seconds between two samples of the memory."""


@dataclass(frozen=True)
class Run:
    """One way's seconds, CPU seconds of git and cloc, peak MB, and what the servers did."""

    seconds: float
    programs: float
    peak: float
    served: Served


class Memory(Repeating):
    """The peak memory of all processes that are started meanwhile, in MB."""

    def __init__(self) -> None:
        super().__init__(EVERY)
        self.peak = 0.0
        self._before = set(descendants(os.getpid()))

    def step(self) -> None:
        """Look at the memory of the processes once."""
        new = set(descendants(os.getpid())) - self._before
        self.peak = max(self.peak, sum(map(_proportional_mb, new)))


def _proportional_mb(pid: int) -> float:
    """Return a process's proportional memory (PSS), in MB."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def about_a_megabyte(root: Path, count: int) -> list[tuple[str, str, int]]:
    """Make repositories of 0.6 to 1.5 MB: name, bare repository and size in KB of each."""
    listed = []
    for number in range(count):
        name = f"remote{number:02}"
        make(
            root,
            name,
            commits=350 + 60 * (number % 8),
            seed=number + 1,
            files=100 + 20 * (number % 5),
            lines=150,
            edits=4,
            suffix=SUFFIXES[number % len(SUFFIXES)],
        )
        listed.append((name, name, size_kb(root, name)))
    return listed


class Ways:
    """The ways of doing the same work, on one stage."""

    def __init__(self, stage: Stage, names: list[str], folder: Path, fetches: int | None) -> None:
        self._stage = stage
        self._names = names
        self._folder = folder
        self._settings = {} if fetches is None else {"FETCH_CONCURRENCY": str(fetches)}

    def script(self) -> tuple[Run, Figures]:
        """Run the obvious script."""
        scratch = self._scratch()
        urls = {name: self._stage.url(name) for name in self._names}
        with self._watched() as memory:
            cost, figures = in_process(run_script, scratch, urls)
        return Run(cost.wall, cost.children, memory.peak, self._stage.served()), figures

    def process(self, figures: Figures) -> Run:
        """Refresh in one process, and compare the figures."""
        with self._watched() as memory:
            done: Refreshed = in_process(refresh, self._environment())
        if done.figures != figures:
            raise RuntimeError("the figures differ from the script's")
        return Run(done.cost.wall, done.cost.children, memory.peak, self._stage.served())

    def pool(self, redis: RedisServer, client: Redis) -> Run:
        """Refresh in a pool of RQ workers, one for each core."""
        settings = self._environment() | {"REDIS_URL": redis.url, "PYTHONPATH": str(ROOT)}
        with self._watched() as memory:
            with running(settings, self._folder, "worker.py", "--pool"):
                wait_for_workers(client, available_cores())
                seconds = in_process(queue_refresh, settings)
            wait_for_workers(client, 0)
        return Run(seconds, 0.0, memory.peak, self._stage.served())

    @contextlib.contextmanager
    def _watched(self) -> Iterator[Memory]:
        self._stage.served()
        with Memory() as memory:
            yield memory

    def _scratch(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))

    def _environment(self) -> dict[str, str]:
        database = f"sqlite:///{self._scratch() / 'db.sqlite'}"
        return environment(self._stage.api_url, self._stage.token, database, **self._settings)


def network_floor(listed: list[tuple[str, str, int]], script: Run) -> float:
    """Return the seconds to ask for the list and then to clone the largest repository."""
    requests = script.served.git_requests / len(listed)
    return (1 + requests) * LATENCY + max(size for _, _, size in listed) * 1024 / RATE


def report(rounds: list[dict[str, Run]], network: float) -> None:
    """Print each way's cost and ratios as medians."""
    names = list(rounds[0])
    print_table(
        f"First refresh over a network, medians of {len(rounds)} rounds",
        ["", "seconds", "CPU s of git and cloc", "CPU s of servers", "fetches at once", "peak MB"],
        [
            (
                name,
                statistics.median(one[name].seconds for one in rounds),
                statistics.median(one[name].programs for one in rounds) or None,
                statistics.median(one[name].served.cpu for one in rounds),
                max(one[name].served.busiest for one in rounds),
                max(one[name].peak for one in rounds),
            )
            for name in names
        ],
    )
    script, process, *_ = names
    cores = available_cores()
    cpu = statistics.median((r[process].programs + r[process].served.cpu) / cores for r in rounds)
    floor = max(cpu, network)
    print_table(
        f"Ratios (floors: CPU {cpu:.2f} s, network {network:.2f} s)",
        ["", "times as fast as the script (goal: ≥ 5)", "of the larger floor (goal: ≤ 1.30)"],
        [
            (
                name,
                statistics.median(one[script].seconds / one[name].seconds for one in rounds),
                statistics.median(one[name].seconds for one in rounds) / floor,
            )
            for name in names[1:]
        ],
    )


def main() -> None:
    """Read the command line and run."""
    words = parser(__doc__)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument(
        "--fetches", type=int, nargs="+", default=[None], help="values of FETCH_CONCURRENCY to try"
    )
    arguments = words.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as temporary,
        RedisServer() as redis,
        redis.client() as client,
    ):
        folder = Path(temporary)
        say("making the repositories")
        listed = about_a_megabyte(folder / "git", 6 if arguments.quick else 24)
        names = [name for name, _, _ in listed]
        results: list[dict[str, Run]] = []
        with Stage(folder / "git", latency=LATENCY, rate=RATE) as stage:
            stage.add(listed)
            for number in range(rounds):
                say(f"round {number + 1}: the script")
                script, figures = Ways(stage, names, folder, None).script()
                runs = {"the obvious script": script}
                for fetches in arguments.fetches:
                    say(f"round {number + 1}: refreshes, FETCH_CONCURRENCY {fetches or 'not set'}")
                    suffix = "" if fetches is None else f", {fetches} fetches"
                    ways = Ways(stage, names, folder, fetches)
                    runs[f"one process{suffix}"] = ways.process(figures)
                    runs[f"RQ workers{suffix}"] = ways.pool(redis, client)
                results.append(runs)
    print(machine())
    print(f"{len(listed)} repositories, {sum(size for *_, size in listed) / 1024:.1f} MB in all")
    report(results, network_floor(listed, results[0]["the obvious script"]))


if __name__ == "__main__":
    main()
