"""Figures equal git's and cloc's own, on repositories made to be hard to measure."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from errors import EmptyRepository, MeasureError
from measure import Source, measure
from tests.support.fast_import import Content
from tests.support.git_server import GitServer
from tests.support.measuring import found, options
from tests.support.oracle import ask
from tests.support.repos import Entry, RepoBuilder

pytestmark = pytest.mark.usefixtures("preloaded_cloc")

DEFAULT_EXCLUDED = frozenset(
    [
        "node_modules",
        "bower_components",
        "dist",
        "build",
        ".venv",
        "venv",
        "__pycache__",
        ".mypy_cache",
        ".pytest_cache",
        ".idea",
        ".vscode",
    ]
)
HOUR = 3600
DAY = 24 * HOUR
NOON = 1_700_006_400 - 1_700_006_400 % DAY + DAY // 2
PYTHON = b"import os\n\n# comment\nprint(os.name)\n"
BINARY = bytes(range(256)) * 20


def lines(count: int, seed: int = 0) -> bytes:
    return b"".join(b"value_%d = %d\n" % (n, n * seed) for n in range(count))


def merges(repo: RepoBuilder) -> None:
    repo.commit({"a.py": lines(30), "b.py": PYTHON})
    repo.branch("side")
    repo.commit({"side.py": lines(20, 3)})
    repo.commit({"side.py": lines(25, 3)})
    repo.checkout("main")
    repo.commit({"a.py": lines(33, 1)})
    repo.merge("side", {"a.py": lines(35, 2), "made-in-the-merge.py": lines(5)})
    repo.branch("second", "side")
    repo.commit({"second.py": lines(7, 9)})
    repo.checkout("main")
    repo.merge("second")


def renames(repo: RepoBuilder) -> None:
    repo.commit({"old.py": lines(60), "@scope/one.js": lines(50, 4), "dir/deep/x.py": lines(9, 5)})
    repo.rename("old.py", "new.py")
    repo.rename("new.py", "folder/newer.py", {"folder/newer.py": lines(60) + b"more = 1\n"})
    repo.rename("@scope/one.js", "@scope/two.js")
    repo.rename("dir/deep/x.py", "dir/x.py")
    repo.rename("dir/x.py", "5\t6\tx.py")
    repo.rename("5\t6\tx.py", "@1700000000")


def binary_files(repo: RepoBuilder) -> None:
    repo.commit({"a.bin": BINARY, "a.py": PYTHON})
    repo.commit({"a.bin": BINARY + b"more", "a.py": PYTHON + PYTHON})
    repo.rename("a.bin", "b.bin")
    repo.commit({"7\t8\t.bin": BINARY[1:], "b.bin": b"text now\n"})


def time_zones(repo: RepoBuilder) -> None:
    midnight = NOON + DAY // 2
    for number, (offset, tz) in enumerate(
        [(-1, "+0000"), (0, "+0000"), (-1, "+0530"), (1, "-0800"), (-HOUR, "+1400")]
    ):
        repo.commit({"a.py": lines(number + 1)}, when=midnight + offset, tz=tz)


def out_of_order(repo: RepoBuilder) -> None:
    for number, when in enumerate([NOON, NOON - 400 * DAY, NOON + 90 * DAY, NOON - DAY, NOON]):
        repo.commit({"a.py": lines(number * 3 + 1)}, when=when)


def odd_names(repo: RepoBuilder) -> None:
    names: list[str | bytes] = [
        "tab\there.py",
        "new\nline.py",
        b"latin-\xe9.py",
        b"\xff\xfe\x01.py",
        "3\t4\tnumstat.py",
        "quote\"s and 'apostrophes'.py",
        "back\\slash.py",
        " leading and trailing .py",
        "-dash.py",
        "@1700000000",
        "ünïcode/日本語.py",
        "{a => b}/c.py",
        "a => b.py",
        "comma,in,name.py",
        ";semi $(colon) `x`.py",
    ]
    for number, name in enumerate(names):
        repo.commit({name: lines(10 + number, number + 1)})
    repo.commit({name: lines(12 + number, number + 2) for number, name in enumerate(names)})
    repo.rename("tab\there.py", "moved\there\n.py")


def deceiving_messages(repo: RepoBuilder) -> None:
    for number, message in enumerate(
        ["10\t20\tfile.py", "@1600000000", "\0".join("ab"), "commit 0123\n\n5\t5\tx", "-\t-\tx"]
    ):
        repo.commit({"a.py": lines(number + 2)}, message=message.replace("\0", "\n9\t9\ty\n"))
    repo.commit({}, message="an empty commit")
    repo.commit({}, message="another")


def absurd_dates(repo: RepoBuilder) -> None:
    who = b"A <a@b>"
    repo.commit({"a.py": PYTHON})
    for stamp in (b"", b" 9223372036854775808 +0000", b" 99999999999999999999999 +0000", b" -5 +0"):
        repo.raw_commit(who + stamp)
        repo.commit({"a.py": lines(repo.made)})
    for stamp in (b" 0 +0000", b" 253402300799 +0000", b" 253402300800 +0000", b" word +0000"):
        repo.raw_commit(who + stamp)


def attributes(repo: RepoBuilder) -> None:
    repo.commit({"a.gen": lines(20), "b.py": lines(10), "sub/c.gen": lines(8), "d.txt": b"x\r\n"})
    repo.commit({".gitattributes": b"*.gen -diff\n*.txt text eol=crlf\n", "a.gen": lines(25)})
    repo.commit({"sub/.gitattributes": b"*.gen diff\n", "sub/c.gen": lines(30)})
    repo.commit({"dist/.gitattributes": b"* binary\n", "dist/x.py": lines(50)})
    repo.rename("dist/x.py", "x.py", {"x.py": lines(51)})
    repo.commit({"more/.gitattributes": Entry("120000", b"../sub/.gitattributes")})
    repo.commit({"more/e.gen": lines(11)})


def drivers(repo: RepoBuilder) -> None:
    config = b'[filter "f"]\n\tsmudge = touch /tmp/owned\n[diff "d"]\n\tcommand = false\n'
    attributes = (
        b"*.py filter=f diff=d merge=m\n*.md filter=lfs -text\nu.py working-tree-encoding=UTF-16\n"
    )
    repo.commit({".gitattributes": attributes, "a.py": PYTHON, "u.py": PYTHON, "b.md": b"hi\n"})
    repo.commit(
        {".gitconfig": config, "config": config, ".lfsconfig": b"[lfs]\n\turl = http://x\n"}
    )
    repo.commit({"a.py": PYTHON * 3, "hooks/post-checkout": b"#!/bin/sh\ntouch /tmp/owned\n"})


def submodules(repo: RepoBuilder) -> None:
    module = b'[submodule "%s"]\n\tpath = %s\n\turl = file:///etc\n'
    ignored = module % (b"y", b"y") + b"\tignore = all\n"
    one, two = Entry("160000", b"1" * 40), Entry("160000", b"2" * 40)
    steps: list[dict[str, Content]] = [
        {".gitmodules": module % (b"x", b"x"), "x": one},
        {".gitmodules": ignored, "y": one, "a.py": PYTHON},
        {"x": two, "y": two},
    ]
    for files in steps:
        repo.commit(files)


def embedded_repository(repo: RepoBuilder) -> None:
    repo.commit(
        {
            "inner/HEAD": b"ref: refs/heads/main\n",
            "inner/config": b"[core]\n\tbare = true\n\tfsmonitor = touch /tmp/owned\n",
            "inner/objects/x.py": lines(4),
            "inner/refs/y.py": lines(5, 2),
            "inner/hooks/post-checkout": b"#!/bin/sh\necho\n",
            ".config/z.py": lines(6, 3),
            "a.py": PYTHON,
        }
    )


def inner_links(repo: RepoBuilder) -> None:
    files: dict[str, Content] = {
        "a.py": PYTHON,
        "data.unknown": lines(17, 5),
        "sub/deep/b.py": lines(3, 2),
        "link-to-a.py": Entry("120000", b"a.py"),
        "counts-as-python.py": Entry("120000", b"data.unknown"),
        "sub/up.py": Entry("120000", b"../data.unknown"),
        "linked-folder": Entry("120000", b"sub/deep"),
        "through.c": Entry("120000", b"./linked-folder/../deep//b.py"),
        "chain.rb": Entry("120000", b"sub/up.py"),
        "dangling.py": Entry("120000", b"nowhere.py"),
        "loop.py": Entry("120000", b"loop.py"),
        "only/links/here.js": Entry("120000", b"../../data.unknown"),
        "bad.py": Entry("120000", b"a.py/"),
    }
    repo.commit(files)
    repo.commit({"a.py": Entry("120000", b"data.unknown")})


def excluded_folders(repo: RepoBuilder) -> None:
    repo.commit(
        {
            "src/a.py": PYTHON,
            "dist/bundle.js": lines(100),
            "web/node_modules/x/index.js": lines(70, 2),
            "web/build/out.py": lines(60, 3),
            "builder/b.py": lines(5, 4),
            "venv.py": lines(6, 5),
        }
    )
    repo.commit({"dist/bundle.js": lines(140, 6), "src/a.py": PYTHON * 2})
    repo.rename("web/build/out.py", "web/out.py", {"web/out.py": lines(61, 3)})
    repo.rename("src/a.py", "build/a.py", {"build/a.py": PYTHON * 3})
    repo.rename("builder/b.py", "builder/build/b.py")


def many_commits(repo: RepoBuilder) -> None:
    repo.bulk(1500, edits=3)


def no_code(repo: RepoBuilder) -> None:
    repo.commit({"picture.bin": BINARY, "empty.py": b""})


REPOSITORIES: list[Callable[[RepoBuilder], None]] = [
    merges,
    renames,
    binary_files,
    time_zones,
    out_of_order,
    odd_names,
    deceiving_messages,
    absurd_dates,
    attributes,
    drivers,
    submodules,
    embedded_repository,
    inner_links,
    excluded_folders,
    many_commits,
    no_code,
]


# Those with excluded folders, names that look like paths, or merges; the others are tested with
# exclusions by `make test-all`.
EXCLUDED_BY_DEFAULT = {merges, renames, odd_names, attributes, excluded_folders}
CASES = [
    *[pytest.param(build, frozenset(), id=f"{build.__name__}-plain") for build in REPOSITORIES],
    *[
        pytest.param(
            build,
            DEFAULT_EXCLUDED,
            id=f"{build.__name__}-excluding",
            marks=() if build in EXCLUDED_BY_DEFAULT else pytest.mark.long,
        )
        for build in REPOSITORIES
    ],
]


@pytest.mark.parametrize(("build", "excluded"), CASES)
def test_figures_are_git_s_and_cloc_s(build, excluded, tmp_path: Path, git_server: GitServer):
    repo = RepoBuilder(tmp_path / "source")
    build(repo)
    url = repo.publish(git_server, "subject")
    chosen = options(tmp_path / "scratch", exclude_dirs=excluded)

    figures = measure(Source(url), chosen)

    truth = ask(url, tmp_path, excluded)
    assert found(figures, truth.loc) == truth
    assert figures.head_sha == repo.head
    assert figures.since is None
    assert figures.history.churn == truth.additions + truth.deletions
    assert not Path("/tmp/owned").exists()


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(build, marks=() if build in EXCLUDED_BY_DEFAULT else pytest.mark.long)
        for build in REPOSITORIES
    ],
)
def test_two_readers_find_what_one_does(build, tmp_path: Path, git_server: GitServer, monkeypatch):
    repo = RepoBuilder(tmp_path / "source")
    build(repo)
    source = Source(repo.publish(git_server, "subject"))
    chosen = options(tmp_path / "scratch")
    figures = measure(source, chosen)

    # Only long histories are split.
    monkeypatch.setattr("measure.reading.SPLIT_FROM", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert measure(source, chosen) == figures


def test_a_file_with_the_name_of_an_excluded_folder_counts(tmp_path: Path, git_server: GitServer):
    repo = RepoBuilder(tmp_path / "source")
    repo.commit({"build": b"#!/bin/sh\necho one\n", "dist/x.py": PYTHON})
    url = repo.publish(git_server, "subject")

    figures = measure(
        Source(url), options(tmp_path / "s", exclude_dirs=frozenset({"build", "dist"}))
    )

    assert figures.history.churn == 2


@pytest.mark.parametrize(
    "modules",
    [b'[submodule "x"]\n\tpath = x\n\tupdate = !touch /tmp/owned\n', b"[submodule \n\0"],
    ids=["unsafe", "broken"],
)
def test_modules_over_which_git_log_gives_up_are_left_aside(
    modules, tmp_path: Path, git_server: GitServer
):
    repo = RepoBuilder(tmp_path / "source")
    files: dict[str, Content] = {
        ".gitmodules": modules,
        "x": Entry("160000", b"1" * 40),
        "a.py": lines(5),
    }
    repo.commit(files)
    url = repo.publish(git_server, "subject")

    figures = measure(Source(url), options(tmp_path / "scratch"))

    assert figures.history.commits == 1
    assert figures.history.churn >= 6
    assert not Path("/tmp/owned").exists()


@pytest.mark.parametrize("branch", [None, "main"])
def test_a_repository_without_a_commit_is_empty(branch, tmp_path: Path, git_server: GitServer):
    git_server.create("empty")
    source = Source(git_server.url("empty"), branch=branch)

    with pytest.raises(EmptyRepository):
        measure(source, options(tmp_path / "scratch"))
    with pytest.raises(EmptyRepository):
        measure(source, options(tmp_path / "scratch"), since="1" * 40)


def test_a_head_on_a_branch_that_is_not_there_is_not_empty(tmp_path: Path, git_server: GitServer):
    repo = RepoBuilder(tmp_path / "source")
    repo.commit({"a.py": PYTHON})
    repo.checkout("nowhere")
    url = repo.publish(git_server, "headless")

    with pytest.raises(MeasureError, match="its default branch is not there") as caught:
        measure(Source(url), options(tmp_path / "scratch"))
    assert not isinstance(caught.value, EmptyRepository)
