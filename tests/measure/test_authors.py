"""The authors of commits: equal to `git log --author`, over increments, too."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from measure import Figures, History, Options, Source, fetch, fingerprint, measure
from measure.authors import Author, Authors
from measure.history import read_history
from tests.measure.test_incremental import Sums
from tests.support.measuring import options, write_stub_cloc
from tests.support.oracle import ask, count_bots
from tests.support.random_author import Author as Developer
from tests.support.repos import RepoBuilder

CHUNKS = 10
BY_DEFAULT = 1
HISTORIES = 3  # of a chunk

ADA = "Ada Tester <ada@example.org>"
WORK = "Ada Tester <Ada.Tester@Work.example>"
BOB = "Bob <bob@example.org>"
NOREPLY = "me <7+me@users.noreply.github.com>"
BOT = "dependabot[bot] <49699333+dependabot[bot]@users.noreply.github.com>"
AUTHORS = (
    ADA,
    WORK,
    BOB,
    NOREPLY,
    BOT,
    "Renovate [BOT] <renovate@work.example>",
    "<nobody@example.org>",
    "\udcff <latin@work.example>",
    "Ada <>",
)
MAILMAPS = (
    b"",
    b"Ada Tester <ada@example.org> <bob@example.org>\n",
    b"Ada Tester <ada@example.org> <Ada.Tester@Work.example>\nno address\n<\n",
    b"Robot[bot] <robot@work.example> Bob <bob@example.org>\n",
    b"<me@work.example> <7+me@users.noreply.github.com>\n\xff <x@work.example> <nobody@example.org>"
    b"\n",
)
OWN = {
    ("ada@example.org",): [r"<ada@example\.org>"],
    ("*@work.example", "bob@*"): [r"<[^<>]*@work\.example>", r"<bob@[^<>]*>"],
    ("7+*@users.noreply.github.com",): [r"<7\+[^<>]*@users\.noreply\.github\.com>"],
    ("*",): ["."],
    (): [],
}
"""Patterns of addresses, and the same as git log takes them."""


class Crowd(RepoBuilder):
    """A repository whose commits have random authors."""

    chance = random.Random(0)

    def _import_commit(self, commands: list[bytes], *more: Any) -> str:
        when, tz, message, _, parents = more
        author = self.chance.choice(AUTHORS)
        return super()._import_commit(commands, when, tz, message, author, parents)


@pytest.fixture
def without_count(tmp_path: Path) -> Options:
    return options(tmp_path / "scratch", cloc_path=write_stub_cloc(tmp_path))


def only_own(figures: Figures) -> Figures:
    """Return figures whose history is the part that is own."""
    history, own = figures.history, figures.history.own
    assert own is not None
    assert sum(day.commits for day in own.days.values()) <= own.commits
    assert all(day.commits for day in own.days.values())
    part = replace(history, additions=own.additions, deletions=own.deletions, days=own.days)
    return replace(figures, history=replace(part, commits=own.commits, own=None))


@pytest.mark.parametrize(
    "chunk",
    [pytest.param(n, marks=pytest.mark.long if n >= BY_DEFAULT else ()) for n in range(CHUNKS)],
)
def test_random_histories(chunk, tmp_path: Path, without_count, monkeypatch):
    increments = mapped = 0
    for number in range(HISTORIES):
        seed = chunk * 1000 + number
        chance = random.Random(seed)
        monkeypatch.setattr(fetch, "DEPTHS", chance.choice([(2, 5), (4, 12), (64, 1024)]))
        patterns = chance.choice(list(OWN))
        chosen = replace(without_count, author_patterns=patterns)
        repo = Crowd(tmp_path / f"source-{number}")
        repo.chance = chance
        developer = Developer(repo, chance)
        sums, bots = Sums(), 0
        for _ in range(5):
            figures = measure(Source(str(repo.path)), chosen, sums.head)
            increments += figures.since is not None
            bots = figures.history.bot_commits + (bots if figures.since is not None else 0)
            sums.take(only_own(figures))
            truth = ask(str(repo.path), tmp_path, count=False, authors=OWN[patterns])
            assert sums.truth is not None
            # The times of the first and last commit are stored for all commits only.
            known = replace(sums.truth, first=truth.first, last=truth.last)
            assert known == truth, f"seed {seed}"
            assert bots == count_bots(str(repo.path), tmp_path), f"seed {seed}"
            developer.work()
            if chance.random() < 0.4:
                mapped += 1
                repo.commit({".mailmap": chance.choice(MAILMAPS)}, when=developer.when())
    assert increments
    assert mapped


def test_a_mailmap_that_changes_means_everything(tmp_path: Path, without_count):
    repo = RepoBuilder(tmp_path / "source")
    repo.commit({"a.py": b"1\n"}, author=BOB)
    chosen = replace(without_count, author_patterns=("ada@example.org",))
    before = measure(Source(str(repo.path)), chosen)
    repo.commit({".mailmap": b"<ada@example.org> <bob@example.org>\n"}, author=ADA)

    after = measure(Source(str(repo.path)), chosen, before.head_sha)

    assert before.history.own is not None
    assert before.history.own.commits == 0
    assert after.since is None
    assert after.history.own is not None
    assert after.history.own.commits == 2


@pytest.mark.parametrize("mailmap", [None, MAILMAPS[1]])
def test_one_reads_what_two_read(mailmap, tmp_path: Path, without_count, monkeypatch):
    repo = RepoBuilder(tmp_path / "source")
    for number, author in enumerate(AUTHORS * 2):
        repo.commit({"a.py": b"x\n" * (number + 1), ".mailmap": mailmap}, author=author)
    chosen = replace(without_count, author_patterns=("ada@*",))
    alone = measure(Source(str(repo.path)), chosen)
    monkeypatch.setattr("measure.reading.SPLIT_FROM", 0)
    monkeypatch.setattr("measure.reading._cores", lambda: 2)

    assert measure(Source(str(repo.path)), chosen).history == alone.history
    assert alone.history.own is not None
    assert alone.history.own.commits == (2 if mailmap is None else 4)
    assert alone.history.bot_commits == 4


def test_a_mailmap_that_is_no_file_maps_nothing(tmp_path: Path, without_count):
    repo = RepoBuilder(tmp_path / "source")
    repo.commit({".mailmap/a.py": b"1\n"}, author=ADA)
    chosen = replace(without_count, author_patterns=("ada@example.org",))

    own = measure(Source(str(repo.path)), chosen).history.own

    assert own is not None
    assert (own.commits, own.churn) == (1, 1)


@pytest.mark.parametrize(
    ("author", "whose"),
    [
        (b"ada@example.org\nAda", Author.OWN),
        (b"ADA@Example.ORG\n", Author.OWN),
        (b"ada@example.org.evil.test\nada@example.org", Author.OTHER),
        (b"x@acme.com\n", Author.OWN),
        (b"x@notacme.com\n", Author.OTHER),
        (b"\xff@acme.com\n\xff", Author.OWN),
        (b"x@acme.com\ncrawler[Bot]", Author.BOT),
        (b"robot[bot]@acme.com\nx", Author.BOT),
        (b"bot@acme.org\nbot", Author.OTHER),
        (b"", Author.OTHER),
    ],
)
def test_authors_are_told_apart(author, whose):
    assert Authors(["ada@example.org", "*@acme.com"]).find(author) is whose


def test_own_is_not_known_where_nobody_says_whose(tmp_path: Path):
    log = [b"@1\nada@example.org\nAda\0@2\nx[bot]@y\nx\0"]

    history = read_history(log, frozenset(), Authors(None))

    assert history.own is None
    assert history.bot_commits == 1
    assert _own(read_history(log, frozenset(), Authors([]))) == 0
    assert _own(read_history(log, frozenset(), Authors(["*"]))) == 1


def test_a_commit_without_a_date_is_own_and_on_no_day():
    history = read_history([b"@\nada@x\nAda\0\n2\t1\ta\0"], frozenset(), Authors(["ada@x"]))

    assert history.own is not None
    assert (history.own.commits, history.own.churn, history.own.days) == (1, 3, {})


def test_the_fingerprint_holds_whose_commits_are_own(tmp_path: Path):
    chosen = options(tmp_path / "scratch")
    patterns = [None, (), ("a@b",), ("a@b", "c@d")]
    words = {fingerprint("cloc 1", replace(chosen, author_patterns=each)) for each in patterns}

    assert len(words) == len(patterns)
    turned = replace(chosen, author_patterns=("c@d", "a@b"))
    assert fingerprint("cloc 1", turned) in words


def _own(history: History) -> int:
    assert history.own is not None
    return history.own.commits
