"""The cost of an answer in the web process, compared with a bare Flask route of the same bytes.

`python -m bench.serving` fills a database with 30, 200, 1,000 and 10,000 projects, on SQLite and
on PostgreSQL, and serves it by one real gunicorn worker with the settings of `gunicorn.conf.py`.
The same gunicorn serves a Flask application with one route that returns the same bytes and does
nothing else. Both get requests by turns, in short slices, on connections that are kept open.

It prints the ratios of the bare route's cost to ours: of CPU seconds per request, which other work
on the machine hardly affects, and of requests per second. Above 1 ours is cheaper.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.common import in_process, machine, parser, print_table, say
from bench.product import environment, start
from tests.support.postgres_server import PostgresServer
from tests.support.processes import free_port

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
ORIGIN = "http://localhost:3000"
CONNECTIONS = 4
Headers = tuple[tuple[str, str], ...]

LANGUAGES = ("Python", "C", "Go", "JavaScript", "Rust")


@dataclass(frozen=True)
class Case:
    """One kind of request: its name, path and headers."""

    name: str
    path: str
    headers: Headers = ()


CASES = (
    Case("projects", "/api/projects"),
    Case("projects, gzip", "/api/projects", (("Accept-Encoding", "gzip"),)),
    Case("projects, Origin", "/api/projects", (("Origin", ORIGIN),)),
    Case("projects, 304", "/api/projects", (("If-None-Match", "ETAG"),)),
    Case("metrics", "/api/metrics"),
    Case("page", "/dashboard"),
    Case("page, gzip", "/dashboard", (("Accept-Encoding", "gzip"),)),
    Case("page, 304", "/dashboard", (("If-None-Match", "ETAG"),)),
)

FIRST_ANSWERS = ("/api/projects", "/api/metrics", "/dashboard")

BARE = """
import json
from pathlib import Path
from flask import Flask, Response
from config import read_settings

app = Flask(__name__)
app.config["SETTINGS"] = read_settings()
answers = {{}}
for file in Path({folder!r}).glob("*.answer"):
    head, _, body = file.read_bytes().partition(b"\\n")
    answers[file.stem] = (*json.loads(head), body)

@app.get("/<name>")
def answer(name):
    status, headers, body = answers[name]
    return Response(body, status, headers)
"""


def fill(settings: Mapping[str, str], count: int) -> None:
    """Put projects into an empty database, in this process."""
    app = start(settings)
    from sqlalchemy import insert

    from database.transaction import in_chunks, run_in_transaction
    from models import Project

    now = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "github_id": number + 1,
            "name": f"project-{number:05}",
            "time_spent_min": number * 977 % 4_000_000,
            "loc": number * 7919 % 90_000,
            "commit_count": number * 31 % 5_000,
            "active_days": number % 900,
            "first_commit_date": now - timedelta(days=2_000 + number),
            "last_commit_date": now - timedelta(minutes=number * 13),
            "code_churn": number * 104_729 % 900_000,
            "primary_language": LANGUAGES[number % len(LANGUAGES)],
            "repository_size_kb": float(number % 9_000),
            "languages": {LANGUAGES[number % 5]: number * 97, "Shell": number},
            "languages_loc": {LANGUAGES[number % 5]: number * 7919 % 90_000},
            "url": f"https://github.com/somebody/project-{number:05}",
            "loc_source": "cloc",
            "head_sha": f"{number:040x}",
            "measured_at": now,
        }
        for number in range(count)
    ]
    with app.app_context():
        for chunk in in_chunks(rows):
            run_in_transaction(lambda session, chunk=chunk: session.execute(insert(Project), chunk))  # type: ignore[misc]


class Connection:
    """A connection that is kept open, and answers read to their end."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._file = self._socket.makefile("rb")

    def ask(self, path: str, headers: Headers) -> tuple[int, dict[str, str], bytes]:
        """Send a GET and return status, headers and body."""
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{n}: {v}" for n, v in headers)]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        status = int(self._file.readline().split()[1])
        found: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode("latin-1").partition(": ")
            found[name.lower()] = value
        length = 0 if status == 304 else int(found.get("content-length", "0"))
        return status, found, self._file.read(length)


@dataclass
class Server:
    """A gunicorn with one worker."""

    port: int
    process: subprocess.Popen[bytes]

    def worker(self) -> int:
        """Return the process id of the worker."""
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())

    def cpu(self) -> float:
        """Return the CPU seconds that the worker has taken."""
        fields = Path(f"/proc/{self.worker()}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


@contextmanager
def serving(module: str, settings: Mapping[str, str], folder: Path, probe: str) -> Iterator[Server]:
    """Serve a WSGI application by gunicorn as the Procfile does."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), module]
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**settings, "PORT": str(port), "WEB_CONCURRENCY": "1", "PYTHONPATH": str(folder)},
            stdout=log,
            stderr=log,
        )
    server = Server(port, process)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                Connection(port).ask(probe, ())
                break
            except (OSError, IndexError):
                if time.monotonic() > deadline:
                    raise RuntimeError((folder / f"{port}.log").read_text()[-2000:]) from None
                time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@dataclass(frozen=True)
class Cost:
    """The cost of requests: the worker's CPU seconds for one, and requests per second."""

    cpu: float
    rate: float


def spend(server: Server, path: str, headers: Headers, seconds: float, status: int) -> Cost:
    """Send a request repeatedly, and return its cost."""
    connections = [Connection(server.port) for _ in range(CONNECTIONS)]
    for connection in connections:
        assert connection.ask(path, headers)[0] == status
    count, cpu, started = 0, server.cpu(), time.perf_counter()
    while time.perf_counter() - started < seconds or count < 4 * CONNECTIONS:
        for connection in connections:
            connection.ask(path, headers)
            count += 1
    wall = time.perf_counter() - started
    return Cost((server.cpu() - cpu) / count, count / wall)


def compare(
    engine: str, settings: Mapping[str, str], count: int, seconds: float
) -> list[list[str]]:
    """Measure every case for one database."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="serving-") as name:
        folder = Path(name)
        with serving("app:app", settings, folder, "/") as ours:
            cases = list(prepare(ours, folder))
            (folder / "bare.py").write_text(BARE.format(folder=str(folder)))
            with serving("bare:app", settings, folder, "/0") as bare:
                for number, (case, headers, status) in enumerate(cases):
                    slices = []
                    for _ in range(3):
                        mine = spend(ours, case.path, headers, seconds, status)
                        theirs = spend(bare, f"/{number}", headers, seconds, status)
                        slices.append((theirs.cpu / mine.cpu, mine.rate / theirs.rate, mine.cpu))
                    cpu, rate, cost = map(statistics.median, zip(*slices, strict=True))
                    rows.append(
                        [
                            engine,
                            f"{count:,}",
                            case.name,
                            f"{cpu:.2f}",
                            f"{rate:.2f}",
                            f"{cost * 1e6:.0f}",
                        ]
                    )
    return rows


def prepare(ours: Server, folder: Path) -> Iterator[tuple[Case, Headers, int]]:
    """Fetch each answer once, and store it for the bare route."""
    for number, case in enumerate(CASES):
        connection = Connection(ours.port)
        plain = [header for header in case.headers if header[1] != "ETAG"]
        etag = connection.ask(case.path, tuple(plain))[1]["etag"]
        headers = tuple((n, etag if v == "ETAG" else v) for n, v in case.headers)
        status, found, body = connection.ask(case.path, headers)
        kept = {n: v for n, v in found.items() if n not in ("server", "date", "connection")}
        head = json.dumps([status, list(kept.items())]).encode()
        (folder / f"{number}.answer").write_bytes(head + b"\n" + body)
        yield case, headers, status


def time_first_answers(settings: Mapping[str, str], rounds: int) -> dict[str, float]:
    """Return the CPU milliseconds of answers right after a write, in this process."""
    app = start(settings)
    from sqlalchemy import update

    from database.transaction import run_in_transaction
    from models import Project

    client = app.test_client()
    found: dict[str, list[float]] = {}
    with app.app_context():
        for loc in range(rounds):
            run_in_transaction(
                lambda session, loc=loc: session.execute(  # type: ignore[misc]
                    update(Project).where(Project.github_id == 1).values(loc=loc)
                )
            )
            for path in FIRST_ANSWERS:
                started = time.process_time()
                assert client.get(path).status_code == 200
                found.setdefault(path, []).append(1000 * (time.process_time() - started))
    return {path: statistics.median(times[1:]) for path, times in found.items()}


def main() -> None:
    """Measure on both engines and print the tables."""
    arguments = parser(__doc__).parse_args()
    sizes = (30, 200) if arguments.quick else (30, 200, 1_000, 10_000)
    seconds = 0.5 if arguments.quick else 3.0
    print(machine())
    rows, first = [], []
    with PostgresServer() as postgres, tempfile.TemporaryDirectory(prefix="serving-db-") as name:
        for count in sizes:
            urls = {
                "SQLite": f"sqlite:///{name}/{count}.sqlite",
                "PostgreSQL": postgres.create_database(),
            }
            for engine, url in urls.items():
                say(f"{engine}, {count} projects")
                settings = environment("https://api.github.com", "unused", url)
                in_process(fill, settings, count)
                rows += compare(engine, settings, count, seconds)
                times = in_process(time_first_answers, settings, 9)
                first.append([engine, f"{count:,}", *(f"{each:.1f}" for each in times.values())])
    print_table(
        "The bare Flask route's cost divided by ours (above 1: ours is cheaper)",
        ["engine", "projects", "request", "CPU", "rate", "our CPU, µs"],
        rows,
    )
    print_table(
        "CPU milliseconds of the first answer after a write, compressing included",
        ["engine", "projects", *FIRST_ANSWERS],
        first,
    )


if __name__ == "__main__":
    main()
