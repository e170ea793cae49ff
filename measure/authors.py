"""The author of a commit: oneself, a bot, or somebody else."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from fnmatch import fnmatchcase

from .answers import Answers

BOT = b"[bot]"


class Author(Enum):
    """The kinds of authors."""

    OWN = auto()
    BOT = auto()
    OTHER = auto()


class Authors:
    """The kinds of authors by name and address, cached.

    `patterns` are patterns in lower case of the addresses that are one's own; None where these are
    not known.
    """

    def __init__(self, patterns: Iterable[str] | None) -> None:
        self.knows_own = patterns is not None
        self._patterns = tuple(patterns or ())
        self._known: Answers[Author] = Answers()

    def find(self, author: bytes) -> Author:
        """Return the kind of an author, given as address, line feed and name."""
        found = self._known.get(author)
        if found is None:
            self._known.make_room()
            found = self._known.remember(author, self._find(author))
        return found

    def _find(self, author: bytes) -> Author:
        if BOT in author.lower():
            return Author.BOT
        address = author.partition(b"\n")[0].decode(errors="replace").lower()
        if any(fnmatchcase(address, pattern) for pattern in self._patterns):
            return Author.OWN
        return Author.OTHER
