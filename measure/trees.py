"""A commit's files as blobs and names, for commits whose count depends on nothing else.

cloc's rules that are implemented here, from its source:
- A file's language and lines depend on its content and its name, without the folders before it.
- Of files of equal content it counts one: of those it knows a language for, the one whose path
  sorts last by its bytes.
Where the count depends on anything else, read_tree() returns None, and the commit has to be
checked out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .checkout import Listing, contents, resolve_links
from .git import Git
from .history import texts

Pair = tuple[bytes, bytes]
"""A blob's hash in hexadecimal digits, and the name of a file with its content."""

FileCount = tuple[str, int]
"""The language of a file and its lines of code."""

Counts = dict[Pair, FileCount | None]
"""cloc's counts of files; None for one without code."""

CLOC_FOLDERS = frozenset({b".bzr", b".config", b".cvs", b".git", b".hg", b".snapshot", b".svn"})
"""Names of folders and files that cloc skips."""

ALTERING = re.compile(rb"eol=crlf|ident|working-tree-encoding")
"""Attributes with which a checkout differs from the blobs.

Filters are not among them, as none is configured, nor are `text` and `eol=lf`, which change nothing
in a checkout on this system.
"""

LONGEST_ATTRIBUTES = 1 << 20  # bytes of a .gitattributes file that are read
HELD_ATTRIBUTES = 16  # such files that are held in memory at a time
MOST_FILES = 500_000  # files of one commit, which are in memory


@dataclass(frozen=True)
class Tree:
    """A commit's files, symbolic links to them included: the blob of each path."""

    files: Mapping[bytes, bytes]

    def pairs(self) -> Iterator[Pair]:
        """Yield the blob and the name of each file."""
        for path, blob in self.files.items():
            yield blob, path.rpartition(b"/")[2]


@dataclass
class AttributesCheck:
    """A check of .gitattributes files for attributes that change a checkout, cached."""

    git: Git
    known: dict[bytes, bool] = field(default_factory=dict)

    def any_alters(self, blobs: set[bytes]) -> bool:
        """Return whether one of these blobs, as a .gitattributes file, changes a checkout."""
        new = sorted(blobs - self.known.keys())
        for start in range(0, len(new), HELD_ATTRIBUTES):
            batch = new[start : start + HELD_ATTRIBUTES]
            found = contents(self.git, batch, LONGEST_ATTRIBUTES)
            for blob in batch:
                self.known[blob] = blob not in found or bool(ALTERING.search(found[blob]))
        return any(self.known[blob] for blob in blobs)


def read_tree(git: Git, listing: Listing, attributes: AttributesCheck) -> Tree | None:
    """Return the files of a listing, or None when the count depends on more than these."""
    files: dict[bytes, bytes] = {}
    folders: set[bytes] = set()
    altering: set[bytes] = set()
    with listing.files.open("rb") as file:
        records = 0
        for record in texts(iter(lambda: file.read(1 << 20), b"")):
            facts, _, path = record.partition(b"\t")
            blob = facts.rpartition(b" ")[2]
            folder, _, name = path.rpartition(b"/")
            if name in CLOC_FOLDERS:
                return None
            if name == b".gitattributes":
                altering.add(blob)
            folders.add(folder)
            files[path] = blob
            records += 1
            if records > MOST_FILES:
                return None
    # Two entries of one name, which only a forged tree has, overwrite each other.
    if len(files) != records or _clash(files, folders) or attributes.any_alters(altering):
        return None
    if listing.links:
        for path, target in resolve_links(git, listing, set(files)).items():
            if not CLOC_FOLDERS.isdisjoint(path.split(b"/")) or path in files:
                return None
            files[path] = files[target]
    return Tree(files)


def sum_tree(tree: Tree, counts: Mapping[Pair, FileCount | None]) -> dict[str, int]:
    """Return the lines of code by language of a tree whose files all have counts."""
    kept: dict[bytes, tuple[bytes, FileCount]] = {}
    for path, blob in tree.files.items():
        count = counts[blob, path.rpartition(b"/")[2]]
        if count is not None and (blob not in kept or path > kept[blob][0]):
            kept[blob] = path, count
    languages: dict[str, int] = {}
    for _, (language, lines) in kept.values():
        languages[language] = languages.get(language, 0) + lines
    return languages


def _clash(files: Mapping[bytes, bytes], folders: set[bytes]) -> bool:
    """Return whether a folder has a name that cloc skips, or is a file as well."""
    every: set[bytes] = set()
    for folder in folders:
        while folder and folder not in every:
            every.add(folder)
            folder, _, name = folder.rpartition(b"/")
            if name in CLOC_FOLDERS:
                return True
    return not files.keys().isdisjoint(every)
