"""A commit's files as blobs and names: what cloc's figure for it depends on, where that is all.

The rules of cloc's that are kept here, as its source has them:
- A file's language and lines depend on its content and its name, without the folders before it.
- Of files of equal content it counts one: of those it knows a language for, the one whose path
  sorts last by its bytes.
Where anything else plays a part, read_tree() says so, and the commit has to be checked out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .checkout import Listing, contents, resolve_links
from .git import Git
from .history import texts

Pair = tuple[bytes, bytes]
"""A blob's name in hexadecimal digits and the name of a file that holds it."""

FileCount = tuple[str, int]
"""The language of a file and its lines of code."""

Counts = dict[Pair, FileCount | None]
"""What cloc says of files; None for one in which it sees no code."""

CLOC_FOLDERS = frozenset({b".bzr", b".config", b".cvs", b".git", b".hg", b".snapshot", b".svn"})
"""Names that cloc passes over, of folders and of files alike."""

ALTERING = re.compile(rb"eol=crlf|ident|working-tree-encoding")
"""What a .gitattributes file must hold for a checkout to differ from the blobs.

Filters are not among it, as none is configured, nor are `text` and `eol=lf`, by which a checkout
on this system alters nothing.
"""

LONGEST_ATTRIBUTES = 1 << 20  # bytes of a .gitattributes file that is looked into
MOST_FILES = 500_000  # of one commit, which are held in memory


@dataclass(frozen=True)
class Tree:
    """Hold a commit's files, symbolic links to them included: the blob of each path."""

    files: Mapping[bytes, bytes]

    def pairs(self) -> Iterator[Pair]:
        """Yield the blob and the name of each file."""
        for path, blob in self.files.items():
            yield blob, path.rpartition(b"/")[2]


@dataclass
class AttributesCheck:
    """Tell which .gitattributes files alter what is checked out, and remember the answers."""

    git: Git
    known: dict[bytes, bool] = field(default_factory=dict)

    def any_alters(self, blobs: set[bytes]) -> bool:
        """Tell whether one of these blobs, as a .gitattributes file, alters a checkout."""
        new = blobs - self.known.keys()
        if new:
            found = contents(self.git, new, LONGEST_ATTRIBUTES)
            for blob in new:
                self.known[blob] = blob not in found or bool(ALTERING.search(found[blob]))
        return any(self.known[blob] for blob in blobs)


def read_tree(git: Git, listing: Listing, attributes: AttributesCheck) -> Tree | None:
    """Return the files of a listing, or None when their blobs and names do not tell all."""
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
    # Two entries of one name, which only malice makes, are written over each other.
    if len(files) != records or _clash(files, folders) or attributes.any_alters(altering):
        return None
    if listing.links:
        for path, target in resolve_links(git, listing, set(files)).items():
            if not CLOC_FOLDERS.isdisjoint(path.split(b"/")) or path in files:
                return None
            files[path] = files[target]
    return Tree(files)


def sum_tree(tree: Tree, counts: Mapping[Pair, FileCount | None]) -> dict[str, int]:
    """Return the lines of code of each language in a tree, every file of which has its count."""
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
    """Tell whether a folder has one of cloc's names, or is a file as well."""
    every: set[bytes] = set()
    for folder in folders:
        while folder and folder not in every:
            every.add(folder)
            folder, _, name = folder.rpartition(b"/")
            if name in CLOC_FOLDERS:
                return True
    return not files.keys().isdisjoint(every)
