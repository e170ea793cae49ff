"""Time the first refresh of many mid-sized repositories.

Compared with the obvious script, which clones, counts and reads one repository after another, and
with the floor: the CPU seconds of git and cloc, divided by the cores.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.common import Cost, Meter, in_process, machine, parser, print_table, say
from bench.product import Refreshed, environment, refresh
from bench.repositories import mid_sized, size_kb
from bench.stage import Stage

Figures = dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Run:
    """One way's cost, and the CPU seconds that the servers spent on it."""

    cost: Cost
    served: float
    figures: Figures


def run_script(folder: Path, urls: dict[str, str]) -> tuple[Cost, Figures]:
    """Run the obvious script: clone, count and read each repository, and sum the output."""
    meter = Meter()
    figures = {}
    for name, url in urls.items():
        clone = folder / name
        subprocess.run(["git", "clone", "--quiet", url, str(clone)], check=True)
        table = _output(clone, "cloc", "--csv", "--quiet", "--timeout", "0", ".")
        log = _output(clone, "git", "log", "--numstat", "--format=commit %ct")
        figures[name] = _add_up(log, table)
        shutil.rmtree(clone)
    return meter.read(), figures


def _output(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


def _add_up(log: str, table: str) -> tuple[int, int, int]:
    commits = churn = 0
    for line in log.splitlines():
        if line.startswith("commit "):
            commits += 1
        elif line and line[0].isdigit():
            added, deleted, _ = line.split("\t", 2)
            churn += int(added) + int(deleted)
    sums = [line for line in table.splitlines() if ",SUM," in line]
    return commits, churn, int(sums[0].rpartition(",")[2]) if sums else 0


def compare(stage: Stage, names: list[str], folder: Path, rounds: int) -> list[tuple[Run, Run]]:
    """Run the script and the product in turn."""
    pairs = []
    for number in range(rounds):
        stage.served()
        say(f"round {number + 1}: the script")
        scratch = folder / f"script{number}"
        scratch.mkdir()
        cost, figures = in_process(run_script, scratch, {name: stage.url(name) for name in names})
        script = Run(cost, stage.served().cpu, figures)
        say(f"round {number + 1}: the refresh")
        database = f"sqlite:///{folder / f'refresh{number}.sqlite'}"
        done: Refreshed = in_process(refresh, environment(stage.api_url, stage.token, database))
        ours = Run(done.cost, stage.served().cpu, done.figures)
        if ours.figures != script.figures:
            wrong = sorted(k for k in names if ours.figures.get(k) != script.figures[k])
            raise RuntimeError(f"the figures differ: {', '.join(wrong)}")
        pairs.append((script, ours))
    return pairs


def report(pairs: list[tuple[Run, Run]], repositories: int) -> None:
    """Print the seconds and the ratios, of the median round."""
    pairs = sorted(pairs, key=lambda pair: pair[1].cost.wall / pair[0].cost.wall)
    script, ours = pairs[(len(pairs) - 1) // 2]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print_table(
        f"First refresh of {repositories} repositories, seconds (median of {len(pairs)} rounds)",
        ["", "clock", "git and cloc", "Python", "servers"],
        [
            (name, run.cost.wall, run.cost.children, run.cost.own, run.served)
            for name, run in (("the obvious script", script), ("refresh", ours))
        ],
    )
    floors = {
        "floor: the script's git, cloc and servers / cores": script,
        "floor: the refresh's git, cloc and servers / cores": ours,
    }
    rows: list[tuple[str, float, float, str]] = [
        (
            "the script / refresh",
            script.cost.wall,
            statistics.median(a.cost.wall / b.cost.wall for a, b in pairs),
            "≥ 1.80",
        )
    ]
    for name, run in floors.items():
        floor = (run.cost.children + run.served) / (cores or 1)
        rows.append((name, floor, ours.cost.wall / floor, "≤ 1.10"))
    print_table("Ratios", ["against", "seconds", "ratio", "goal"], rows)


def given(root: Path, paths: list[Path]) -> list[tuple[str, str, int]]:
    """Serve existing repositories."""
    root.mkdir(parents=True)
    listed = []
    for path in paths:
        name = path.resolve().name.removesuffix(".git")
        bare = root / f"{name}.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", str(path), str(bare)], check=True)
        listed.append((name, name, size_kb(root, name)))
    return listed


def main() -> None:
    """Read the command line and run."""
    words = parser(__doc__)
    words.add_argument("paths", nargs="*", type=Path, help="repositories to use instead")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--keep", type=Path, help="a folder to keep the made-up repositories in")
    arguments = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        root = (arguments.keep or folder) / ("quick" if arguments.quick else "full")
        say("making the repositories")
        if arguments.paths:
            listed = given(root, arguments.paths)
        else:
            listed = mid_sized(root, *((6, 0.3) if arguments.quick else (24, 1.0)))
        with Stage(root) as stage:
            stage.add(listed)
            names = [name for name, _, _ in listed]
            pairs = compare(stage, names, folder, 1 if arguments.quick else arguments.rounds)
    print(machine())
    report(pairs, len(listed))


if __name__ == "__main__":
    main()
