"""Time cloc on trees of several sizes, started anew for each count and preloaded."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.common import Meter, machine, parser, print_table, say
from cancel import CancelScope
from measure import Options, PreloadedCloc
from measure.cloc import Table, find_cloc
from measure.cloc_server.preloaded import find_server

SIZES = (1, 20, 300, 3000)
LINES = 150


def options() -> Options:
    """Return options under which the first cloc on the PATH counts."""
    return Options(
        exclude_dirs=frozenset(),
        clone_timeout=60,
        measure_timeout=60,
        memory_mb=2560,
        max_repo_mb=2048,
        cloc_path=None,
        search_path=os.environ["PATH"],
    )


def grow(tree: Path, files: int) -> None:
    """Write so many different files of Python."""
    tree.mkdir()
    for number in range(files):
        lines = (f"value_{number}_{line} = {line}\n" for line in range(LINES))
        (tree / f"module{number}.py").write_text("".join(lines))


def take_turns(tree: Path, scratch: Path, rounds: int) -> tuple[float, float]:
    """Count both ways in turn, and return the median seconds of each."""
    cloc = find_cloc(None, os.environ["PATH"])
    server = find_server(cloc)
    if server is None:
        raise RuntimeError("this cloc cannot be preloaded")
    ways: list[Callable[[], Table]] = [
        lambda: cloc.count(tree, scratch, 60, options().memory_mb, CancelScope()),
        lambda: cloc.count(tree, scratch, 60, options().memory_mb, CancelScope(), server),
    ]
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds):
        tables = []
        for way, times in zip(ways, seconds, strict=True):
            meter = Meter()
            tables.append(way())
            times.append(meter.read().wall)
        if tables[0] != tables[1]:
            raise RuntimeError(f"the counts differ: {tables}")
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def main() -> None:
    """Read the command line and run."""
    words = parser(__doc__)
    words.add_argument("--rounds", type=int, default=20)
    arguments = words.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary, PreloadedCloc(options()):
        scratch = Path(temporary) / "scratch"
        scratch.mkdir()
        for files in SIZES[:2] if arguments.quick else SIZES:
            say(f"{files} files")
            tree = Path(temporary) / f"tree{files}"
            grow(tree, files)
            anew, ready = take_turns(tree, scratch, 5 if arguments.quick else arguments.rounds)
            rows.append((f"{files:,}", anew * 1000, ready * 1000, anew / ready))
    print(machine())
    print_table(
        f"A count of files with {LINES} lines each, ms",
        ["files", "cloc started anew", "cloc preloaded", "times as fast"],
        rows,
    )


if __name__ == "__main__":
    main()
