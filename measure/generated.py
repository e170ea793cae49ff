"""Files that were not written by hand: vendored, generated, lock files and minified ones.

One policy decides which of them are left out of lines of code and churn alike, by the path alone,
which is all that a checkout and a history have in common:
- what .gitattributes marks `linguist-vendored` or `linguist-generated` is left out;
- otherwise, what it marks as neither (`-linguist-generated`, `linguist-generated=false`) is kept,
  whatever its name;
- otherwise, lock files and minified files are left out, by their names.
Attributes are those of `git check-attr` for one commit's .gitattributes files.

Linguist, GitHub's detection of languages, has the same attributes, and treats most of these names
as generated, too (github-linguist/linguist, lib/linguist/generated.rb and vendor.yml).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .git import Git, GitFailed

ATTRIBUTES = ("linguist-vendored", "linguist-generated")
PREFIX = "linguist-"  # in every .gitattributes file that sets one of these, by a macro as well
UNSPECIFIED = b"unspecified"
NO = frozenset({b"unset", b"false"})

LOCK_FILES = frozenset(
    {
        b".terraform.lock.hcl",
        b"Cargo.lock",
        b"Cartfile.resolved",
        b"Chart.lock",
        b"Gemfile.lock",
        b"Gopkg.lock",
        b"MODULE.bazel.lock",
        b"Package.resolved",
        b"Pipfile.lock",
        b"Podfile.lock",
        b"bun.lock",
        b"bun.lockb",
        b"composer.lock",
        b"conda-lock.yml",
        b"deno.lock",
        b"esy.lock",
        b"flake.lock",
        b"glide.lock",
        b"go.sum",
        b"go.work.sum",
        b"gradle.lockfile",
        b"mix.lock",
        b"npm-shrinkwrap.json",
        b"package-lock.json",
        b"packages.lock.json",
        b"pdm.lock",
        b"pixi.lock",
        b"pnpm-lock.yaml",
        b"poetry.lock",
        b"pubspec.lock",
        b"pylock.toml",
        b"stack.yaml.lock",
        b"symfony.lock",
        b"uv.lock",
        b"yarn.lock",
    }
)
MINIFIED = re.compile(rb"[.-]min\.(?:js|mjs|cjs|css)(?:\.map)?\Z")

POLICY = (1, ATTRIBUTES, sorted(name.decode() for name in LOCK_FILES), MINIFIED.pattern.decode())
"""All that the policy depends on, for the fingerprint; the number is the version of its rules."""

BATCH_BYTES = 1 << 20  # of paths that are passed to git at a time


@dataclass(frozen=True)
class GeneratedFiles:
    """The policy with one commit's attributes.

    `index` is a git index with the commit's .gitattributes files; None where none of them sets an
    attribute of the policy, so that only names decide.
    """

    git: Git
    index: Path | None

    def find(self, paths: Iterable[bytes]) -> set[bytes]:
        """Return the paths that are left out. Raises MeasureError."""
        paths = set(paths)
        found = {path for path in paths if _is_lock_or_minified(path)}
        if self.index is not None:
            for batch in _batches(filter(_can_have_attributes, paths)):
                for path, values in self._ask(batch, self.index):
                    if not values <= NO:
                        found.add(path)
                    elif values:
                        found.discard(path)
        return found

    def _ask(self, paths: list[bytes], index: Path) -> Iterator[tuple[bytes, set[bytes]]]:
        """Yield each path with its values of the policy's attributes."""
        question = b"".join(b"%s\0" % path for path in paths)
        check = ["check-attr", "--cached", "--stdin", "-z", *ATTRIBUTES]
        answer = self.git.ask(check, question, index=index).split(b"\0")
        step = 3 * len(ATTRIBUTES)  # for each attribute: path, attribute, value
        for start in range(0, len(answer) - 1, step):
            yield answer[start], set(answer[start + 2 : start + step : 3]) - {UNSPECIFIED}


def generated_files(git: Git, attributes: Path) -> GeneratedFiles:
    """Return the policy with the .gitattributes files of a Listing."""
    if not attributes.stat().st_size:
        return GeneratedFiles(git, None)
    index = git.folder / "linguist.index"
    index.unlink(missing_ok=True)  # or another commit's files would stay
    git.write(["update-index", "-z", "--index-info"], git.folder, index, attributes)
    return GeneratedFiles(git, index if _mention(git, index, PREFIX) else None)


def _mention(git: Git, index: Path, word: str) -> bool:
    """Return whether one of the files of an index contains a word."""
    try:
        git.ask(["grep", "--cached", "--quiet", "--text", "--fixed-strings", word], index=index)
    except GitFailed as error:
        if error.code != 1:
            raise
        return False
    return True


def _is_lock_or_minified(path: bytes) -> bool:
    name = path.rpartition(b"/")[2]
    return name in LOCK_FILES or MINIFIED.search(name) is not None


def _can_have_attributes(path: bytes) -> bool:
    """Return whether git accepts a path as one within a repository; only forged ones are not."""
    return {b"", b".", b".."}.isdisjoint(path.split(b"/"))


def _batches(paths: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for path in sorted(paths):  # by folder: git reads a folder's attributes whenever it changes
        batch.append(path)
        size += len(path)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
