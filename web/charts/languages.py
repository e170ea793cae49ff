"""Languages: their colours on GitHub, and the ones that a picture names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

from web import assets

DATA_FILE = Path(__file__).parent / "data" / "languages.json"
STYLE_FILE = assets.FOLDER / "languages.css"

OTHER = "Other"
OTHER_CLASS = "lang-other"


class LanguageData(TypedDict):
    """The colours and other names of languages, and the source of the list."""

    source: str
    licence: str
    colours: dict[str, str]
    aliases: dict[str, str]


@dataclass(frozen=True)
class Share:
    """The lines of code of a language, or of the others together."""

    name: str
    lines: int
    css_class: str


@cache
def read_data() -> LanguageData:
    """Return the data file's content."""
    data: LanguageData = json.loads(DATA_FILE.read_text(encoding="utf-8"))
    return data


@cache
def _names() -> Mapping[str, str]:
    data = read_data()
    return {**data["aliases"], **{name.casefold(): name for name in data["colours"]}}


def language_colour(language: str) -> str | None:
    """Return GitHub's colour of a language as `#rrggbb`, None where it has none."""
    name = _names().get(language.casefold())
    return None if name is None else read_data()["colours"][name]


def language_class(language: str) -> str:
    """Return the class that gives an element a language's colour as `currentColor`."""
    name = _names().get(language.casefold())
    return OTHER_CLASS if name is None else _class_of(name)


def _class_of(name: str) -> str:
    slug = re.sub(r"[^a-z0-9-]", lambda m: f"_{ord(m[0]):x}", name.casefold().replace(" ", "-"))
    return f"lang-{slug}"


@cache
def _rules() -> Mapping[str, str]:
    return {
        _class_of(name): f".{_class_of(name)}{{color:{colour}}}"
        for name, colour in read_data()["colours"].items()
    }


def style_rules(classes: Iterable[str]) -> str:
    """Return the style rules of some languages' classes, for a picture of its own."""
    rules = _rules()
    return "\n".join(rules[name] for name in sorted(set(classes)) if name in rules)


def style_file() -> str:
    """Return the content of the page's style sheet: every language's class."""
    data = read_data()
    header = f"/* Colours of languages. {data['source']}. {data['licence']} */"
    return "\n".join([header, *_rules().values(), ""])


def other_name(number: int) -> str:
    """Return the name of the rest: the languages or projects that are not named."""
    return f"{OTHER} ({number:,})" if number else OTHER


def shares(languages_loc: Mapping[str, int], named: int) -> list[Share]:
    """Return the languages with the most lines, most first, and one share for all the others."""
    ranked = sorted(
        ((name, lines) for name, lines in languages_loc.items() if lines > 0 and name != OTHER),
        key=lambda item: (-item[1], item[0]),
    )
    rest = ranked[named:]
    found = [Share(name, lines, language_class(name)) for name, lines in ranked[:named]]
    other_lines = max(languages_loc.get(OTHER, 0), 0) + sum(lines for _, lines in rest)
    if other_lines:
        found.append(Share(other_name(len(rest)), other_lines, OTHER_CLASS))
    return found
