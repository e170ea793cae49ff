"""A small repository with a huge checkout fails with a reason, and costs little."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from errors import MeasureError, RepositoryTooLarge
from measure import PreloadedCloc, Source, measure
from measure.bounds import CheckoutBudget
from measure.cloc import find_cloc
from measure.cloc_server.preloaded import find_server
from tests.support.git_server import GitServer
from tests.support.measuring import options
from tests.support.repos import Entry, RepoBuilder

MEMORY = r"more memory than MEASURE_MEMORY_MB \(300 MB\) allows"


@pytest.fixture
def repo(tmp_path: Path, git_server: GitServer) -> RepoBuilder:
    built = RepoBuilder(tmp_path / "source")
    built.commit({"a.py": b"print(1)\n"})
    built.publish(git_server, "subject")
    return built


@pytest.fixture
def source(git_server: GitServer) -> Source:
    return Source(git_server.url("subject"))


def test_newlines_that_git_cannot_hold(repo: RepoBuilder, source: Source, tmp_path: Path):
    repo.commit({"bomb.py": b"\n" * 50_000_000})
    repo.push()

    with pytest.raises(RepositoryTooLarge, match=MEMORY):
        measure(source, options(tmp_path / "scratch", memory_mb=300))
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.needs_cloc
@pytest.mark.parametrize("preloaded", [pytest.param(False, marks=pytest.mark.long), True])
def test_newlines_that_cloc_cannot_hold(
    preloaded: bool, repo: RepoBuilder, source: Source, tmp_path: Path
):
    # For git the file is binary, so that the count alone can fail.
    repo.commit({".gitattributes": b"*.py -diff\n", "bomb.py": b"\n" * 50_000_000})
    repo.push()
    chosen = options(tmp_path / "scratch", memory_mb=300)

    words = f"counting its lines takes {MEMORY}"

    with PreloadedCloc(chosen) if preloaded else contextlib.nullcontext():
        assert bool(find_server(find_cloc(None, chosen.search_path))) == preloaded
        with pytest.raises(RepositoryTooLarge, match=words):
            measure(source, chosen)


def test_an_ordinary_repository_needs_little(repo: RepoBuilder, source: Source, tmp_path: Path):
    figures = measure(source, options(tmp_path / "scratch", memory_mb=64))

    assert figures.count.loc == 1


def commit_tree(repo: RepoBuilder, tree: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    commit = repo.git(*who, "commit-tree", tree, "-m", "bomb", "-p", "HEAD").decode().strip()
    repo.git("update-ref", "refs/heads/main", commit)
    repo.push()


def write_tree(repo: RepoBuilder, mode: str, kind: str, name: str, times: int) -> str:
    """Return a tree that holds the same object many times."""
    lines = "".join(f"{mode} {kind} {name}\t{number}.py\n" for number in range(times))
    return repo.git("mktree", stdin=lines.encode()).decode().strip()


def write_bomb(repo: RepoBuilder, mode: str, content: bytes, layers: int) -> str:
    """Return a tree of ten trees of ten trees, and so on, that ends in ten files each."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin=content).decode().strip()
    tree = write_tree(repo, mode, "blob", blob, 10)
    for _ in range(layers - 1):
        tree = write_tree(repo, "040000", "tree", tree, 10)
    return tree


@pytest.fixture
def nothing_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("something was written")

    monkeypatch.setattr("measure.checkout.write_files", fail)


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [
        ("100644", b"x = 1\n", "it holds more than 500,000 files and folders"),
        ("120000", b"0.py", "it holds more symbolic links than are followed"),
    ],
)
def test_a_bomb_of_entries(
    mode: str, content: bytes, words: str, repo: RepoBuilder, source: Source, tmp_path: Path
):
    commit_tree(repo, write_bomb(repo, mode, content, 8))

    with pytest.raises(RepositoryTooLarge, match=words):
        measure(source, options(tmp_path / "scratch", max_repo_mb=1_000_000))
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("content", [b"x" * 100_000, b"x"])
def test_a_checkout_above_the_limit_is_not_written(
    content: bytes, repo: RepoBuilder, source: Source, tmp_path: Path
):
    commit_tree(repo, write_bomb(repo, "100644", content, 4))

    with pytest.raises(RepositoryTooLarge, match=r"larger than MAX_REPO_MB \(20 MB\)"):
        measure(source, options(tmp_path / "scratch", max_repo_mb=20))


def test_links_that_lead_far(repo: RepoBuilder, source: Source, tmp_path: Path):
    repo.commit({f"{n}.py": Entry("120000", b"./" * 2000 + b"%d.py" % (n + 1)) for n in range(100)})
    repo.push()

    with pytest.raises(RepositoryTooLarge, match="its symbolic links lead too far"):
        measure(source, options(tmp_path / "scratch"))


def test_a_name_of_megabytes(repo: RepoBuilder, source: Source, tmp_path: Path):
    blob = repo.git("rev-parse", "HEAD:a.py").strip()
    line = b"100644 blob %s\t%s\n" % (blob, b"x" * 30_000_000)
    commit_tree(repo, repo.git("mktree", stdin=line).decode().strip())

    with pytest.raises(MeasureError, match="a path that is too long"):
        measure(source, options(tmp_path / "scratch"))


def test_folders_count_as_files_do():
    budget = CheckoutBudget(1_000_000)
    for number in range(240):
        budget.add_file(b"%d/" % number + b"d/" * 99 + b"x", 1)

    with pytest.raises(RepositoryTooLarge, match="500,000 files and folders"):
        budget.add_file(b"y/" * 500_000, 1)
