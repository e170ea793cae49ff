"""The cost of an idle process of each kind, compared with its libraries alone.

`python -m bench.startup` prints, for one process of each kind, its resident memory, its share of
what it has in common with others (PSS) and its CPU seconds: an interpreter with the six libraries
that any such service would import, one with `import app`, gunicorn's worker before and after it has
answered every GET, a worker of RQ, and its work-horse in the middle of a job.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests
from redis import Redis
from rq import Queue, Worker

from bench.common import in_process, machine, parser, print_table
from bench.product import environment, start
from bench.serving import fill
from bench.workers import running, wait_for_workers
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = "import flask, flask_sqlalchemy, flask_cors, flask_limiter, redis, rq"
WAIT = 600
GOAL = 1.15

# The values of the variable parts of the routes.
PARTS = {
    "<path:name>": ("project-00000", "all"),
    "<name>": ("project-00000",),
    "<owner>": ("somebody",),
    "<job_id>": ("no-such-refresh",),
    "<figure>": ("loc", "commits"),
    "<chart>": ("activity", "languages", "growth"),
    "<path:filename>": ("page.css",),
}


@dataclass(frozen=True)
class Taken:
    """A process's cost: resident MB, proportional MB, CPU seconds."""

    resident: float
    proportional: float
    cpu: float


def measure(pid: int) -> Taken:
    """Return a process's cost up to now."""
    process = psutil.Process(pid)
    memory, times = process.memory_full_info(), process.cpu_times()
    return Taken(memory.rss / 1e6, memory.pss / 1e6, times.user + times.system)


def measure_imports(statement: str, settings: dict[str, str]) -> Taken:
    """Run an import statement in a new interpreter and measure it."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{statement}; print(flush=True); input()"],
        cwd=ROOT,
        env=settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline(), f"{statement!r} fails"
        taken = measure(process.pid)
        process.kill()
    return taken


def compare_imports(
    statements: Sequence[str], settings: dict[str, str], rounds: int
) -> list[Taken]:
    """Return the medians of each statement, after rounds in which all take their turn."""
    taken = [[measure_imports(each, settings) for each in statements] for _ in range(rounds)]
    return [
        Taken(
            *(
                statistics.median(getattr(each, name) for each in column)
                for name in ("resident", "proportional", "cpu")
            )
        )
        for column in zip(*taken, strict=True)
    ]


def list_paths(settings: dict[str, str]) -> list[str]:
    """Return a path for each GET route, of routes with variable parts one for each value."""
    app = start(settings)
    paths: list[str] = []
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()):
            continue
        made = [rule.rule]
        for part, values in PARTS.items():
            made = [path.replace(part, value) for path in made for value in values]
        assert "<" not in made[0], f"{rule.rule}: nothing is known to ask it with"
        paths += dict.fromkeys(made)
    return paths


def measure_web(settings: dict[str, str], folder: Path) -> tuple[Taken, Taken, Taken]:
    """Measure gunicorn's parent and its only worker when ready, and the worker after every GET."""
    paths = in_process(list_paths, settings)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    web = settings | {"PORT": str(port)}
    with running(web, folder, "-m", "gunicorn", "app:app", "--pid", str(folder / "pid")):
        _wait_for(lambda: (folder / "pid").exists() and _answers(f"{url}/api/health"))
        master = psutil.Process(int((folder / "pid").read_text()))
        (worker,) = master.children()
        parent, ready = measure(master.pid), measure(worker.pid)
        with requests.Session() as session:
            for path in paths:
                answer = session.get(url + path, timeout=WAIT)
                assert answer.status_code in (200, 404), (path, answer.status_code)
        return parent, ready, measure(worker.pid)


def measure_worker(settings: dict[str, str], folder: Path, redis: Redis) -> tuple[Taken, Taken]:
    """Measure a worker that waits for jobs, and the work-horse of one."""
    with running(settings, folder, "worker.py"):
        wait_for_workers(redis, 1)
        (worker,) = Worker.all(connection=redis)
        process = psutil.Process(int(worker.pid or 0))
        waiting = measure(process.pid)
        with _sleeping_job(redis):
            _wait_for(process.children)
            (work_horse,) = process.children()
            # It has begun the job as soon as it sleeps.
            _wait_for(lambda: work_horse.status() == psutil.STATUS_SLEEPING)
            return waiting, measure(work_horse.pid)


@contextmanager
def _sleeping_job(redis: Redis) -> Iterator[None]:
    job = Queue("default", connection=redis).enqueue("time.sleep", 3, result_ttl=0)
    yield
    _wait_for(lambda: not redis.exists(job.key))


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=WAIT).ok
    except requests.ConnectionError:
        return False


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("a process does not start")
        time.sleep(0.02)


def main() -> None:
    """Read the command line and run."""
    rounds = 3 if parser(__doc__).parse_args().quick else 9
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as temporary,
        RedisServer() as redis,
        redis.client() as client,
    ):
        folder = Path(temporary)
        settings = environment(
            "http://127.0.0.1:1", "token", f"sqlite:///{folder}/tracker.sqlite", REDIS_URL=redis.url
        )
        settings["PYTHONPATH"] = os.environ.get("PYTHONPATH", str(ROOT))
        in_process(fill, settings, 30)
        libraries, imported = compare_imports((LIBRARIES, "import app"), settings, rounds)
        parent, ready, answered = measure_web(settings, folder)
        worker, work_horse = measure_worker(settings, folder, client)
    print(machine())
    print_table(
        f"Processes at rest (goal for `import app` and the worker of gunicorn: ≤ {GOAL})",
        ["process", "RSS, MB", "PSS, MB", "CPU, s", "RSS, times", "CPU, times"],
        [
            (
                name,
                taken.resident,
                taken.proportional,
                taken.cpu,
                taken.resident / libraries.resident,
                taken.cpu / libraries.cpu,
            )
            for name, taken in (
                ("the six libraries alone", libraries),
                ("import app", imported),
                ("gunicorn's parent", parent),
                ("gunicorn's worker, ready", ready),
                ("the same, every GET answered", answered),
                ("RQ's worker", worker),
                ("its work-horse", work_horse),
            )
        ],
    )


if __name__ == "__main__":
    main()
