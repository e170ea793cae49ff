"""Languages by lines of code as one bar with a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from web.charts import shapes
from web.charts.languages import Share, shares
from web.charts.legend import Entry, legend
from web.charts.picture import Picture
from web.charts.text import count, percentage

NAMED = 12
WIDTH = 720
BAR_HEIGHT = 10
GAP = 2
LEGEND_TOP = 26


@dataclass(frozen=True)
class Segment:
    """A part of the bar: its path, its colour's class and its title."""

    path: str
    css_class: str
    title: str


def describe(share: Share, total: int) -> str:
    """Return a share as text, with all of its digits."""
    return f"{share.name}: {count(share.lines, 'line')} of code, {percentage(share.lines, total)}"


def entries(found: Sequence[Share], total: int) -> list[Entry]:
    """Return the legend's entries of shares, in per cent."""
    return [
        Entry(
            name=share.name,
            value=percentage(share.lines, total),
            css_class=share.css_class,
            title=describe(share, total),
        )
        for share in found
    ]


def segments(found: Sequence[Share], width: int, height: int = BAR_HEIGHT) -> list[Segment]:
    """Divide a bar among shares; each is visible, however small it is."""
    total = sum(share.lines for share in found)
    room = width - GAP * (len(found) - 1)
    least = min(2.0, room / len(found)) if found else 0.0
    divided = room - least * len(found)
    placed, x = [], 0.0
    for index, share in enumerate(found):
        wide = least + divided * share.lines / total
        path = shapes.bar(x, wide, height, first=index == 0, last=index == len(found) - 1)
        placed.append(Segment(path, share.css_class, describe(share, total)))
        x += wide + GAP
    return placed


def language_bar(languages_loc: Mapping[str, int]) -> Picture:
    """Draw each language's share of the lines of code; beyond twelve languages, the rest as one."""
    found = shares(languages_loc, NAMED)
    total = sum(share.lines for share in found)
    described = "; ".join(describe(share, total) for share in found)
    named = entries(found, total)
    placed = legend(named, WIDTH)
    return Picture(
        template="languages.svg",
        title="Languages by lines of code",
        description=described or "No lines of code have been counted yet",
        width=WIDTH,
        height=LEGEND_TOP + (placed.height or 16),
        values={
            "segments": segments(found, WIDTH),
            "empty_bar": shapes.bar(0, WIDTH, BAR_HEIGHT, first=True, last=True),
            "bar_height": BAR_HEIGHT,
            "legend": placed,
            "legend_top": LEGEND_TOP,
        },
        language_classes=frozenset(share.css_class for share in found),
        stretched_template="bar.svg",
        entries=named,
    )
