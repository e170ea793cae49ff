"""Generated files are left out of loc and churn alike where asked, and of neither by default."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from measure import Options, Source, fingerprint, generated, measure
from measure.generated import GeneratedFiles, generated_files
from measure.git import Git
from tests.support.fast_import import Content
from tests.support.git_server import GitServer
from tests.support.measuring import found, options
from tests.support.oracle import ask
from tests.support.repos import Entry, RepoBuilder

pytestmark = pytest.mark.usefixtures("preloaded_cloc")

CODE = "x = 1\ny = 2\n"


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    return RepoBuilder(tmp_path / "repo")


@pytest.fixture
def chosen(tmp_path: Path) -> Options:
    return options(tmp_path / "scratch", exclude_generated=True)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The git commands that are run over a repository, by their names."""
    ran: list[str] = []
    ask, write = Git.ask, Git.write

    def record_ask(git, arguments, *more, **named):
        ran.append(arguments[0])
        return ask(git, arguments, *more, **named)

    def record_write(git, arguments, *more, **named):
        ran.append(arguments[0])
        return write(git, arguments, *more, **named)

    monkeypatch.setattr(Git, "ask", record_ask)
    monkeypatch.setattr(Git, "write", record_write)
    return ran


def under(rules: bytes, repo: RepoBuilder, chosen: Options, folder: Path) -> GeneratedFiles:
    """Return the policy under a .gitattributes file."""
    blob = repo.git("hash-object", "-w", "--stdin", stdin=rules).strip()
    records = folder / "records"
    records.write_bytes(b"100644 blob %s\t.gitattributes\0" % blob if rules else b"")
    git = Git(Source(str(repo.path)), chosen, folder)
    git.repository = repo.path
    return generated_files(git, records)


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        (b"package-lock.json", True),
        (b"web/app/yarn.lock", True),
        (b"go.sum", True),
        (b"uv.lock", True),
        (b".terraform.lock.hcl", True),
        (b"jquery-3.7.min.js", True),
        (b"css/site-min.css", True),
        (b"app.min.mjs.map", True),
        (b"odd\nname/a.min.js", True),
        (b"../../Cargo.lock", True),
        (b"package.json", False),
        (b"my-package-lock.json", False),
        (b"yarn.lock/notes.md", False),
        (b"admin.js", False),
        (b"min.js", False),
        (b"a.min.json", False),
        (b"a.min.js\n", False),
        (b"vendor/jquery.js", False),
    ],
)
def test_lock_files_and_minified_files_are_told_by_their_names(
    path: bytes, left_out: bool, repo: RepoBuilder, chosen: Options, tmp_path: Path, programs
):
    assert under(b"", repo, chosen, tmp_path).find([path, b"a.py"]) == (
        {path} if left_out else set()
    )
    assert programs == []


@pytest.mark.parametrize(
    ("rules", "left_out"),
    [
        (b"*.py linguist-vendored\n", {b"a.py", b"go.sum"}),
        (b"*.py linguist-generated=true\n", {b"a.py", b"go.sum"}),
        (b"[attr]theirs linguist-vendored\na.* theirs\n", {b"a.py", b"go.sum"}),
        (b"*.py linguist-generated -linguist-vendored\n", {b"a.py", b"go.sum"}),
        (b"*.py linguist-generated=false\n", {b"go.sum"}),
        (b"*.py linguist-vendored\na.py !linguist-vendored\n", {b"go.sum"}),
        (b"go.sum -linguist-generated\n", set()),
        (b"go.sum linguist-generated=false\n", set()),
        (b"* -linguist-vendored\n", set()),
        (b"go.sum !linguist-generated\n", {b"go.sum"}),
        (b"go.sum -linguist-generated linguist-vendored\n", {b"go.sum"}),
        (b"* -linguist-detectable\n", {b"go.sum"}),
    ],
)
def test_attributes_say_more_than_names(
    rules: bytes, left_out: set[bytes], repo: RepoBuilder, chosen: Options, tmp_path: Path
):
    assert under(rules, repo, chosen, tmp_path).find([b"a.py", b"b.c", b"go.sum"]) == left_out


def test_git_is_asked_only_where_attributes_are_linguists(
    repo: RepoBuilder, chosen: Options, tmp_path: Path, programs
):
    assert under(b"* text=auto\n*.py diff=python\n", repo, chosen, tmp_path).index is None
    assert programs == ["update-index", "grep"]
    assert under(b"*.c linguist-language=C++\n", repo, chosen, tmp_path).index is not None


def test_names_of_any_kind_are_judged(
    repo: RepoBuilder, chosen: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(generated, "BATCH_BYTES", 40)
    policy = under(b"* linguist-vendored\nkept* -linguist-vendored\n", repo, chosen, tmp_path)
    good = [
        b"a\nb.py",
        b"kep\nt",
        b'"quoted".py',
        b"\xff\xfe.py",
        b"a => b",
        b":(top)x",
        b"-q",
        b"x" * 5000,
    ]
    strange = [b"../a.py", b"/etc/passwd", b"a//b", b"./a", b"a/../b", b"a/.", b"", b"a/"]

    assert policy.find([*good, *strange, b"kept", b"kept.min.js"]) == set(good)
    assert policy.find([]) == set()


def test_very_many_paths_are_judged(repo: RepoBuilder, chosen: Options, tmp_path: Path, programs):
    policy = under(b"*7/** linguist-generated\n", repo, chosen, tmp_path)
    paths = [b"folder-%d/some/what/longer/file-%d.py" % (n % 100, n) for n in range(200_000)]

    assert len(policy.find(paths)) == 20_000
    assert programs.count("check-attr") < 20


@pytest.mark.needs_cloc
def test_loc_and_churn_leave_out_the_same_files(
    repo: RepoBuilder, git_server: GitServer, chosen: Options, tmp_path: Path
):
    repo.commit({"a.py": CODE, "package-lock.json": "{\n}\n", "vendor/lib/v.py": CODE + CODE})
    repo.commit(
        {".gitattributes": "vendor/** linguist-vendored\nvendor/own/** -linguist-vendored\n"}
    )
    repo.commit(
        {"vendor/own/o.py": "o = 1\n", "web/x.min.js": "var x\n", "vendor/own/go.sum": "h\n"}
    )
    repo.commit(
        {"link.py": Entry("120000", b"vendor/lib/v.py"), "x-min.js": Entry("120000", b"a.py")}
    )
    repo.commit({"package-lock.json": None, "yarn.lock": "# yarn\n"})
    url = repo.publish(git_server, "subject")

    figures = measure(Source(url), chosen)

    assert found(figures) == ask(url, tmp_path, generated=False)
    assert figures.count.languages == {"Python": 3}
    # In the current tree: v.py, x.min.js, yarn.lock, and one of the links; the other one dangles.
    assert figures.count.excluded_files == 4
    plain = measure(Source(url), replace(chosen, exclude_generated=False))
    assert found(plain) == ask(url, tmp_path)
    assert plain.count.excluded_files == 0
    assert plain.count.loc > figures.count.loc


@pytest.mark.needs_cloc
@pytest.mark.parametrize("cloc_path", [None, "/no/such/cloc"])
def test_every_counter_leaves_them_out(cloc_path: str | None, repo: RepoBuilder, chosen: Options):
    repo.commit({"a.py": CODE, "b.py": "b = 1\n", ".gitattributes": "b.py linguist-generated\n"})

    figures = measure(Source(str(repo.path)), replace(chosen, cloc_path=cloc_path))

    assert figures.count.languages == {"Python": 2}
    assert figures.count.excluded_files == 1


@pytest.mark.needs_cloc
def test_by_default_nothing_is_left_out_and_nothing_asked(
    repo: RepoBuilder, chosen: Options, programs
):
    repo.commit({"a.py": CODE, "yarn.lock": "# yarn\n", "b.min.js": "var x\n"})
    repo.commit({".gitattributes": "a.py linguist-generated\n"})
    plain = replace(chosen, exclude_generated=False)

    figures = measure(Source(str(repo.path)), plain)

    assert figures.count.languages == {"JavaScript": 1, "Python": 2}
    assert figures.history.churn == 5
    assert not {"check-attr", "grep"} & set(programs)


def test_the_fingerprint_holds_the_policy_and_stays_as_it_was_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.39.5\n")
    (tmp_path / "git").chmod(0o755)
    plain = options(tmp_path / "s", search_path=str(tmp_path), exclude_dirs=frozenset({"dist"}))
    # The fingerprint of the release before the policy: its figures are not measured again.
    assert fingerprint("cloc 1.96", plain) == "522a56b771e1431a"
    chosen = replace(plain, exclude_generated=True)
    words = {fingerprint("cloc 1.96", each) for each in (plain, chosen)}
    monkeypatch.setattr(sys.modules[fingerprint.__module__], "POLICY", (2,))
    words.add(fingerprint("cloc 1.96", chosen))
    assert len(words) == 3
    assert fingerprint("cloc 1.96", plain) in words


BORDERS = {
    "excluded folder": (b"", "dist/"),
    "vendored folder": (b"vendor/** linguist-vendored\n", "vendor/"),
}


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("since", [False, True], ids=["whole", "increment"])
def test_a_rename_over_a_border_counts_its_changed_lines_where_its_new_name_counts(
    border: str, since: bool, repo: RepoBuilder, chosen: Options, tmp_path: Path
):
    rules, folder = BORDERS[border]
    files: dict[str, Content] = {".gitattributes": rules}
    chosen = replace(chosen, exclude_dirs=frozenset({"dist"}))
    text = "".join(f"line_{number} = {number}\n" for number in range(20))
    first = repo.commit(files | {"a.py": text, f"{folder}b.py": text + text})
    source = Source(str(repo.path))
    before = measure(source, chosen).history.churn
    assert before == 20 + len(rules.splitlines())
    start = first if since else None

    def churn() -> int:
        figures = measure(source, chosen, start)
        assert (figures.since is not None) is since
        return figures.history.churn - (0 if since else before)

    # Moved into the folder: nothing, not even deleted lines.
    repo.rename("a.py", f"{folder}a.py", {f"{folder}a.py": text + "more = 1\n"})
    assert churn() == 0
    # Moved out of it: the lines that changed with the move, as for any rename.
    repo.rename(f"{folder}b.py", "b.py", {"b.py": text + text + "more = 1\n"})
    assert churn() == 1
    # Rewritten in the move, it is no rename for git: all of its lines are new.
    repo.commit({f"{folder}a.py": None, "c.py": "".join(f"{n}\n" for n in range(7))})
    assert churn() == 1 + 7
