"""Random changes to a repository, like those of people, with clocks of any kind."""

from __future__ import annotations

import random

from tests.support.repos import Entry, RepoBuilder

DAY = 86_400
YEAR_2020 = 1_577_836_800
MODULES = b'[submodule "sub"]\n\tpath = lib/sub\n\turl = ../sub\n'
DATINGS = ("forward", "backward", "equal", "anywhere", "epoch")
PATHS = ("a.py", "b.py", "lib/c.py", "lib/dist/d.js", "build/e.txt", "f.bin", "@odd\t1\n.py")
ZONES = ("+0000", "+0530", "-0800", "+1400")


def tick(dating: str, chance: random.Random, clock: int) -> int:
    """Return the next date: later, earlier, or far away."""
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
    """An author who changes a repository at random."""

    files: tuple[str, ...] = PATHS
    rules: tuple[bytes, ...] = (b"*.py -diff\n", b"*.bin diff\n", b"*.js binary\n", b"")

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
        self.before_run: str | None = None

    def commit(self) -> None:
        path = self.chance.choice(self.files)
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
        """Return a commit's date by its author's clock, at times by another one."""
        dating = self.dating
        if self.chance.random() < 0.15:
            dating = self.chance.choice(DATINGS)
        self.clock = tick(dating, self.chance, self.clock)
        return self.clock

    def paint(self) -> None:
        """Commit a run dated long ago, longer than git's search for commits out of order."""
        self.before_run = self.repo.head
        for number in range(self.chance.randint(8, 16)):
            self.repo.commit({"a.py": b"painted %d\n" % self.chance.randrange(99)}, when=number)
        self.paths[self.branch].add("a.py")

    def rename(self) -> None:
        known = self.paths[self.branch]
        free = sorted(set(self.files) - known)
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
        if self.before_run is not None:
            start, self.before_run = self.before_run, None
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
        rule = self.chance.choice(self.rules)
        place = self.chance.choice([".gitattributes", "lib/.gitattributes"])
        self.repo.commit({place: rule}, when=self.when())

    def edit_modules(self) -> None:
        """Set whether git shows a submodule's changes."""
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
        if self.before_run is not None:
            self.merge_old_branch()
        for _ in range(self.chance.choice([0, 1, 1, 2, 3, 6])):
            actions = [self.commit] * 12 + [self.rename] * 3 + [self.merge_old_branch] * 4
            actions += [self.merge_again, self.move_submodule] * 2 + [self.edit_modules]
            actions += [self.force_push, self.switch_branch, self.edit_attributes, self.new_root]
            self.chance.choice(actions)()
        if self.chance.random() < 0.3:
            self.paint()

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
        return [name for name in names.split("\0") if name in self.files]


class VendoringAuthor(Author):
    """Commit lock files, minified files, and what .gitattributes marks as vendored, too."""

    files = (
        *PATHS,
        "package-lock.json",
        "lib/yarn.lock",
        "lib/c.min.js",
        "vendor/c.py",
        "vendor/own/c.py",
        'vendor\n/"c".py',
    )
    rules = (
        b"vendor/** linguist-vendored\nvendor/own/* -linguist-vendored\n",
        b"[attr]made linguist-generated=true\n*.js made\nlib/dist/* linguist-generated=false\n",
        b"*.lock -linguist-generated\n@odd* linguist-vendored\n*.py -diff\n",
        b"*.json linguist-generated=false linguist-vendored\n*.min.js !linguist-generated\n",
        b"* linguist-generated\n.gitattributes -linguist-generated\n",
        b"*.txt linguist-language=C\n",
        b"",
    )
