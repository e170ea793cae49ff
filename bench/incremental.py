"""Compare the refresh of new commits with a first measurement: bytes and seconds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.common import Cost, Meter, in_process, machine, parser, print_table, say
from bench.product import environment, grow, refresh
from bench.repositories import long_lived, pack, size_kb
from bench.stage import Served, Stage
from tests.support.repos import run_git

if TYPE_CHECKING:
    from measure import Options

NAME = "long"
BEFORE = "before"
"""The branch of the commit that was measured last, for as long as its files are counted."""


@dataclass(frozen=True)
class Measured:
    """One measurement's seconds and CPU seconds, and whether it was an increment."""

    wall: float
    cpu: float
    is_increment: bool
    commits: int


def count_files(url: str, branch: str, search_path: str) -> bytes | None:
    """Return the counts of a branch's files, which a refresh stores for the next one."""
    import measure

    return measure.measure(measure.Source(url, branch=branch), _options(search_path)).file_counts


def measure_once(
    url: str, since: str | None, file_counts: bytes | None, search_path: str
) -> Measured:
    """Measure in this process, as one repository of a refresh is measured."""
    import measure

    options = _options(search_path)
    measure.warm_up(options)
    meter = Meter()
    figures = measure.measure(measure.Source(url), options, since, file_counts)
    cost = meter.read()
    return Measured(cost.wall, cost.cpu, figures.since is not None, figures.history.commits)


def _options(search_path: str) -> Options:
    from measure import Options

    return Options(frozenset(), 600, 600, 2560, 2048, None, search_path)


def main() -> None:
    """Read the command line and run."""
    words = parser(__doc__)
    words.add_argument("--commits", type=int, default=12_000)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--keep", type=Path, help="a folder to keep the made-up repository in")
    arguments = words.parse_args()
    commits, rounds = (1500, 1) if arguments.quick else (arguments.commits, arguments.rounds)
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        root = (arguments.keep or Path(temporary)) / f"history{commits}"
        say("making the repository")
        builder = long_lived(root, NAME, commits)
        with Stage(root) as stage:
            stage.add([(NAME, NAME, size_kb(root, NAME))])
            print(machine())
            head = builder.sha("HEAD")
            steps = [n for n in (1, 20, 200, 500, 1000, 2000, 5000) if n <= commits // 2]
            measured = []
            for count in (None, *steps):
                say(f"{count or 'all'} commits")
                since, counts = None, None
                if count is not None:
                    since = builder.sha(f"{head}~{count}")
                    run_git(root / f"{NAME}.git", "branch", BEFORE, since)
                    counts = in_process(count_files, stage.url(NAME), BEFORE, os.environ["PATH"])
                    run_git(root / f"{NAME}.git", "branch", "-D", BEFORE)
                measured.append(average(stage, count, since, counts, rounds))
            report(measured, commits)
            report_refresh(stage, builder_root=root, folder=Path(temporary))


def average(
    stage: Stage, count: int | None, since: str | None, counts: bytes | None, rounds: int
) -> tuple[int | None, Measured, int]:
    """Measure some times and give the median, with the bytes of one."""
    found = []
    for _ in range(rounds):
        stage.served()
        found.append(in_process(measure_once, stage.url(NAME), since, counts, os.environ["PATH"]))
        sent = stage.served().bytes
    found.sort(key=lambda each: each.wall)
    return count, found[len(found) // 2], sent


def report(measured: list[tuple[int | None, Measured, int]], commits: int) -> None:
    """Print each measurement with its ratio to the first one, which reads everything."""
    _, full, full_bytes = measured[0]
    rows = [
        (
            f"{count:,} new" if count else "all, the first time",
            "increment" if each.is_increment else "everything",
            each.wall,
            each.wall / full.wall,
            each.cpu / full.cpu,
            sent / 1e6,
            sent / full_bytes,
        )
        for count, each, sent in measured
    ]
    print_table(
        f"One repository of {commits:,} commits, measured (goal: 1 new ≤ 0.20 of both)",
        ["commits", "read", "seconds", "ratio", "CPU ratio", "MB", "ratio of bytes"],
        rows,
    )


@dataclass(frozen=True)
class Step:
    """The cost of a refresh or of the growth after it, and the work of the servers."""

    cost: Cost
    served: Served


def report_refresh(stage: Stage, builder_root: Path, folder: Path) -> None:
    """Print the same for a whole refresh and for growth, before and after one commit is pushed."""
    builder = long_lived(builder_root, NAME, 0)
    database = f"sqlite:///{folder}/tracker.sqlite"
    settings = environment(stage.api_url, stage.token, database, GROWTH="month")
    say("the first refresh")
    first = refresh_and_grow(stage, settings)
    before = builder.head
    pushes = []
    try:
        for number in range(3):
            say(f"push {number + 1} and refresh")
            now = datetime.now(UTC)
            builder.commit({"src/pushed.py": f"print({number})\n"}, when=now)
            builder.published = [builder_root / f"{NAME}.git"]
            builder.push()
            stage.touch(NAME)
            pushes.append(refresh_and_grow(stage, settings))
    finally:
        builder.reset(before)
        builder.push()
        pack(builder_root / f"{NAME}.git")
    refreshed, grown = (sorted(each, key=_seconds)[1] for each in zip(*pushes, strict=True))
    headers = ["", "seconds", "programs started", "requests to git", "MB"]
    goal = "goal: at most 0.06 of the first one's seconds"
    print_table(
        f"The whole refresh after a push of one commit ({goal})",
        headers,
        _compare(first[0], refreshed),
    )
    print_table("Growth behind it", headers, _compare(first[1], grown))


def refresh_and_grow(stage: Stage, settings: Mapping[str, str]) -> tuple[Step, Step]:
    """Refresh, and measure the growth that is missing afterwards."""
    stage.served()
    refreshed = Step(in_process(refresh, settings).cost, stage.served())
    return refreshed, Step(in_process(grow, settings), stage.served())


def _seconds(step: Step) -> float:
    return step.cost.wall


def _compare(first: Step, pushed: Step) -> list[tuple[str | float | int, ...]]:
    before, now = _figures(first), _figures(pushed)
    ratios = (later / earlier for earlier, later in zip(before, now, strict=True))
    return [("first", *before), ("after a push", *now), ("ratio", *ratios)]


def _figures(step: Step) -> tuple[float, int, int, float]:
    cost, served = step.cost, step.served
    return cost.wall, cost.programs, served.git_requests, served.bytes / 1e6


if __name__ == "__main__":
    main()
