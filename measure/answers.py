"""A cache of answers about texts of a repository, with a limit of memory."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")

MOST_BYTES = 16 << 20  # of texts, with Python's overhead
OVERHEAD = 100  # Python's overhead of a text in bytes, about


class Answers(dict[bytes, T]):
    """A cache by text; texts of a repository may be of any length and number."""

    def __init__(self) -> None:
        super().__init__()
        self._held = 0

    def make_room(self) -> None:
        """Clear the cache where it is too large."""
        if self._held > MOST_BYTES:
            self.clear()
            self._held = 0

    def remember(self, text: bytes, answer: T) -> T:
        """Add an answer, and return it."""
        self[text] = answer
        self._held += len(text) + OVERHEAD
        return answer
