"""Every month's lines are cloc's own, and a commit counted by its changes is counted as a whole."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from errors import EmptyRepository, MeasureError
from measure import Options, Source, blobs, checkout, growth
from measure.changed import count_changed
from measure.checkout import check_out, list_files
from measure.cloc import ClocFailed, find_cloc, parse_files
from measure.fetch import fetch_commits
from measure.figures import Advance
from measure.git import Git
from measure.growth import (
    By,
    Snapshot,
    changes_current_alone,
    measure_growth,
    period_commits,
)
from measure.stored_counts import decode, encode
from measure.trees import AttributesCheck, Counts, read_tree
from measure.workspace import remove, temporary_workspace
from tests.support.git_server import GitServer
from tests.support.measuring import options
from tests.support.oracle import remove_generated
from tests.support.random_history import (
    COUNTED_WHOLE,
    DAY,
    GENERATED,
    GENERATED_NAMES,
    HARMLESS,
    NAMES,
    grow,
)
from tests.support.repos import Entry, RepoBuilder, run_git

# What cloc says of a whole checkout comes from a cloc of its own, see whole().
pytestmark = pytest.mark.usefixtures("preloaded_cloc")

EXCLUDED = frozenset({"build", "dist"})
NOVEMBER = datetime(2023, 11, 20, tzinfo=UTC)


@contextlib.contextmanager
def cloned(repo: RepoBuilder, chosen: Options) -> Iterator[Git]:
    with temporary_workspace(chosen.scratch) as folder:
        git = Git(Source(str(repo.path)), chosen, folder)
        fetch_commits(git, None)
        yield git


def whole(git: Git, commit: str) -> dict[str, int]:
    """Return what cloc says of a checkout, without the generated files where they are left out."""
    chosen = git.options
    git.options = replace(chosen, exclude_generated=False)
    check_out(git, list_files(git, commit, chosen.exclude_dirs))
    git.options = chosen
    try:
        if chosen.exclude_generated:
            run_git(git.tree, "init", "--quiet")
            remove_generated(git.tree)
        cloc = find_cloc(None, git.options.search_path)
        return cloc.count(git.tree, git.folder, 60, git.options.memory_mb, git.scope).languages
    finally:
        remove(git.tree)


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    return RepoBuilder(tmp_path / "repo")


@pytest.mark.needs_cloc
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_counting_changes_gives_what_counting_the_whole_gives(
    repo: RepoBuilder, tmp_path: Path, seed: int
):
    commits = grow(repo, random.Random(seed), 9)
    known: Counts = {}
    ways = []
    with cloned(repo, options(tmp_path / "scratch", exclude_dirs=EXCLUDED)) as git:
        for commit in commits:
            listing = list_files(git, commit, EXCLUDED)
            counted, counts = count_changed(git, listing, known)
            remove(git.tree)
            assert counted.languages == whole(git, commit), commit
            assert counted.loc == sum(counted.languages.values())
            assert counted.source == "cloc"
            ways.append(bool(counts))
            known = decode(encode(counts)) or known
    assert True in ways
    assert False in ways


@pytest.mark.needs_cloc
@pytest.mark.parametrize("seed", [3, pytest.param(5, marks=pytest.mark.long)])
def test_counting_changes_leaves_generated_files_out_as_counting_the_whole_does(
    repo: RepoBuilder, tmp_path: Path, seed: int
):
    names = (*NAMES, *GENERATED_NAMES * 2)
    commits = grow(repo, random.Random(seed), 9, names=names, harmless=GENERATED)
    chosen = options(tmp_path / "scratch", exclude_dirs=EXCLUDED, exclude_generated=True)
    known: Counts = {}
    ways: set[tuple[bool, bool]] = set()
    with cloned(repo, chosen) as git:
        for commit in commits:
            counted, counts = count_changed(git, list_files(git, commit, EXCLUDED), known)
            remove(git.tree)
            assert counted.languages == whole(git, commit), commit
            ways.add((bool(counts), counted.excluded_files > 0))
            known = decode(encode(counts)) or known
    assert {(True, True), (False, True)} <= ways


@pytest.mark.needs_cloc
@pytest.mark.parametrize(
    ("seed", "names", "harmless"),
    [
        (4, NAMES, HARMLESS),
        pytest.param(6, (*NAMES, *GENERATED_NAMES), GENERATED, marks=pytest.mark.long),
    ],
    ids=["everything", "without-generated"],
)
def test_growth_is_clocs_own_figure_for_each_month(
    repo: RepoBuilder, tmp_path: Path, seed: int, names, harmless, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(blobs, "BATCH_FILES", 7)
    monkeypatch.setattr(growth, "PENDING_FILES", 60)
    monkeypatch.setattr(growth, "MOST_COUNTS", 20)
    commits = grow(repo, random.Random(seed), 16, 30 * DAY, names, harmless)
    chosen = options(
        tmp_path / "scratch", exclude_dirs=EXCLUDED, exclude_generated=harmless is GENERATED
    )
    now = datetime.fromtimestamp(repo.clock + 40 * DAY, UTC)

    snapshots = list(measure_growth(Source(str(repo.path)), chosen, now=now))

    assert len(snapshots) >= 12
    assert snapshots[-1].commit == commits[-1]
    with cloned(repo, chosen) as git:
        truth = {commit: whole(git, commit) for commit in {each.commit for each in snapshots}}
    assert {each.period: each.languages for each in snapshots} == {
        each.period: truth[each.commit] for each in snapshots
    }


@pytest.mark.needs_cloc
@pytest.mark.parametrize("path", COUNTED_WHOLE, ids=repr)
def test_what_more_than_blobs_and_names_decides_is_counted_whole(
    repo: RepoBuilder, tmp_path: Path, path: bytes
):
    repo.commit({"a.py": "x = 1\n", "größe.go": "x\n"})
    repo.commit({path: COUNTED_WHOLE[path]})
    with cloned(repo, options(tmp_path / "scratch")) as git:
        plain, special = (list_files(git, f"HEAD{back}", frozenset()) for back in ("~1", ""))
        assert read_tree(git, special, AttributesCheck(git)) is None
        plain = list_files(git, "HEAD~1", frozenset())
        assert read_tree(git, plain, AttributesCheck(git)) is not None


def test_of_many_large_attributes_few_are_held_at_a_time(
    repo: RepoBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = b"# %s\n" % (b"note " * 100_000)
    repo.commit({f"{n}/.gitattributes": b"# %d\n" % n + text for n in range(100)})
    repo.commit({"zz/.gitattributes": b"*.py eol=crlf\n"})
    answers = []
    ask = Git.ask

    def record(git, *arguments, **named):
        answers.append(ask(git, *arguments, **named))
        return answers[-1]

    monkeypatch.setattr(Git, "ask", record)
    with cloned(repo, options(tmp_path / "scratch")) as git:
        altering = list_files(git, "HEAD", frozenset())
        altering.files = altering.files.rename(tmp_path / "altering")
        plain = list_files(git, "HEAD~1", frozenset())
        check = AttributesCheck(git)
        assert read_tree(git, plain, check) is not None
        assert read_tree(git, altering, check) is None

    assert max(map(len, answers)) < 20 << 20


@pytest.mark.needs_cloc
@pytest.mark.parametrize("more", ["", ".gitattributes linguist-generated\n"])
def test_copies_that_a_checkout_makes_different_both_count(
    repo: RepoBuilder, tmp_path: Path, more: str
):
    same = "# $Id$\nvalue = 1\n"
    repo.commit({"a.py": same, "src/b.py": same, "src/.gitattributes": f"*.py ident\n{more}"})
    with cloned(repo, options(tmp_path / "scratch", exclude_generated=bool(more))) as git:
        counted, counts = count_changed(git, list_files(git, "HEAD", frozenset()), {})

    assert counted.languages == {"Python": 2}
    assert counted.excluded_files == bool(more)
    assert counts == {}


@pytest.mark.needs_cloc
def test_of_duplicates_the_last_path_is_counted(repo: RepoBuilder, tmp_path: Path):
    same = "value = 1\n# note\n"
    repo.commit({"a.c": same, "b.py": same, "z.unknown": same})
    repo.commit({"m/x": Entry("120000", b"../a.c")})
    chosen = options(tmp_path / "scratch")

    (snapshot,) = measure_growth(Source(str(repo.path)), chosen, now=NOVEMBER)

    with cloned(repo, chosen) as git:
        assert snapshot.languages == whole(git, "HEAD") == {"Python": 1}


@pytest.mark.needs_cloc
def test_growth_goes_on_where_it_ended(
    repo: RepoBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for month in range(1, 8):
        repo.commit({"a.py": "x = 1\n" * month}, when=datetime(2023, month, 3, tzinfo=UTC))
    chosen = options(tmp_path / "scratch")
    source = Source(str(repo.path))
    everything = list(measure_growth(source, chosen, now=NOVEMBER))
    asked: list[str] = []
    count_commits = growth.count_commits

    def counting(git, cloc, commits):
        asked.extend(commits)
        return count_commits(git, cloc, commits)

    monkeypatch.setattr(growth, "count_commits", counting)
    with contextlib.closing(measure_growth(source, chosen, now=NOVEMBER)) as broken_off:
        known = [next(broken_off) for _ in range(4)]
    asked.clear()

    assert list(measure_growth(source, chosen, known, now=NOVEMBER)) == everything
    assert asked == [each.commit for each in everything[4:7]]
    asked.clear()
    assert list(measure_growth(source, chosen, everything, now=NOVEMBER)) == everything
    assert asked == []
    assert [each.loc for each in everything] == [1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7]
    years = measure_growth(source, chosen, everything, by="year", now=NOVEMBER)
    assert [(each.period, each.loc) for each in years] == [("2023", 7)]


@pytest.mark.needs_cloc
def test_a_rewritten_history_is_measured_anew(repo: RepoBuilder, tmp_path: Path):
    first = repo.commit({"a.py": "x = 1\n"}, when=datetime(2023, 9, 3, tzinfo=UTC))
    repo.commit({"a.py": "x = 1\n" * 5}, when=datetime(2023, 10, 3, tzinfo=UTC))
    chosen = options(tmp_path / "scratch")
    known = list(measure_growth(Source(str(repo.path)), chosen, now=NOVEMBER))
    repo.reset(first)
    repo.commit({"a.py": "x = 1\n" * 9}, when=datetime(2023, 10, 4, tzinfo=UTC))

    anew = list(measure_growth(Source(str(repo.path)), chosen, known, now=NOVEMBER))

    assert [each.loc for each in known] == [1, 5, 5]
    assert [each.loc for each in anew] == [1, 9, 9]


@pytest.mark.needs_cloc
def test_batches_hold_no_more_than_they_may(
    repo: RepoBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(blobs, "BATCH_BYTES", 100)
    repo.commit({f"f{n}/same.py": f"x = {n}\n" * (n + 1) for n in range(30)})
    written = []
    write_files = checkout.write_files

    def write(git, records, folder):
        write_files(git, records, folder)
        written.append([file.stat().st_size for file in folder.rglob("*.py")])

    monkeypatch.setattr(blobs, "write_files", write)
    (snapshot,) = measure_growth(
        Source(str(repo.path)), options(tmp_path / "scratch"), now=NOVEMBER
    )

    assert snapshot.languages == {"Python": sum(range(31))}
    assert sum(map(len, written)) == 30
    assert all(sum(batch) <= 100 or len(batch) == 1 for batch in written)


def test_growth_needs_cloc_and_a_commit(repo: RepoBuilder, tmp_path: Path):
    source = Source(str(repo.path))
    with pytest.raises(MeasureError, match="cloc is not installed"):
        list(measure_growth(source, options(tmp_path / "s", search_path=str(tmp_path))))
    if find_cloc_or_none() is not None:
        with pytest.raises(EmptyRepository):
            list(measure_growth(source, options(tmp_path / "s")))


def find_cloc_or_none() -> object:
    with contextlib.suppress(ClocFailed):
        return find_cloc(None, "/usr/local/bin:/usr/bin:/bin")
    return None


@pytest.mark.needs_cloc
def test_a_link_longer_than_any_path_is_no_link(
    repo: RepoBuilder, git_server: GitServer, tmp_path: Path
):
    repo.commit({"a.py": "x = 1\n"})
    repo.commit({"link.py": Entry("120000", b"x" * 5000)})
    with cloned(repo, options(tmp_path / "scratch")) as git:
        assert whole(git, "HEAD") == {"Python": 1}


def when(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp())  # type: ignore[arg-type,misc]


def test_a_months_commit_is_the_first_from_head_on_that_is_not_after_its_end():
    first_parents = [
        ("head", when(2024, 3, 5)),
        ("early", when(2024, 1, 9)),
        ("late", when(2024, 2, 29, 23, 59, 59)),  # never the first that is not after any end
        ("undated", None),
        ("december", when(2023, 12, 31, 23, 59, 59)),
        ("october", when(2023, 10, 1)),
    ]

    commits = period_commits(first_parents, "head", "month", datetime(2024, 4, 1, tzinfo=UTC))

    assert list(commits.items()) == [
        ("2023-10", "october"),
        ("2023-11", "october"),
        ("2023-12", "december"),
        ("2024-01", "early"),
        ("2024-02", "early"),
        ("2024-03", "head"),
        ("2024-04", "head"),
    ]
    years = period_commits(first_parents, "head", "year", datetime(2024, 4, 1, tzinfo=UTC))
    assert list(years.items()) == [("2023", "december"), ("2024", "head")]


@pytest.mark.parametrize("by", ["month", "year"])
def test_a_push_that_changes_the_current_period_alone_is_told(by: By):
    chance = random.Random(5)
    clock = when(2024, 1, 1)
    told = []
    for _ in range(4000):
        clock += 90 * DAY
        old = [(f"o{n}", date(chance, clock)) for n in range(chance.randrange(1, 4))]
        new = [(f"n{n}", date(chance, clock)) for n in range(chance.randrange(1, 3))]
        before = chance.choice([clock, clock - 20 * DAY, clock - 200 * DAY])
        former = changes(period_commits(old, "o0", by, day(before)))
        current = changes(period_commits(new + old, "n0", by, day(clock)))
        dated = [second for _, second in new if second is not None]
        advance = Advance(min(dated, default=None), old[0][1])

        alone = changes_current_alone(list(former)[-1], advance, by, day(clock))

        now = list(period_commits([], "n0", by, day(clock)))[-1]
        kept = {period: commit for period, commit in former.items() if period != now}
        if alone:
            assert current == kept | {now: "n0"}
        told.append(alone)
    assert 400 < sum(told) < 3600


def date(chance: random.Random, clock: int) -> int | None:
    """Date a commit as clocks do, right or wrong, or not at all."""
    ago = chance.choice([0, 5 * DAY, 40 * DAY, 500 * DAY, -40 * DAY])
    return None if chance.random() < 0.05 else clock - ago - chance.randrange(10 * DAY)


def day(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def changes(commits: dict[str, str]) -> dict[str, str]:
    """Leave out the periods whose commit is that of the period before."""
    kept: dict[str, str] = {}
    for period, commit in commits.items():
        if not kept or list(kept.values())[-1] != commit:
            kept[period] = commit
    return kept


def test_a_head_from_the_future_is_the_current_months():
    first_parents = [("head", when(2099, 1, 1)), ("old", 0)]

    commits = period_commits(first_parents, "head", "month", datetime(1970, 3, 1, tzinfo=UTC))

    assert list(commits.items()) == [("1970-01", "old"), ("1970-02", "old"), ("1970-03", "head")]


def test_stored_counts_are_small_and_come_back_as_they_were():
    chance = random.Random(1)
    counts: Counts = {
        (chance.randbytes(20).hex().encode(), b"file-%d.py" % number): ("Python", number)
        for number in range(3000)
    }
    counts[b"0" * 40, b"odd \xff\n.txt"] = None

    value = encode(counts)

    assert decode(value) == counts
    assert len(value) < 40 * len(counts)
    assert decode(encode({})) == {}
    longer: Counts = {(b"a" * 64, b"x.c"): ("C", 2**32 - 1)}
    assert decode(encode(longer)) == longer


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_broken_stored_counts_are_told(cut: int):
    value = encode({(b"0" * 40, b"a.py"): ("Python", 3)})
    with pytest.raises(ValueError, match="stored counts"):
        decode(value[:cut])


def test_a_table_of_files_is_read_whatever_they_are_called():
    table = (
        b'language,filename,blank,comment,code,"cloc"\n'
        b'Python,./0/a,"b".py,1,2,3\nC,./1/\xff.c,0,0,4\nSUM,,1,2,7\n'
    )
    assert parse_files(b"\n" + table) == [
        (b'0/a,"b".py', "Python", 3),
        (b"1/\xff.c", "C", 4),
    ]
    assert parse_files(b"\n") == []
    for broken in (b"words", table.replace(b"SUM", b"SU"), table.replace(b",7", b",8")):
        with pytest.raises(ClocFailed):
            parse_files(broken)


def test_a_snapshot_adds_up():
    assert Snapshot("2023-01", "c", {"C": 3, "Go": 4}).loc == 7
