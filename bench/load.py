"""Load test: many clients read while refreshes run; errors and latencies.

`python -m bench.load` sends 10,000 requests from 64 clients, spread evenly over all routes that
read, to a real gunicorn while real workers measure everything over and over; on each engine. One
line per route; a run in which anything went wrong ends with code 1.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import quote

from bench.common import Meter, Repeating, machine, parser, print_table
from bench.product import environment
from bench.repositories import make, size_kb
from bench.stage import Stage
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.service import Service

CLIENTS = 64
REPOSITORIES = 60
# A run that has not ended by then is stopped and reports it.
LIMIT = 300.0
# The client's: a request unanswered for so long counts as failed.
TIME_LIMIT = 30.0
TROUBLE = ("Traceback", "locked", " ERROR ", "does not answer", "took over")


class Patient(Service):
    """Start the programs as the Procfile does, with nothing shortened."""

    def arguments(self, *command: str) -> list[str]:
        """Return Python's arguments that start a program."""
        return ["-m", *command] if command[0] == "gunicorn" else list(command)


@dataclass
class Tally:
    """The clients' results: seconds of each answer by route, and errors."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def note(self, route: str, seconds: float, fault: str | None) -> None:
        """Add one answer."""
        self.seconds.setdefault(route, []).append(seconds)
        if fault is not None:
            self.faults.append(f"{route}: {fault}")


class Refresher(Repeating):
    """A thread that requests a forced refresh whenever none is under way, until stopped."""

    def __init__(self, service: Service) -> None:
        super().__init__(2)
        self._service = service
        self.ended: list[dict[str, object]] = []

    def __enter__(self) -> Self:
        self._service.post("?force=true")
        return super().__enter__()

    def step(self) -> None:
        """Request the next refresh where the last one has ended."""
        newest = self._service.newest()
        if newest["status"] in ("completed", "failed"):
            self.ended.append(newest)
            self._service.post("?force=true")


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> str | None:
    """Send one request on an open connection; return the answer's fault, or None."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    body = await reader.readexactly(length)
    status = head.split(" ", 2)[1]
    if status != "200":
        return f"{status} {body[:200]!r}"
    json.loads(body)
    return None


async def client(port: int, work: Iterator[tuple[str, str]], tally: Tally) -> None:
    """Take requests from the shared queue, one after another, on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    for route, path in work:
        started = time.perf_counter()
        try:
            fault = await asyncio.wait_for(ask(reader, writer, path), TIME_LIMIT)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            fault = f"{type(error).__name__} {error}"
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        tally.note(route, time.perf_counter() - started, fault)
    writer.close()


async def attack(port: int, work: Iterator[tuple[str, str]], tally: Tally) -> None:
    """Run all clients until the queue is empty."""
    await asyncio.gather(*(client(port, work, tally) for _ in range(CLIENTS)))


def pile(service: Service, count: int) -> Iterator[tuple[str, str]]:
    """Return requests spread evenly over the routes that read and their arguments."""
    names = [project["name"] for project in service.get("/api/projects")]
    job = service.newest()["id"]
    deadline = time.monotonic() + LIMIT
    routes = [
        ("/", "/"),
        ("/api/health", "/api/health"),
        ("/api/projects", "/api/projects"),
        ("/api/project/<name>", "/api/project/{name}"),
        ("/api/metrics", "/api/metrics"),
        ("/api/refresh/status/<job_id>", f"/api/refresh/status/{job}"),
        ("/api/refresh/jobs", "/api/refresh/jobs"),
    ]
    for number in range(count):
        if time.monotonic() > deadline:
            return
        route, path = routes[number % len(routes)]
        yield route, path.format(name=quote(names[number % len(names)]))


def percentile(sorted_seconds: list[float], part: float) -> float:
    """Return the value below which a part of the values lies, in milliseconds."""
    return 1000 * sorted_seconds[min(len(sorted_seconds) - 1, int(len(sorted_seconds) * part))]


def run(engine: str, url: str, stage: Stage, redis_url: str, folder: Path, count: int) -> bool:
    """Load one engine, print the result, and return whether there was no error."""
    settings = environment(stage.api_url, stage.token, url, REDIS_URL=redis_url)
    service = Patient(settings, folder)
    tally = Tally()
    try:
        service.start_web()
        service.start_worker("--pool")
        service.post()
        first = service.wait_for_end(LIMIT)
        work = pile(service, count)
        with Refresher(service) as refresher:
            started, meter = time.perf_counter(), Meter()
            asyncio.run(attack(service.port, work, tally))
            wall, cost = time.perf_counter() - started, meter.read()
        last = service.wait_for_end(LIMIT)
        logs = service.logs()
    finally:
        service.end()
    report(engine, tally, wall, cost.own, len(refresher.ended))
    refreshes = [first, *refresher.ended, last]
    faults = tally.faults + [
        line for line in logs.splitlines() if any(word in line for word in TROUBLE)
    ]
    faults += [str(each) for each in refreshes if each["error_message"]]
    if sum(map(len, tally.seconds.values())) < count:
        faults.append("the time was up")
    for fault in faults[:20]:
        print(f"FAULT {fault}")
    print(f"{engine}: {len(faults)} faults")
    return not faults


def report(engine: str, tally: Tally, wall: float, cpu: float, refreshes: int) -> None:
    """Print the latencies."""
    every = {**tally.seconds, "all": [s for each in tally.seconds.values() for s in each]}
    rows: list[list[str | int]] = []
    for route, seconds in every.items():
        seconds.sort()
        parts = [f"{percentile(seconds, part):.1f}" for part in (0.5, 0.95, 0.99, 1)]
        rows.append([route, len(seconds), *parts])
    total = len(every["all"])
    print_table(
        f"{engine}: {total} requests from {CLIENTS} clients in {wall:.1f} s "
        f"({total / wall:.0f}/s), {refreshes} whole refreshes of {REPOSITORIES} repositories "
        f"meanwhile; the clients took {cpu:.1f} s of CPU",
        ["route", "requests", "p50 ms", "p95 ms", "p99 ms", "max ms"],
        rows,
    )


def main() -> None:
    """Run on both engines."""
    arguments = parser(__doc__).parse_args()
    count = 500 if arguments.quick else 10_000
    with tempfile.TemporaryDirectory(prefix="tracker-load-") as name:
        folder = Path(name)
        root = folder / "git"
        make(root, "one", commits=200, seed=1, files=40, lines=100, edits=3, suffix=".py")
        size = size_kb(root, "one")
        print(machine())
        with Stage(root) as stage, RedisServer() as redis, PostgresServer() as postgres:
            stage.add([(f"repo{number:02}", "one", size) for number in range(REPOSITORIES)])
            urls = {
                "PostgreSQL": postgres.create_database(),
                "SQLite": f"sqlite:///{folder / 'tracker.sqlite'}",
            }
            well = []
            for engine, url in urls.items():
                redis.flush()
                well.append(run(engine, url, stage, redis.url, folder / engine, count))
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
