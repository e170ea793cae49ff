"""The peak memory of the product's own process: a huge history, and many repositories."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.common import in_process, machine, parser, peak_mb, print_table, say
from bench.product import environment, refresh, start
from bench.repositories import make, pack, size_kb
from bench.stage import Stage
from tests.support.repos import RepoBuilder

LINES_OF_A_COMMIT = 1000


def idle(settings: dict[str, str]) -> float:
    """Import the product, do nothing, and return the peak in MB."""
    start(settings)
    return peak_mb()


def make_huge(root: Path, lines: int) -> None:
    """Make a repository whose `git log --numstat` has so many lines of files."""
    builder = RepoBuilder(root / "builders" / "huge")
    builder.commit({"main.py": "print(1)\n"})
    names = [f"data/folder{n // 100}/file{n}.txt" for n in range(LINES_OF_A_COMMIT)]
    for number in range(lines // LINES_OF_A_COMMIT):
        text = f"{number}\n" if number % 2 == 0 else None
        builder.commit(dict.fromkeys(names, text))
    if lines // LINES_OF_A_COMMIT % 2:
        builder.commit(dict.fromkeys(names, None))
    builder.bare(root / "huge.git")
    pack(root / "huge.git")


def main() -> None:
    """Read the command line and run."""
    arguments = parser(__doc__).parse_args()
    lines, counts = (50_000, (5, 20)) if arguments.quick else (1_000_000, (10, 100, 400))
    rows: list[tuple[str, float, str]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        say("making the repositories")
        make_huge(folder / "git", lines)
        make(folder / "git", "small", commits=10, files=5)
        with Stage(folder / "git") as stage:
            settings = environment(stage.api_url, stage.token, f"sqlite:///{folder}/idle.sqlite")
            rows.append(("imported, idle", in_process(idle, settings), ""))
            stage.add([("huge", "huge", size_kb(folder / "git", "huge"))])
            say(f"a history of {lines:,} lines")
            settings["DATABASE_URL"] = f"sqlite:///{folder}/huge.sqlite"
            done = in_process(refresh, settings)
            rows.append((f"one repository of {lines:,} numstat lines", done.peak, "< 150"))
        for count in counts:
            say(f"{count} repositories")
            with Stage(folder / "git") as stage:
                stage.add([(f"repository{number:03}", "small", 10) for number in range(count)])
                database = f"sqlite:///{folder}/{count}.sqlite"
                done = in_process(refresh, environment(stage.api_url, stage.token, database))
                rows.append((f"{done.repositories} small repositories", done.peak, "flat"))
    print(machine())
    print_table("Peak memory of our own process", ["", "MB", "goal"], rows)


if __name__ == "__main__":
    main()
