"""A small repository that unfolds into something huge fails in words, and costs little."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from errors import RepositoryTooLarge
from measure import Source, Standby, measure, standby
from tests.support.git_server import GitServer
from tests.support.measuring import options
from tests.support.repos import RepoBuilder

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
@pytest.mark.parametrize("preloaded", [False, True])
def test_newlines_that_cloc_cannot_hold(
    preloaded: bool, repo: RepoBuilder, source: Source, tmp_path: Path
):
    # For git the file is binary, so that the count alone can fail.
    repo.commit({".gitattributes": b"*.py -diff\n", "bomb.py": b"\n" * 50_000_000})
    repo.push()
    chosen = options(tmp_path / "scratch", memory_mb=300)

    words = f"counting its lines takes {MEMORY}"

    with Standby(chosen) if preloaded else contextlib.nullcontext():
        assert (standby._standing is not None) == preloaded
        with pytest.raises(RepositoryTooLarge, match=words):
            measure(source, chosen)


def test_an_ordinary_repository_needs_little(repo: RepoBuilder, source: Source, tmp_path: Path):
    figures = measure(source, options(tmp_path / "scratch", memory_mb=64))

    assert figures.count.loc == 1
