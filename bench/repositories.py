"""Made-up repositories for the benchmarks, the same in every run, packed as on a host."""

from __future__ import annotations

import random
from pathlib import Path

from tests.support.repos import RepoBuilder, run_git

SUFFIXES = (".py", ".js", ".c", ".go", ".rb", ".java")


def mid_sized(root: Path, count: int, scale: float = 1.0) -> list[tuple[str, str, int]]:
    """Make repositories that take about 0.5 to 3 seconds each to clone, count and read.

    Returns each one's name, bare repository, and GitHub's size in KB.
    """
    chance = random.Random(24)
    listed = []
    for number in range(count):
        name = f"mid{number:02}"
        weight = 0.3 + 1.7 * chance.random() ** 2
        make(
            root,
            name,
            commits=max(1, int(1500 * weight * scale)),
            seed=number + 1,
            files=max(2, int(300 * weight * scale)),
            lines=150,
            edits=4,
            suffix=SUFFIXES[number % len(SUFFIXES)],
        )
        listed.append((name, name, size_kb(root, name)))
    return listed


def make(root: Path, name: str, *, commits: int, **shape: int | str) -> RepoBuilder:
    """Make one repository, unless it is there, and publish it as a bare one below the root."""
    bare = root / f"{name}.git"
    there = bare.exists()
    builder = RepoBuilder(root / "builders" / name)
    if not there:
        builder.bulk(commits, **shape)  # type: ignore[arg-type]
        builder.bare(bare)
        pack(bare)
    return builder


def long_lived(root: Path, name: str, commits: int) -> RepoBuilder:
    """Make a repository like those that have been worked on for years.

    Half of its commits are to a few large files, as is usual: with git's own tools a commit then
    takes about as long to read as one of redis/redis.
    """
    bare = root / f"{name}.git"
    there = bare.exists()
    builder = RepoBuilder(root / "builders" / name)
    if not there:
        builder.bulk(commits // 2, seed=1, files=300, lines=120, edits=3, folder="src")
        large = {"files": 12, "lines": 3000, "edits": 2, "folder": "core", "suffix": ".c"}
        builder.bulk(commits - commits // 2, seed=2, **large)  # type: ignore[arg-type]
        builder.bare(bare)
        pack(bare)
    return builder


def pack(bare: Path) -> None:
    """Pack a repository as a host does, so that serving it costs little."""
    run_git(bare, "repack", "-a", "-d", "-q", "--write-bitmap-index")
    run_git(bare, "config", "uploadpack.allowFilter", "true")


def size_kb(root: Path, name: str) -> int:
    """Return what a bare repository takes on the disk, in KB."""
    objects = root / f"{name}.git" / "objects"
    return sum(file.stat().st_size for file in objects.rglob("*") if file.is_file()) // 1024
