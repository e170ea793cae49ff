"""Legends: names and figures beside dots of colour, in columns as wide as the widest needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from web.charts.text import fit, text_width

SIZE = 12
ROW = 20
DOT = 14
GAP = 20
BETWEEN = 6


@dataclass(frozen=True)
class Entry:
    """A name and a figure of a legend, and both in full as a title."""

    name: str
    value: str
    css_class: str
    title: str


@dataclass(frozen=True)
class PlacedEntry:
    """An entry's position, and its name, shortened to the available width."""

    x: int
    y: int
    name: str
    entry: Entry


@dataclass(frozen=True)
class Legend:
    """The entries of a legend and its height in pixels."""

    entries: Sequence[PlacedEntry]
    height: int


def _width(entry: Entry) -> float:
    name, value = text_width(entry.name, SIZE, "bold"), text_width(entry.value, SIZE)
    return DOT + name + BETWEEN + value


def legend(entries: Sequence[Entry], width: int) -> Legend:
    """Place entries in rows; a name that is wider than the picture is shortened, no figure is."""
    if not entries:
        return Legend((), 0)
    widest = max(map(_width, entries))
    columns = max(1, min(len(entries), int((width + GAP) // (widest + GAP))))
    column = (width + GAP) // columns
    placed = []
    for index, entry in enumerate(entries):
        room = column - GAP - DOT - BETWEEN - text_width(entry.value, SIZE)
        row, place = divmod(index, columns)
        name = fit(entry.name, room, SIZE, "bold")
        placed.append(PlacedEntry(place * column, row * ROW, name, entry))
    return Legend(placed, ROW * -(-len(entries) // columns))
