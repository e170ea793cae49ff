"""Time a refresh of an account in which nothing has changed, against the listing alone."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.common import Meter, in_process, machine, parser, print_table, say
from bench.product import environment, refresh, refresh_again, start
from bench.repositories import make
from bench.stage import Served, Stage
from tests.support.postgres_server import PostgresServer

# GitHub itself takes longer for a page; without a delay only loopback is timed.
LATENCIES = (0.0, 0.05, 0.2)


@dataclass(frozen=True)
class Times:
    """The seconds of listings and refreshes, run by turns in one process."""

    listings: list[float]
    refreshes: list[float]


def take_turns(settings: dict[str, str], rounds: int) -> Times:
    """List and refresh in turn in one process, as a server does day by day."""
    app = start(settings)
    import github_api

    times = Times([], [])
    with app.app_context():
        for _ in range(rounds + 1):
            meter = Meter()
            github = github_api.connect(app.config["SETTINGS"])
            github.fetch_repositories()
            github.close()
            times.listings.append(meter.read().wall)
            times.refreshes.append(refresh_again(app).cost.wall)
    return times


def run(
    stage: Stage, settings: dict[str, str], rounds: int
) -> tuple[Served, list[tuple[float, Times]]]:
    """Refresh for the first time, once more to count requests, then often to time it."""
    in_process(refresh, settings)
    stage.served()
    in_process(refresh, settings)
    served = stage.served()
    timed = []
    for latency in LATENCIES:
        stage.wait_before_answers(latency)
        timed.append((latency, in_process(take_turns, settings, rounds)))
    stage.wait_before_answers(0)
    return served, timed


def report(
    engine: str, repositories: int, served: Served, timed: list[tuple[float, Times]]
) -> None:
    """Print the requests and the time of an unchanged refresh."""
    print_table(
        f"Unchanged refresh of {repositories} repositories, {engine}",
        ["", "measured", "goal"],
        [
            ("API calls", served.calls, "≤ 3"),
            ("clones", served.fetches, "0"),
            ("requests to git", served.git_requests, "0"),
        ],
    )
    rows = []
    for latency, times in timed:
        listing = statistics.median(times.listings[1:])
        refreshing = statistics.median(times.refreshes[1:])
        rows.append(
            (
                f"{latency * 1000:.0f} ms",
                round(listing * 1000, 1),
                round(refreshing * 1000, 1),
                refreshing / listing,
                round(times.refreshes[0] * 1000, 1),
            )
        )
    print_table(
        f"The same by the clock, {engine} (goal: ratio ≤ 1.50)",
        ["GitHub's latency", "listing alone, ms", "refresh, ms", "ratio", "first of a process, ms"],
        rows,
    )


def main() -> None:
    """Read the command line and run."""
    words = parser(__doc__)
    words.add_argument("--repositories", type=int, default=150)
    words.add_argument("--rounds", type=int, default=30)
    arguments = words.parse_args()
    count, rounds = (20, 5) if arguments.quick else (arguments.repositories, arguments.rounds)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as temporary,
        Stage(Path(temporary) / "git") as stage,
        PostgresServer() as postgres,
    ):
        make(Path(temporary) / "git", "small", commits=10, files=5)
        stage.add([(f"repository{number:03}", "small", 10) for number in range(count)])
        print(machine())
        for engine, url in (
            ("SQLite", f"sqlite:///{temporary}/tracker.sqlite"),
            ("PostgreSQL", postgres.create_database()),
        ):
            say(f"{engine}: the first refresh, and those after it")
            settings = environment(stage.api_url, stage.token, url)
            report(engine, count, *run(stage, settings, rounds))


if __name__ == "__main__":
    main()
