"""Source text in several languages, real enough to be counted.

Each language has a file in `blocks`, named after it and its suffix: the beginning of a source file,
then functions, classes, tables or rules with placeholders for words.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

FOLDER: Final = Path(__file__).parent / "blocks"
SEPARATOR: Final = "=====\n"
NOUNS: Final = (
    *("reading", "sensor", "station", "account", "entry", "budget", "recipe", "step", "page"),
    *("theme", "position", "board", "move", "score", "token", "session", "user", "report"),
    *("window", "export", "note", "tag", "image", "layout", "record", "queue", "cache", "request"),
)
VERBS: Final = (
    *("load", "store", "merge", "render", "parse", "update", "remove", "collect", "rank", "format"),
    *("validate", "publish", "resolve", "refresh", "split", "count", "apply", "schedule", "select"),
)


@dataclass(frozen=True)
class Language:
    """A language: the beginning of a file, and the blocks that it is made of."""

    suffix: str
    opening: Template
    blocks: tuple[Template, ...]

    def write_opening(self, chance: random.Random) -> str:
        """Write the beginning of a file."""
        return _fill(self.opening, chance)

    def write_block(self, chance: random.Random) -> str:
        """Write one function, class, table or rule."""
        return _fill(chance.choice(self.blocks), chance)


def _read_languages() -> Iterator[tuple[str, Language]]:
    for path in sorted(FOLDER.iterdir()):
        name, suffix, _ = path.name.split(".")
        opening, *blocks = map(Template, path.read_text(encoding="utf-8").split(SEPARATOR))
        yield name, Language(f".{suffix}", opening, tuple(blocks))


def _fill(text: Template, chance: random.Random) -> str:
    noun, other = chance.sample(NOUNS, 2)
    verb = chance.choice(VERBS)
    words = {"noun": noun, "other": other, "verb": verb}
    capitals = {name.title(): word.title() for name, word in words.items()}
    return text.substitute(words, **capitals, number=chance.randrange(2, 90))


LANGUAGES: Final[Mapping[str, Language]] = dict(_read_languages())
