"""Compare the growth of repositories with a checkout and a cloc of every month, and time both."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from bench.common import machine, parser, print_table, say
from bench.repositories import long_lived
from config import EXCLUDED
from measure import Options, Source, blobs
from measure.checkout import check_out, list_files
from measure.cloc import find_cloc
from measure.fetch import fetch_commits
from measure.git import Git
from measure.growth import Snapshot, measure_growth
from measure.workspace import remove, temporary_workspace

HOURS = 24 * 3600
LARGE = 1 << 15  # MB


@dataclass(frozen=True)
class Comparison:
    """The results of both ways for a repository."""

    name: str
    months: int
    commits: int
    files: int
    ours: float
    theirs: float
    compared: int
    differ: list[str]


def options() -> Options:
    """Return the product's own options, without its limits of time."""
    folders = frozenset(EXCLUDED.split(","))
    return Options(folders, HOURS, HOURS, LARGE, LARGE, None, os.environ["PATH"])


def compare(name: str, path: Path, every: int) -> Comparison:
    """Measure a repository's growth, then check out and count every nth of its commits."""
    counted = 0
    count_blobs = blobs.count_blobs

    def counting(*arguments):
        nonlocal counted
        for counts in count_blobs(*arguments):
            counted += len(counts)
            yield counts

    with mock.patch("measure.growth.count_blobs", counting):
        begun = time.monotonic()
        snapshots = list(measure_growth(Source(str(path)), options()))
        ours = time.monotonic() - begun
    commits = {snapshot.commit: snapshot for snapshot in snapshots}
    sample = list(commits.values())[::-1][::every]
    begun = time.monotonic()
    differ = differences(path, sample)
    theirs = (time.monotonic() - begun) * len(commits) / len(sample)
    return Comparison(
        name, len(snapshots), len(commits), counted, ours, theirs, len(sample), differ
    )


def differences(path: Path, snapshots: list[Snapshot]) -> list[str]:
    """Return the periods whose commit cloc counts differently in a checkout."""
    found = []
    cloc = find_cloc(None, os.environ["PATH"])
    with temporary_workspace() as folder:
        git = Git(Source(str(path)), options(), folder)
        fetch_commits(git, None)
        for snapshot in snapshots:
            check_out(git, list_files(git, snapshot.commit, git.options.exclude_dirs))
            table = cloc.count(git.tree, folder, HOURS, LARGE, git.scope)
            remove(git.tree)
            if table.languages != snapshot.languages:
                found.append(snapshot.period)
                say(f"{snapshot.period}: {snapshot.languages}, cloc: {table.languages}")
    return found


def main() -> None:
    """Read the command line and run."""
    words = parser(__doc__)
    words.add_argument("repository", type=Path, nargs="*", help="local repositories; none: made up")
    words.add_argument(
        "--every", type=int, default=1, metavar="N", help="check each Nth month only"
    )
    arguments = words.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        paths = arguments.repository
        if not paths:
            say("making the repository")
            long_lived(Path(temporary), "long", 500 if arguments.quick else 12_000)
            paths = [Path(temporary) / "long.git"]
        for path in paths:
            name = path.name if path.name not in (".git", "repo") else path.parent.name
            say(name)
            done = compare(name, path, arguments.every)
            rows.append(
                (
                    done.name,
                    f"{done.months:,}",
                    f"{done.commits:,}",
                    f"{done.files:,}",
                    done.ours,
                    done.theirs,
                    f"{len(done.differ)} of {done.compared}",
                )
            )
    print(machine())
    print_table(
        "Code lines of each month's last commit (goal: none differs)",
        ["repository", "months", "commits", "files counted", "s", "s, cloc for each", "differ"],
        rows,
    )


if __name__ == "__main__":
    main()
