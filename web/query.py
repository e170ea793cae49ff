"""Parsing of query parameters; BadParameter names the first one that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, TypeVar

from werkzeug.datastructures import MultiDict

from errors import BadParameter

T = TypeVar("T")

LARGEST = 1_000_000


class Values:
    """The query parameters of one request."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def read(self, name: str, parse: Callable[[str], T], default: T | Any) -> T | Any:
        """Return a parameter's value; raise BadParameter where it cannot be used."""
        if name not in self._values:
            return default
        try:
            return parse(self._values[name])
        except ValueError as error:
            raise BadParameter(f"{name}: {error}") from None


def only_known(arguments: MultiDict[str, str], known: Iterable[str]) -> Values:
    """Return the values of known parameters, each given once; raise BadParameter on others."""
    for name, given in arguments.lists():
        if name not in known:
            raise BadParameter(f"there is no parameter {name[:60]!a} here")
        if len(given) > 1:
            raise BadParameter(f"{name}: it is given more than once")
    return Values(arguments.to_dict())


def one_of(words: Iterable[str]) -> Callable[[str], str]:
    """Return a parser that accepts one of several words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text

    return parse


def whole(least: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from this one to LARGEST."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= LARGEST:
            raise ValueError(f"expected a whole number from {least} to {LARGEST}")
        return int(text)

    return parse


def boolean(text: str) -> bool:
    """Parse true or false."""
    if text not in ("true", "false"):
        raise ValueError("expected true or false")
    return text == "true"


def month(text: str) -> date:
    """Parse a month such as 2026-08, or a day in it; return its first day."""
    try:
        return day(f"{text}-01" if len(text) == len("2026-08") else text).replace(day=1)
    except ValueError:
        raise ValueError("expected a month such as 2026-08, or a day in it") from None


def day(text: str) -> date:
    """Parse a day such as 2026-08-20."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    # fromisoformat() accepts weeks and dates without dashes, too.
    if found is None or found.isoformat() != text:
        raise ValueError("expected a day such as 2026-08-20")
    return found
