"""Time a refresh over workers, the listing of an organisation's repositories, and idle jobs."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from redis import Redis
from rq import Queue, Worker

from bench.common import Meter, Repeating, in_process, machine, parser, peak_mb, print_table, say
from bench.product import environment, refresh, start
from bench.repositories import make
from bench.stage import Stage
from tests.support.postgres_server import PostgresServer
from tests.support.processes import free_port, watchman
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[1]
LATENCY = 0.2
TIME_LIMIT = 600
PARTS = ("scale", "jobs", "listing")
ROUNDS = 3
NOTHING = ("builtins.len", ("",))
BARE = """
import sys
from redis import Redis
from rq import Queue, Worker

connection = Redis.from_url(sys.argv[1])
queues = [Queue(name, connection=connection) for name in ("default", "growth")]
Worker(queues, connection=connection).work()
"""


@dataclass(frozen=True)
class Listed:
    """The cost of listing and enqueueing: seconds, peak MB, jobs on the queue."""

    wall: float
    peak: float
    jobs: int


@contextlib.contextmanager
def running(settings: dict[str, str], folder: Path, *command: str) -> Iterator[None]:
    """Run one of the Procfile's programs meanwhile."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=settings, stdout=log, stderr=log
        )
    watchman.end_process(process.pid)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)
        watchman.forget_process(process.pid)


def wait_for_workers(redis: Redis, count: int) -> None:
    """Wait until so many workers are ready."""
    deadline = time.monotonic() + 60
    while Worker.count(connection=redis) != count:
        if time.monotonic() > deadline:
            raise RuntimeError("the workers do not start")
        time.sleep(0.05)


def queue_refresh(settings: dict[str, str]) -> float:
    """Request a refresh in this process, and return the seconds until the workers have ended it."""
    app = start(settings)
    import jobs
    from models import RefreshStatus
    from refresh import store

    with app.app_context():
        meter = Meter()
        result = jobs.request_refresh(app.config["SETTINGS"], forced=True)
        while store.find_active() is not None:
            if meter.read().wall > TIME_LIMIT:
                raise RuntimeError("the refresh does not end")
            time.sleep(0.5)  # the rows have its end; polling more often slows the workers
        ended = store.find_refresh(result.refresh.id)
        if ended is None or ended.status != RefreshStatus.COMPLETED or ended.failures:
            raise RuntimeError(f"{ended}: {ended and (ended.error_message or ended.failures)}")
        assert ended.created_at
        assert ended.completed_at
        return (ended.completed_at - ended.created_at).total_seconds()


def scale(
    stage: Stage, settings: dict[str, str], folder: Path, redis: Redis, counts: list[int]
) -> list[tuple[int, float, int, float]]:
    """Refresh everything with each number of workers: seconds, requests to git, their CPU."""
    results = []
    for count in counts:
        say(f"{count} workers")
        stage.served()
        # One repository at a time for each worker: it is workers that are compared.
        pool = settings | {"REFRESH_CONCURRENCY": str(count), "FETCH_CONCURRENCY": str(count)}
        with running(pool, folder, "worker.py", "--pool"):
            wait_for_workers(redis, count)
            seconds = in_process(queue_refresh, settings)
        served = stage.served()
        results.append((count, seconds, served.git_requests, served.cpu))
        wait_for_workers(redis, 0)
    return results


def report_scale(results: list[tuple[int, float, int, float]], repositories: int) -> None:
    """Print how the time falls with the number of workers."""
    first = results[0][1]
    print_table(
        f"{repositories} small repositories, GitHub and git answering after {LATENCY * 1000:.0f} ms"
        " (goal: 4 workers ≥ 3.50)",
        ["workers", "seconds", "times as fast", "requests to git each", "CPU seconds of servers"],
        [
            (str(count), seconds, first / seconds, asked / repositories, cpu)
            for count, seconds, asked, cpu in results
        ],
    )


def run_jobs(settings: dict[str, str], function: str, arguments: tuple[str, ...]) -> float:
    """Have a worker that is ready run many jobs, and return the milliseconds for each."""
    count = 50 if settings.get("QUICK") else 150
    with Redis.from_url(settings["REDIS_URL"]) as redis:
        queue = Queue("default", connection=redis)
        job = Queue.prepare_data(function, arguments, result_ttl=0)
        queue.enqueue_many([job])
        _drain(queue)
        meter = Meter()
        queue.enqueue_many([job] * count)
        _drain(queue)
        return meter.read().wall / count * 1000


def _drain(queue: Queue) -> None:
    while queue.count or queue.started_job_registry.get_job_count(cleanup=False):
        time.sleep(0.005)


def time_jobs(
    settings: dict[str, str], folder: Path, redis: Redis, count: int
) -> tuple[float, float, float]:
    """Return the milliseconds of a job without work: RQ's own worker, ours, a claim of nothing."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(running(settings, folder, "-c", BARE, settings["REDIS_URL"]))
        wait_for_workers(redis, count)
        bare = run_jobs(settings, *NOTHING)
    wait_for_workers(redis, 0)
    pool = settings | {"REFRESH_CONCURRENCY": str(count)}
    with running(pool, folder, "worker.py", "--pool"):
        wait_for_workers(redis, count)
        ours = run_jobs(settings, *NOTHING)
        claim = run_jobs(settings, "jobs.measure_next_async", ("no such refresh",))
    wait_for_workers(redis, 0)
    return bare, ours, claim


def report_jobs(settings: dict[str, str], folder: Path, redis: Redis) -> None:
    """Print the cost of a job without work, and the same for RQ's own worker."""
    rows = []
    for count in (1, 2):
        say(f"idle jobs, {count} workers")
        rounds = [time_jobs(settings, folder, redis, count) for _ in range(ROUNDS)]
        bare, ours, claim = map(statistics.median, zip(*rounds, strict=True))
        rows.append((f"{count}", bare, ours, ours / bare, claim))
    print_table(
        "A job with nothing to do, ms (goal: ≤ 15)",
        [
            "workers",
            "RQ's own worker, nothing imported",
            "ours",
            "times",
            "a repository's job that finds none left",
        ],
        rows,
    )


def list_and_enqueue(settings: dict[str, str]) -> Listed:
    """Do the first job of a refresh in this process."""
    app = start(settings)
    import jobs
    from refresh import queue, store

    with app.app_context():
        refresh, _ = store.open_refresh(forced=True)
        meter = Meter()
        jobs.update_project_stats_async(refresh.id)
        listed = Listed(meter.read().wall, peak_mb(), queue.count_waiting(app.config["SETTINGS"]))
        store.fail(refresh.id, "only listed")
        return listed


class Asking(Repeating):
    """A thread that requests a server's projects ten times a second, and records the delays."""

    def __init__(self, url: str) -> None:
        super().__init__(0.1)
        self.delays: list[float] = []
        self._url = url
        self._session = requests.Session()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._session.close()

    def step(self) -> None:
        """Request the projects once."""
        begun = time.perf_counter()
        self._session.get(self._url, timeout=30).raise_for_status()
        self.delays.append((time.perf_counter() - begun) * 1000)

    def quantile(self, share: float) -> float:
        """Return the delay, in ms, that this share of the answers kept within."""
        return sorted(self.delays)[int(share * (len(self.delays) - 1))]


def report_listing(
    folder: Path, postgres: PostgresServer, redis: RedisServer, count: int, projects: int
) -> None:
    """Print what it takes to list and enqueue an organisation's repositories."""
    rows: list[tuple[str, float, float, int, float, float]] = []
    for latency in (0.0, LATENCY):
        redis.flush()
        with Stage(folder / "git") as stage:
            listed = [(f"repository{number:05}", "small", 10) for number in range(projects)]
            stage.add(listed)
            settings = environment(
                stage.api_url, stage.token, postgres.create_database(), REDIS_URL=redis.url
            )
            say(f"{projects} projects to begin with")
            in_process(refresh, settings)
            stage.add([(f"more{number:05}", "small", 10) for number in range(count - projects)])
            stage.wait_before_answers(latency)
            port = free_port()
            url = f"http://127.0.0.1:{port}/api/projects"
            web = settings | {"PORT": str(port)}
            with running(web, folder, "-m", "gunicorn", "app:app"):
                _wait_for(url)
                with Asking(url) as idle:
                    time.sleep(5)
                say(f"{count} repositories, {latency * 1000:.0f} ms")
                with Asking(url) as busy:
                    done = in_process(list_and_enqueue, settings)
        medians = [asked.quantile(0.5) for asked in (idle, busy)]
        worst = [asked.quantile(0.95) for asked in (idle, busy)]
        rows.append(
            (
                f"{latency * 1000:.0f} ms",
                done.wall,
                done.peak,
                done.jobs,
                medians[1] / medians[0],
                worst[1] / worst[0],
            )
        )
        print(f"/api/projects, ms: idle {medians[0]:.1f}, meanwhile {medians[1]:.1f}")
    print_table(
        f"Listing and enqueueing {count:,} repositories (goal: < 30 s, < 200 MB, ≤ 2.00)",
        ["GitHub's latency", "seconds", "MB", "jobs", "/api/projects, median", "95 %"],
        rows,
    )


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            requests.get(url, timeout=5)
            return
        time.sleep(0.1)
    raise RuntimeError("the web process does not start")


def main() -> None:
    """Read the command line and run."""
    words = parser(__doc__)
    words.add_argument(
        "--only", choices=PARTS, action="append", help="one part; may be given more than once"
    )
    arguments = words.parse_args()
    parts = arguments.only or PARTS
    repositories, organisation, projects = (12, 1000, 10) if arguments.quick else (100, 10_000, 150)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as temporary,
        PostgresServer() as postgres,
        RedisServer() as redis,
        redis.client() as client,
    ):
        folder = Path(temporary)
        make(folder / "git", "small", commits=100, files=20)
        print(machine())
        with Stage(folder / "git", latency=LATENCY) as stage:
            stage.add([(f"repository{number:03}", "small", 10) for number in range(repositories)])
            database = postgres.create_database()
            settings = environment(stage.api_url, stage.token, database, REDIS_URL=redis.url)
            settings["PYTHONPATH"] = str(ROOT)
            if arguments.quick:
                settings["QUICK"] = "1"
            if "scale" in parts:
                counts = [1, 4] if arguments.quick else [1, 2, 4]
                report_scale(scale(stage, settings, folder, client, counts), repositories)
            if "jobs" in parts:
                report_jobs(settings, folder, client)
        if "listing" in parts:
            report_listing(folder, postgres, redis, organisation, projects)


if __name__ == "__main__":
    main()
