"""Compare the refresh of new commits with a first measurement: bytes and seconds."""

from __future__ import annotations

import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.common import Meter, in_process, machine, parser, print_table, say
from bench.product import environment, refresh
from bench.repositories import long_lived, pack, size_kb
from bench.stage import Stage

NAME = "long"


@dataclass(frozen=True)
class Measured:
    """One measurement's seconds and CPU seconds, and whether it was an increment."""

    wall: float
    cpu: float
    is_increment: bool
    commits: int


def measure_once(url: str, since: str | None, search_path: str) -> Measured:
    """Measure in this process, as one repository of a refresh is measured."""
    import measure

    options = measure.Options(frozenset(), 600, 600, 2560, 2048, None, search_path)
    measure.best_counter(options)
    meter = Meter()
    figures = measure.measure(measure.Source(url), options, since)
    cost = meter.read()
    return Measured(cost.wall, cost.cpu, figures.since is not None, figures.history.commits)


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
                since = None if count is None else builder.sha(f"{head}~{count}")
                measured.append(average(stage, count, since, rounds))
            report(measured, commits)
            report_refresh(stage, builder_root=root, folder=Path(temporary))


def average(
    stage: Stage, count: int | None, since: str | None, rounds: int
) -> tuple[int | None, Measured, int]:
    """Measure some times and give the median, with the bytes of one."""
    found = []
    for _ in range(rounds):
        stage.served()
        found.append(in_process(measure_once, stage.url(NAME), since, os.environ["PATH"]))
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


def report_refresh(stage: Stage, builder_root: Path, folder: Path) -> None:
    """Print the same for a whole refresh, before and after one commit is pushed."""
    builder = long_lived(builder_root, NAME, 0)
    settings = environment(stage.api_url, stage.token, f"sqlite:///{folder}/tracker.sqlite")
    say("the first refresh")
    stage.served()
    first = in_process(refresh, settings)
    first_served = stage.served()
    before = builder.head
    pushed = []
    try:
        for number in range(3):
            say(f"push {number + 1} and refresh")
            builder.commit({"src/pushed.py": f"print({number})\n"})
            builder.published = [builder_root / f"{NAME}.git"]
            builder.push()
            stage.touch(NAME)
            stage.served()
            pushed.append((in_process(refresh, settings), stage.served()))
    finally:
        builder.reset(before)
        builder.push()
        pack(builder_root / f"{NAME}.git")
    wall = statistics.median(done.cost.wall for done, _ in pushed)
    sent = pushed[-1][1]
    print_table(
        "The whole refresh",
        ["", "seconds", "requests to git", "MB", "goal"],
        [
            ("first", first.cost.wall, first_served.git_requests, first_served.bytes / 1e6, ""),
            ("after a push of one commit", wall, sent.git_requests, sent.bytes / 1e6, ""),
            ("ratio", wall / first.cost.wall, "", sent.bytes / first_served.bytes, "≤ 0.06"),
        ],
    )


if __name__ == "__main__":
    main()
