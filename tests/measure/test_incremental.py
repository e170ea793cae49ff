"""Figures kept over increments equal those of a fresh full clone, whatever happens between."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from measure import Figures, Options, Source, fetch, measure
from tests.support.git_server import GitServer
from tests.support.measuring import found, options
from tests.support.oracle import Truth, ask
from tests.support.repos import Entry, RepoBuilder

HISTORIES = 200
CHUNKS = 20
# The others are left to `make test-all`.
BY_DEFAULT = 1
DAY = 86_400
YEAR_2020 = 1_577_836_800
MODULES = b'[submodule "sub"]\n\tpath = lib/sub\n\turl = ../sub\n'
DATINGS = ("forward", "backward", "equal", "anywhere", "epoch")
PATHS = ("a.py", "b.py", "lib/c.py", "lib/dist/d.js", "build/e.txt", "f.bin", "@odd\t1\n.py")


class Keeper:
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


def tick(dating: str, chance: random.Random, clock: int) -> int:
    """Return the date that follows another: as clocks go, as they should not, or as painted."""
    match dating:
        case "forward":
            return clock + chance.randrange(DAY // 2)
        case "backward":
            return max(0, clock - chance.randrange(30 * DAY))
        case "anywhere":
            return chance.randrange(2 * YEAR_2020)
        case "epoch":
            return chance.randrange(3)
    return clock


class Author:
    """Change a repository as people do, at random."""

    def __init__(self, repo: RepoBuilder, chance: random.Random) -> None:
        self.repo = repo
        self.chance = chance
        self.branch = "main"
        self.paths: dict[str, set[str]] = {"main": set()}
        self.repo.bulk(
            chance.randint(1, 20), seed=chance.randrange(10**6), files=3, lines=12, edits=1
        )
        self.clock = self.repo.clock
        self.dating = chance.choice(DATINGS)

    def commit(self) -> None:
        path = self.chance.choice(PATHS)
        content: bytes | None = b"".join(
            b"line %d\n" % self.chance.randrange(30) for _ in range(self.chance.randrange(40))
        )
        if path == "f.bin":
            content = self.chance.randbytes(300) + b"\0"
        known = self.paths[self.branch]
        if path in known and self.chance.random() < 0.15:
            content = None
        (known.discard if content is None else known.add)(path)
        self.repo.commit({path: content}, when=self.when(), tz=self.chance.choice(ZONES))

    def when(self) -> int:
        """Date a commit as its author's clock does; now and then one goes another way."""
        dating = self.dating
        if self.chance.random() < 0.15:
            dating = self.chance.choice(DATINGS)
        self.clock = tick(dating, self.chance, self.clock)
        return self.clock

    def rename(self) -> None:
        known = self.paths[self.branch]
        free = sorted(set(PATHS) - known)
        if known and free:
            old, new = self.chance.choice(sorted(known)), self.chance.choice(free)
            self.repo.rename(old, new, when=self.when())
            known.remove(old)
            known.add(new)

    def merge_old_branch(self) -> None:
        """Branch off an old commit, work there, and merge."""
        main = self.branch
        log = self.repo.git("rev-list", "HEAD").decode().split()
        name = f"side-{self.repo.made}"
        start = log[min(len(log) - 1, int(self.chance.expovariate(0.15)))]
        self.repo.branch(name, start)
        self.branch = name
        self.paths[name] = set(self._tree(name))
        for _ in range(self.chance.randint(1, 3)):
            self.commit()
        self._checkout(main)
        self._merge(name)

    def merge_again(self) -> None:
        """Merge a commit from the middle of some branch, new or merged long ago."""
        branches = sorted(set(self.paths) - {self.branch})
        if branches:
            side = self.chance.choice(branches)
            log = self.repo.git("rev-list", side).decode().split()
            self._merge(self.chance.choice(log[:5]))

    def force_push(self) -> None:
        log = self.repo.git("rev-list", "HEAD").decode().split()
        self.repo.reset(log[min(len(log) - 1, self.chance.randrange(6))])
        self.paths[self.branch] = set(self._tree("HEAD"))
        if self.chance.random() < 0.7:
            self.commit()

    def switch_branch(self) -> None:
        other = self.chance.choice(sorted(self.paths))
        self._checkout(other)

    def edit_attributes(self) -> None:
        rule = self.chance.choice([b"*.py -diff\n", b"*.bin diff\n", b"*.js binary\n", b""])
        place = self.chance.choice([".gitattributes", "lib/.gitattributes"])
        self.repo.commit({place: rule}, when=self.when())

    def edit_modules(self) -> None:
        """Say whether git shows a submodule's changes."""
        text = self.chance.choice([MODULES, MODULES + b"\tignore = all\n", None])
        self.repo.commit({".gitmodules": text}, when=self.when())

    def move_submodule(self) -> None:
        commit = self.chance.choice([b"1", b"2", b"3"]) * 40
        self.repo.commit({"lib/sub": Entry("160000", commit)}, when=self.when())

    def new_root(self) -> None:
        """Merge a history that has nothing in common with this one."""
        main = self.branch
        name = f"root-{self.repo.made}"
        self._checkout(name)
        self.paths[name] = set()
        self.commit()
        self._checkout(main)
        self._merge(name)

    def work(self) -> None:
        for _ in range(self.chance.choice([0, 1, 1, 2, 3, 6])):
            actions = [self.commit] * 12 + [self.rename] * 3 + [self.merge_old_branch] * 4
            actions += [self.merge_again, self.move_submodule] * 2 + [self.edit_modules]
            actions += [self.force_push, self.switch_branch, self.edit_attributes, self.new_root]
            self.chance.choice(actions)()

    def _checkout(self, branch: str) -> None:
        self.repo.checkout(branch)
        self.branch = branch

    def _merge(self, other: str) -> None:
        ours, theirs = self.repo.head, self.repo.sha(other)
        try:
            self.repo.git("merge-base", ours, theirs)
        except RuntimeError:  # nothing in common: keep our own files
            self.repo.commit({}, parents=[ours, theirs], when=self.when())
        else:
            self.repo.merge(theirs, when=self.when())
        self.paths[self.branch] = set(self._tree("HEAD"))

    def _tree(self, revision: str) -> list[str]:
        names = self.repo.git("ls-tree", "-r", "-z", "--name-only", revision).decode()
        return [name for name in names.split("\0") if name in PATHS]


ZONES = ("+0000", "+0530", "-0800", "+1400")


@pytest.fixture
def without_count(tmp_path: Path) -> Options:
    """Options under which counting costs nothing, since only the history is looked at."""
    stub = tmp_path / "cloc"
    stub.write_text("#!/bin/sh\n[ $1 = --version ] && echo 1.96\nexit 0\n")
    stub.chmod(0o755)
    return options(tmp_path / "scratch", cloc_path=str(stub))


@pytest.mark.parametrize(
    "chunk",
    [pytest.param(n, marks=pytest.mark.long if n >= BY_DEFAULT else ()) for n in range(CHUNKS)],
)
def test_random_histories(chunk, tmp_path: Path, git_server: GitServer, without_count, monkeypatch):
    increments = 0
    for number in range(HISTORIES // CHUNKS):
        seed = chunk * 1000 + number
        chance = random.Random(seed)
        # Small windows, so that small histories have edges.
        monkeypatch.setattr(fetch, "DEPTHS", chance.choice([(2, 5), (4, 12), (7, 9), (64, 1024)]))
        excluded = frozenset(chance.choice([[], ["dist", "build"]]))
        author = Author(RepoBuilder(tmp_path / f"source-{number}"), chance)
        url = author.repo.publish(git_server, f"r{number}")
        keeper = Keeper()
        for _ in range(3):
            figures = measure(
                Source(url), replace(without_count, exclude_dirs=excluded), keeper.head
            )
            increments += figures.since is not None
            keeper.take(figures)
            truth = ask(str(git_server.path(f"r{number}")), tmp_path, excluded, count=False)
            assert keeper.truth == truth, f"seed {seed}"
            author.work()
            author.repo.push()
    assert increments


def check(author: RepoBuilder, folder: Path, chosen: Options, change: Callable[[], None]) -> bool:
    """Measure before and after a change, compare with git, and tell whether it was an increment."""
    source = Source(str(author.path))
    keeper = Keeper()
    keeper.take(measure(source, chosen))
    change()
    figures = measure(source, chosen, keeper.head)
    keeper.take(figures)
    assert keeper.truth == ask(str(author.path), folder, count=False)
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
