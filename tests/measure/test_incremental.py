"""Figures kept over increments equal those of a fresh full clone, whatever happens between."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from measure import Figures, Options, Source, fetch, measure
from measure.figures import Advance
from tests.support.git_server import GitServer
from tests.support.measuring import found, options, write_stub_cloc
from tests.support.oracle import Truth, ask
from tests.support.random_author import MODULES, YEAR_2020, Author, VendoringAuthor
from tests.support.repos import Entry, RepoBuilder

HISTORIES = 200
CHUNKS = 40
# The others are left to `make test-all`.
BY_DEFAULT = 1
# Counted twice when new commits were told by git's walk, which ends by date.
COUNTED_TWICE = (12, 31, 36)


class Sums:
    """Keep sums over increments, as the database does."""

    def __init__(self) -> None:
        self.truth: Truth | None = None
        self.head: str | None = None

    def take(self, figures: Figures) -> None:
        new = replace(found(figures), loc=None)
        if figures.since is not None:
            assert figures.since == self.head
            assert self.truth is not None
            new = _added(self.truth, new)
        self.truth, self.head = new, figures.head_sha


def _added(old: Truth, new: Truth) -> Truth:
    days: dict[date, tuple[int, int, int]] = dict(old.days)
    for day, sums in new.days.items():
        before = days.get(day, (0, 0, 0))
        days[day] = (before[0] + sums[0], before[1] + sums[1], before[2] + sums[2])
    stamps: list[datetime] = [s for s in (old.first, new.first, old.last, new.last) if s]
    return Truth(
        commits=old.commits + new.commits,
        additions=old.additions + new.additions,
        deletions=old.deletions + new.deletions,
        first=min(stamps, default=None),
        last=max(stamps, default=None),
        days=dict(sorted(days.items())),
        loc=None,
    )


@pytest.fixture
def without_count(tmp_path: Path) -> Options:
    """Options under which counting costs nothing, since only the history is looked at."""
    return options(tmp_path / "scratch", cloc_path=write_stub_cloc(tmp_path))


def follow(
    seed: int,
    folder: Path,
    server: GitServer,
    chosen: Options,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Author] = Author,
) -> int:
    """Compare what is kept of a random history with git, and return how many increments it had."""
    chance = random.Random(seed)
    # Small windows, so that small histories have shallow boundaries.
    monkeypatch.setattr(fetch, "DEPTHS", chance.choice([(2, 5), (4, 12), (7, 9), (64, 1024)]))
    excluded = frozenset(chance.choice([[], ["dist", "build"]]))
    author = kind(RepoBuilder(folder / f"source-{seed}"), chance)
    url = author.repo.publish(server, f"r{seed}")
    sums = Sums()
    increments = 0
    for _ in range(3):
        figures = measure(Source(url), replace(chosen, exclude_dirs=excluded), sums.head)
        increments += figures.since is not None
        if figures.advance is not None:
            assert figures.advance == find_advance(author.repo, figures)
        sums.take(figures)
        path = str(server.path(f"r{seed}"))
        generated = not chosen.exclude_generated
        truth = ask(path, folder, excluded, count=False, generated=generated)
        assert sums.truth == truth, f"seed {seed}"
        author.work()
        author.repo.push()
    return increments


def find_advance(repo: RepoBuilder, figures: Figures) -> Advance | None:
    """Ask git for the first parents between two heads."""
    lines = repo.git("log", "--first-parent", "--format=%H %ct", figures.head_sha).decode().split()
    names, dates = lines[::2], list(map(int, lines[1::2]))
    if figures.since not in names:
        return None
    between = names.index(figures.since)
    return Advance(min(dates[:between], default=None), dates[between])


@pytest.mark.parametrize(
    "chunk",
    [pytest.param(n, marks=pytest.mark.long if n >= BY_DEFAULT else ()) for n in range(CHUNKS)],
)
def test_random_histories(chunk, tmp_path: Path, git_server: GitServer, without_count, monkeypatch):
    seeds = [chunk * 1000 + number for number in range(HISTORIES // CHUNKS)]
    assert sum(follow(s, tmp_path, git_server, without_count, monkeypatch) for s in seeds)


@pytest.mark.parametrize(
    "chunk",
    [pytest.param(n, marks=pytest.mark.long if n >= BY_DEFAULT else ()) for n in range(CHUNKS)],
)
def test_random_histories_without_generated_files(
    chunk, tmp_path: Path, git_server: GitServer, without_count, monkeypatch
):
    chosen = replace(without_count, exclude_generated=True)
    # Three, of which some have an increment: attributes that change mean that all is read again.
    seeds = [chunk * 1000 + number for number in range(3)]
    assert sum(follow(s, tmp_path, git_server, chosen, monkeypatch, VendoringAuthor) for s in seeds)


@pytest.mark.parametrize("seed", COUNTED_TWICE)
def test_random_histories_that_were_counted_twice(
    seed, tmp_path: Path, git_server: GitServer, without_count, monkeypatch
):
    assert follow(seed, tmp_path, git_server, without_count, monkeypatch)


def check(author: RepoBuilder, folder: Path, chosen: Options, change: Callable[[], None]) -> bool:
    """Measure before and after a change, compare with git, and tell whether it was an increment."""
    source = Source(str(author.path))
    sums = Sums()
    sums.take(measure(source, chosen))
    change()
    figures = measure(source, chosen, sums.head)
    sums.take(figures)
    assert sums.truth == ask(str(author.path), folder, count=False)
    return figures.since is not None


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    return RepoBuilder(tmp_path / "source")


@pytest.mark.parametrize("depths", [(64, 1024), (2, 3)])
def test_commits_dated_before_their_parents_are_counted_once(
    depths, repo: RepoBuilder, tmp_path: Path, without_count, monkeypatch
):
    monkeypatch.setattr(fetch, "DEPTHS", depths)
    repo.commit({"a.py": "a\n"}, when=YEAR_2020)
    fork = repo.commit({"b.py": "b\nb\n"}, when=YEAR_2020 + 1)
    for number in range(10):
        repo.commit({"c.py": f"{number}\n"}, when=number)

    def merge_side() -> None:
        repo.branch("side", fork)
        side = repo.commit({"d.py": "d\n"}, when=YEAR_2020 + 2)
        repo.checkout("main")
        repo.merge(side, when=YEAR_2020 + 3)

    assert check(repo, tmp_path, without_count, merge_side)


@pytest.mark.parametrize("path", [".gitmodules", ".gitattributes", "lib/.gitattributes"])
def test_a_file_that_changes_how_old_commits_count_means_everything(
    path, repo: RepoBuilder, tmp_path: Path, without_count
):
    repo.commit({".gitmodules": MODULES, "lib/c.py": b"c\n"})
    repo.commit({"lib/sub": Entry("160000", b"1" * 40)})
    repo.commit({"lib/sub": Entry("160000", b"2" * 40)})
    rule = MODULES + b"\tignore = all\n" if path == ".gitmodules" else b"*.py -diff\n"

    def change() -> None:
        repo.commit({path: rule})

    assert not check(repo, tmp_path, without_count, change)
