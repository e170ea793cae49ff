"""Histories of years, written by one `git fast-import` each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from demo.writing import LANGUAGES, NOUNS, VERBS, Language
from tests.support.fast_import import changes, data
from tests.support.repos import run_git

DEVELOPER_ADDRESS: Final = "demo@example.org"
DEVELOPER: Final = f"Demo Developer <{DEVELOPER_ADDRESS}>"
GUEST: Final = "Helpful Guest <guest@example.org>"
BY_A_GUEST: Final = 0.08
WORKING_DAYS: Final = 5
BRANCH: Final = "refs/heads/main"


@dataclass(frozen=True)
class Plan:
    """The plan of a history: its languages by weight, its size, its first and last days.

    The days are counted back from today.
    """

    languages: dict[str, int]
    commits: int
    first_day: int
    last_day: int = 0
    files: int = 12


@dataclass
class Tree:
    """The files of a repository after the commits so far."""

    chance: random.Random
    plan: Plan
    files: dict[str, list[str]] = field(default_factory=dict)

    def change(self) -> dict[str, str]:
        """Make one commit's changes and return the files' new contents by path."""
        return dict(self._change_file() for _ in range(self.chance.choice((1, 1, 1, 2, 3))))

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each language, the largest first."""
        by_suffix = {language.suffix: name for name, language in LANGUAGES.items()}
        found: Counter[str] = Counter()
        for path, blocks in self.files.items():
            found[by_suffix[Path(path).suffix]] += sum(map(len, blocks))
        return dict(found.most_common())

    def _change_file(self) -> tuple[str, str]:
        chance = self.chance
        if len(self.files) < 2 or (len(self.files) < self.plan.files and chance.random() < 0.15):
            path = self._new_path()
            language = _language_of(path)
            self.files[path] = [language.write_opening(chance), language.write_block(chance)]
        else:
            path = chance.choice(list(self.files))
            self._change_blocks(path)
        return path, "".join(self.files[path])

    def _change_blocks(self, path: str) -> None:
        chance, blocks, language = self.chance, self.files[path], _language_of(path)
        kind = chance.random()
        if kind < 0.55 or len(blocks) < 3:
            blocks.insert(chance.randrange(1, len(blocks) + 1), language.write_block(chance))
        elif kind < 0.85:
            blocks[chance.randrange(1, len(blocks))] = language.write_block(chance)
        else:
            del blocks[chance.randrange(1, len(blocks))]

    def _new_path(self) -> str:
        names, weights = zip(*self.plan.languages.items(), strict=True)
        suffix = LANGUAGES[self.chance.choices(names, weights)[0]].suffix
        stems = [f"{self.chance.choice(NOUNS)}_{self.chance.choice(VERBS)}" for _ in range(9)]
        return next(path for stem in stems if (path := f"src/{stem}{suffix}") not in self.files)


@dataclass(frozen=True)
class History:
    """A written history: the time of its last commit, and the bytes of each language."""

    pushed_at: datetime | None
    languages: dict[str, int]

    @property
    def kilobytes(self) -> int:
        """Return the size as GitHub gives it."""
        return sum(self.languages.values()) // 1024


EMPTY: Final = History(None, {})


def write_history(repository: Path, plan: Plan, seed: str, now: datetime) -> History:
    """Write a plan's commits into a bare repository; the same for equal seeds and times."""
    chance = random.Random(seed)  # noqa: S311 - nothing to guess
    tree = Tree(chance, plan)
    times = commit_times(plan, chance, now)
    stream = [_commit(tree, when, chance) for when in times]
    run_git(repository, "fast-import", "--quiet", stdin=b"".join(stream))
    run_git(repository, "symbolic-ref", "HEAD", BRANCH)
    return History(times[-1], tree.sizes())


def commit_times(plan: Plan, chance: random.Random, now: datetime) -> list[datetime]:
    """Choose the times of commits, oldest first, in weeks that are busy and weeks that are quiet.

    The first and the last day of the plan have commits.
    """
    days = [*_working_days(plan, chance, now)]
    chosen = [plan.first_day, plan.last_day, *chance.choices(days, k=plan.commits - 2)]
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    times = []
    for day in chosen:
        # Evenings mostly; what is of today must be over.
        second = int(chance.triangular(7 * 3600, 24 * 3600 - 1, 20 * 3600))
        times.append(midnight - timedelta(days=day) + timedelta(seconds=second))
    return sorted(min(when, now) for when in times)


def _working_days(plan: Plan, chance: random.Random, now: datetime) -> Iterator[int]:
    """Yield days, each once for every commit on it."""
    zeal = 1.0
    for day in range(plan.first_day, plan.last_day - 1, -1):
        when = now - timedelta(days=day)
        if when.weekday() == 0:
            zeal = chance.choice((0.0, 0.1, 0.4, 1.0, 1.0))
        weight = zeal if when.weekday() < WORKING_DAYS else zeal * 0.4
        if chance.random() < weight or day <= plan.last_day + WORKING_DAYS:
            yield from [day] * chance.choice((1, 1, 2, 4))


def _commit(tree: Tree, when: datetime, chance: random.Random) -> bytes:
    author = GUEST if chance.random() < BY_A_GUEST else DEVELOPER
    stamp = b"%d +0000" % int(when.timestamp())
    subject = f"{chance.choice(VERBS).title()} the {chance.choice(NOUNS)}"
    return b"".join(
        (
            b"commit %s\n" % BRANCH.encode(),
            b"author %s %s\n" % (author.encode(), stamp),
            b"committer %s %s\n" % (author.encode(), stamp),
            data(subject.encode()) + b"\n",
            b"\n".join([*changes(tree.change()), b"", b""]),
        )
    )


def _language_of(path: str) -> Language:
    suffix = Path(path).suffix
    return next(each for each in LANGUAGES.values() if each.suffix == suffix)
