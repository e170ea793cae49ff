"""A push costs what it changed, in bytes and files counted, with the figures of a full clone."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

import measure as measuring
from measure import Figures, Options, Source, blobs, measure, measure_push
from measure.git import Git, GitFailed
from measure.trees import Pair
from tests.support.git_server import GitServer
from tests.support.measuring import options
from tests.support.random_history import GENERATED, GENERATED_NAMES, HARMLESS, NAMES, grow
from tests.support.repos import Entry, RepoBuilder, run_git

pytestmark = [pytest.mark.needs_cloc, pytest.mark.usefixtures("preloaded_cloc")]


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    return RepoBuilder(tmp_path / "repo")


@pytest.fixture
def chosen(tmp_path: Path) -> Options:
    return options(tmp_path / "scratch", exclude_dirs=frozenset({"build"}))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Pair]:
    """What cloc is given to count, a file at a time."""
    pairs: list[Pair] = []
    batches = blobs._batches

    def record(git, asked):
        pairs.extend(asked)
        return batches(git, asked)

    monkeypatch.setattr(blobs, "_batches", record)
    return pairs


def pack(git_server: GitServer) -> None:
    """Pack the repository as a host does, whose bitmaps tell what a client must have."""
    run_git(git_server.path("demo"), "repack", "-a", "-d", "-q", "--write-bitmap-index")


def again(source: Source, chosen: Options, last: Figures) -> Figures:
    return measure(source, chosen, last.head_sha, last.file_counts)


@pytest.mark.parametrize(
    ("filters", "names", "harmless"),
    [
        (True, NAMES, HARMLESS),
        pytest.param(True, (*NAMES, *GENERATED_NAMES), GENERATED, marks=pytest.mark.long),
        pytest.param(False, NAMES, HARMLESS, marks=pytest.mark.long),
        pytest.param(False, (*NAMES, *GENERATED_NAMES), GENERATED, marks=pytest.mark.long),
    ],
    ids=["filters", "filters-without-generated", "plain", "plain-without-generated"],
)
def test_each_push_gives_the_figures_of_a_full_clone(
    repo: RepoBuilder, git_server: GitServer, chosen: Options, filters: bool, names, harmless
):
    chosen = replace(chosen, exclude_generated=harmless is GENERATED)
    commits = grow(repo, random.Random(7), 12, names=names, harmless=harmless)
    source = Source(repo.publish(git_server, "demo"))
    git_server.set_filters("demo", allowed=filters)
    last = None
    for commit in commits:
        repo.reset(commit)
        repo.push()
        pack(git_server)
        full = measure(source, chosen)
        if last is not None:
            figures = again(source, chosen, last)
            assert figures.count == full.count
            assert figures.file_counts == full.file_counts
            if figures.since is not None:
                assert figures.since == last.head_sha
                added = figures.history
                assert last.history.commits + added.commits == full.history.commits
                assert last.history.churn + added.churn == full.history.churn
            else:
                assert figures.history == full.history
        last = full


def test_a_push_fetches_and_counts_what_it_changed_alone(
    repo: RepoBuilder, git_server: GitServer, chosen: Options, counted: list[Pair]
):
    chance = random.Random(1)
    repo.commit({f"data/{n}.bin": chance.randbytes(20_000) for n in range(50)})
    repo.commit({f"src/file{n}.py": f"x = {n}\n" for n in range(50)})
    source = Source(repo.publish(git_server, "demo"))
    git_server.set_filters("demo", allowed=True)
    first = measure(source, chosen)
    everything = git_server.bytes_sent("demo")
    counted.clear()

    repo.commit({"src/file7.py": "x = 7\ny = 8\n", "data/3.bin": None})
    repo.push()
    pack(git_server)
    figures = again(source, chosen, first)

    sent = git_server.bytes_sent("demo") - everything
    assert figures.count.languages == {"Python": 51}
    assert (figures.history.additions, figures.history.deletions) == (1, 0)
    assert [name for _, name in counted] == [b"file7.py"]
    assert everything > 1_000_000
    assert sent < 60_000


def test_a_push_takes_few_requests_and_an_unmoved_head_fewer(
    repo: RepoBuilder,
    git_server: GitServer,
    chosen: Options,
    counted: list[Pair],
    monkeypatch: pytest.MonkeyPatch,
):
    repo.commit({f"src/file{n}.py": f"x = {n}\n" for n in range(20)})
    source = Source(repo.publish(git_server, "demo"))
    first = measure(source, chosen)

    def push() -> tuple[Figures | None, int]:
        git_server.log.clear()
        counted.clear()
        found = measure_push(source, chosen, first.head_sha, first.file_counts)
        return found, len(git_server.requests("demo"))

    assert push() == (None, 3)
    with monkeypatch.context() as many_files:
        many_files.setattr(measuring, "FEW_FILES", 10)
        assert push() == (None, 2)
        repo.commit({"src/file7.py": "x = 7\ny = 8\n"})
        repo.push()
        figures, requests = push()
        assert requests == 7

    assert push() == (figures, 5)

    assert figures is not None
    assert figures.since == first.head_sha
    assert [name for _, name in counted] == [b"file7.py"]
    assert figures == again(source, chosen, first)


def test_a_push_that_needs_a_checkout_gets_one(
    repo: RepoBuilder, git_server: GitServer, chosen: Options
):
    repo.commit({f"src/file{n}.py": f"x = {n}\n" for n in range(20)})
    repo.commit({"link.py": Entry("120000", b"src/file1.py")})
    source = Source(repo.publish(git_server, "demo"))
    git_server.set_filters("demo", allowed=True)
    first = measure(source, chosen)
    before = len(git_server.requests("demo"))

    repo.commit({".config/x.py": "hidden = 1\n", "src/file1.py": "x = 1\ny = 2\n"})
    repo.push()
    figures = again(source, chosen, first)

    assert figures.since == first.head_sha
    assert figures.count.languages == {"Python": 21}
    assert figures.file_counts is None
    assert len(git_server.requests("demo")) - before < 12
    assert again(source, chosen, figures).count == figures.count


def test_a_server_that_refuses_single_blobs_is_asked_for_all(
    repo: RepoBuilder, git_server: GitServer, chosen: Options, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_):
        raise GitFailed(128, None)

    repo.commit({"a.py": "x = 1\n", "b.py": "y = 1\n"})
    source = Source(repo.publish(git_server, "demo"))
    first = measure(source, chosen)
    repo.commit({"a.py": "x = 2\nz = 3\n"})
    repo.push()
    monkeypatch.setattr(Git, "fetch_blobs", refuse)

    figures = again(source, chosen, first)

    assert figures.since == first.head_sha
    assert figures.count.languages == {"Python": 3}
    assert (figures.history.additions, figures.history.deletions) == (2, 1)


def test_broken_counts_are_as_none(repo: RepoBuilder, git_server: GitServer, chosen: Options):
    repo.commit({"a.py": "x = 1\n"})
    source = Source(repo.publish(git_server, "demo"))
    first = measure(source, chosen)

    figures = measure(source, chosen, first.head_sha, b"broken")

    assert figures.count == first.count
    assert figures.file_counts == first.file_counts
    assert figures.since == first.head_sha


def test_a_force_push_is_measured_whole(repo: RepoBuilder, git_server: GitServer, chosen: Options):
    first_commit = repo.commit({"a.py": "x = 1\n"})
    repo.commit({"b.py": "x = 1\ny = 2\n"})
    source = Source(repo.publish(git_server, "demo"))
    git_server.set_filters("demo", allowed=True)
    first = measure(source, chosen)
    repo.reset(first_commit)
    repo.commit({"c.py": "x = 3\nz = 3\nw = 3\n"})
    repo.push()

    figures = again(source, chosen, first)

    assert figures.since is None
    assert figures.history.commits == 2
    assert figures.count.languages == {"Python": 4}
