"""The oracle: a repository's figures from git's and cloc's plain output, read line by line."""

from __future__ import annotations

import codecs
import csv
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from tests.support.repos import git_environment

BOT = r"\[bot\]"
# Of the names of lock files and minified files, those that the tests give.
GENERATED_NAME = re.compile(r"(^|/)(package-lock\.json|yarn\.lock|[^/]*[.-]min\.(js|css))$")


@dataclass(frozen=True)
class Truth:
    """A repository's figures; `days` maps a UTC day to its commits, additions and deletions.

    `loc` is None where cloc is not installed or not run.
    """

    commits: int
    additions: int
    deletions: int
    first: datetime | None
    last: datetime | None
    days: dict[date, tuple[int, int, int]]
    loc: int | None


def ask(
    url: str,
    folder: Path,
    exclude_dirs: Iterable[str] = (),
    *,
    count: bool = True,
    authors: Sequence[str] | None = None,
    generated: bool = True,
) -> Truth:
    """Clone a repository below `folder` and return its figures.

    `generated` is whether generated files count, too. `authors` are patterns of
    `git log --author`: only commits that one of them finds are looked at, those of bots apart.
    """
    clone = folder / "plain-clone"
    shutil.rmtree(clone, ignore_errors=True)
    _run(["git", "clone", "--quiet", url, str(clone)], folder)
    excluded = set(exclude_dirs)
    days: dict[date, Counter[str]] = {}
    total: Counter[str] = Counter()
    stamps = []
    chosen = None if authors is None else _by(clone, authors) - _by(clone, [BOT])
    commits = list(_commits(clone))
    left_out: set[str] = set()
    if not generated:
        left_out = find_generated(clone, (_path(line) for *_, lines in commits for line in lines))
    for commit, stamp, lines in commits:
        if chosen is not None and commit not in chosen:
            continue
        counts = Counter(_lines(lines, excluded, left_out))
        counts["commits"] = 1
        total += counts
        if stamp is not None:
            stamps.append(stamp)
            days.setdefault(stamp.date(), Counter()).update(counts)
    if authors is None:
        assert total["commits"] == int(_run(["git", "rev-list", "--count", "HEAD"], clone))
    if not generated:
        remove_generated(clone)
    truth = Truth(
        commits=total["commits"],
        additions=total["additions"],
        deletions=total["deletions"],
        first=min(stamps, default=None),
        last=max(stamps, default=None),
        days={
            day: (c["commits"], c["additions"], c["deletions"]) for day, c in sorted(days.items())
        },
        loc=_loc(clone, excluded) if count and shutil.which("cloc") else None,
    )
    shutil.rmtree(clone)
    return truth


def count_bots(url: str, folder: Path) -> int:
    """Clone a repository and count what `git log --author` finds of bots."""
    clone = folder / "plain-clone"
    _run(["git", "clone", "--quiet", url, str(clone)], folder)
    found = len(_by(clone, [BOT]))
    shutil.rmtree(clone)
    return found


def _by(clone: Path, authors: Sequence[str]) -> set[str]:
    options = [f"--author={author}" for author in authors]
    log = _run(["git", "log", "-i", "-E", "--format=%H", *options], clone) if authors else b""
    return set(log.decode().split())


def _commits(clone: Path) -> Iterator[tuple[str, datetime | None, list[str]]]:
    # Names are quoted as git quotes them: no name holds a line feed or a tab, and no line of a
    # name can look like a commit's.
    log = _run(["git", "log", "--numstat", "--format=commit %H %ct"], clone).decode()
    commit = ""
    stamp: datetime | None = None
    lines: list[str] | None = None
    for line in log.splitlines():
        if match := re.fullmatch(r"commit ([0-9a-f]{40}) (\d*)", line):
            if lines is not None:
                yield commit, stamp, lines
            commit, stamp, lines = match[1], _timestamp(match[2]), []
        elif line:
            assert lines is not None
            lines.append(line)
    if lines is not None:
        yield commit, stamp, lines


def _timestamp(digits: str) -> datetime | None:
    if not digits:
        return None
    end_of_time = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    try:
        return datetime.fromtimestamp(int(digits), UTC)
    except (ValueError, OverflowError, OSError):
        return end_of_time


def find_generated(clone: Path, paths: Iterable[str]) -> set[str]:
    """Return those of some paths that are vendored, generated, lock files or minified.

    Attributes are those of the work tree.
    """
    asked = sorted(set(paths))
    check = ["git", "check-attr", "linguist-vendored", "linguist-generated", "--", *asked]
    lines = _run(check, clone).splitlines() if asked else []
    values = [line.rsplit(b": ", 1)[1] for line in lines]
    found = set()
    for path, *said in zip(asked, values[::2], values[1::2], strict=True):
        yes = any(value not in (b"unspecified", b"unset", b"false") for value in said)
        no = not yes and said != [b"unspecified", b"unspecified"]
        if yes or (not no and GENERATED_NAME.search(path)):
            found.add(path)
    return found


def remove_generated(clone: Path) -> int:
    """Delete generated files from a checkout, and return how many there were."""
    there = [path for path in clone.rglob("*") if path.is_symlink() or path.is_file()]
    paths = [str(path.relative_to(clone)) for path in there]
    found = find_generated(clone, (path for path in paths if not path.startswith(".git/")))
    for path in found:
        (clone / path).unlink()
    return len(found)


def _path(line: str) -> str:
    """Return the new name that a line of --numstat holds, as it is."""
    name = line.split("\t")[2]
    if " => " in name and not name.endswith('"'):
        return _new_name(name)
    last = name.split(" => ")[-1]
    if not last.startswith('"'):
        return last
    return os.fsdecode(codecs.escape_decode(last[1:-1])[0])


def _lines(lines: Iterable[str], excluded: set[str], left_out: set[str]) -> dict[str, int]:
    additions = deletions = 0
    for line in lines:
        added, deleted, path = line.split("\t")
        if added == "-" or _path(line) in left_out:
            continue
        if not excluded.intersection(_new_name(path).split("/")[:-1]):
            additions += int(added)
            deletions += int(deleted)
    return {"additions": additions, "deletions": deletions}


def _new_name(path: str) -> str:
    """Return where a file went, from `old => new` or `a/{b => c}/d`."""
    if match := re.fullmatch(r"(.*)\{.* => (.*)\}(.*)", path):
        return (match[1] + match[2] + match[3]).replace("//", "/")
    return path.split(" => ")[-1].strip('"')


def _loc(clone: Path, excluded: set[str]) -> int:
    command = ["cloc", "--csv", "--timeout", "0", "."]
    if excluded:
        command.insert(1, f"--exclude-dir={','.join(sorted(excluded))}")
    for line in _run(command, clone).decode(errors="replace").splitlines():
        row = next(csv.reader([line]), [])
        if row[1:2] == ["SUM"]:
            return int(row[4])
    return 0


def _run(command: list[str], folder: Path) -> bytes:
    env = git_environment() | {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True)
    if done.returncode and command[0] == "git":
        raise RuntimeError(f"{command}: {done.stderr.decode(errors='replace')}")
    return done.stdout
