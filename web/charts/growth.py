"""Lines of code by month or year as a stacked area, by language or by project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from web.charts import shapes
from web.charts.axes import Tick, nice_steps, period_name, period_number, period_ticks
from web.charts.languages import OTHER, OTHER_CLASS, language_class, other_name
from web.charts.legend import Entry, legend
from web.charts.picture import Picture
from web.charts.shapes import number
from web.charts.text import compact, count, text_width

NAMED = 8
WIDTH = 720
LEAST_LEFT = 48
LABEL_SIZE = 12
TOP = 8
PLOT_HEIGHT = 220
LEGEND_TOP = 36
LEAST_COLUMN = 6
UNSEEN = 0.4
"""The most pixels by which an edge may differ from its exact course."""


@dataclass(frozen=True)
class Period:
    """The lines of code at the end of a month (`2026-03`) or a year (`2026`), with their parts."""

    name: str
    loc: int
    parts: Mapping[str, int]


@dataclass(frozen=True)
class Layer:
    """A language or a project: the lines of each period."""

    name: str
    css_class: str
    lines: Sequence[int]


@dataclass(frozen=True)
class Area:
    """The upper edge of a layer as a path, and its title."""

    path: str
    css_class: str
    title: str


@dataclass(frozen=True)
class Column:
    """A period's position and its title."""

    x: str
    width: str
    title: str


def growth_by_language(rows: Sequence[Period]) -> Picture:
    """Draw the growth with the languages' colours."""
    return _growth(rows, "language", lambda name, _: language_class(name))


def growth_by_project(rows: Sequence[Period]) -> Picture:
    """Draw the growth with a colour for each of the largest projects."""
    return _growth(rows, "project", lambda _, place: f"series-{place}")


def _layers(rows: Sequence[Period], colour: Callable[[str, int], str]) -> list[Layer]:
    """Return the parts with the most lines over all periods, and the others as one."""
    totals: dict[str, int] = {}
    for row in rows:
        for name, lines in row.parts.items():
            totals[name] = totals.get(name, 0) + max(lines, 0)
    ranked = sorted(
        (name for name, lines in totals.items() if lines and name != OTHER),
        key=lambda name: (-totals[name], name),
    )
    named = ranked[:NAMED]
    layers = [
        Layer(name, colour(name, place), [max(row.parts.get(name, 0), 0) for row in rows])
        for place, name in enumerate(named)
    ]
    # The lines of a period that no part accounts for are shown too.
    rest = [
        max(row.loc, sum(max(lines, 0) for lines in row.parts.values()))
        - sum(max(row.parts.get(name, 0), 0) for name in named)
        for row in rows
    ]
    if any(rest):
        layers.append(Layer(other_name(len(ranked) - len(named)), OTHER_CLASS, rest))
    return layers


def _areas(layers: Sequence[Layer], xs: Sequence[float], scale: float) -> list[Area]:
    """Return each layer down to the axis, highest first: the lower ones are drawn over it."""
    base = float(TOP + PLOT_HEIGHT)
    heights = [0] * len(xs)
    areas = []
    for layer in layers:
        heights = [below + lines for below, lines in zip(heights, layer.lines, strict=True)]
        ys = [base - scale * lines for lines in heights]
        path = _outline(xs, ys, base)
        areas.append(Area(path, layer.css_class, _title(layer)))
    return areas[::-1]


def _outline(xs: Sequence[float], ys: Sequence[float], base: float) -> str:
    """Return an area's path, without the points that differ from it by less than UNSEEN."""
    # Of periods that share a tenth of a pixel the last one is drawn.
    heights = {round(x, 1): round(y, 1) for x, y in zip(xs, ys, strict=True)}
    points = list(heights.items())
    drawn = shapes.simplify(points, UNSEEN)
    start = f"M{number(points[0][0])} {number(base)}V{number(points[0][1])}"
    return f"{start}{shapes.lines(drawn)}V{number(base)}z"


def _title(layer: Layer) -> str:
    return f"{layer.name}: {count(layer.lines[-1], 'line')} of code at the end"


def _columns(rows: Sequence[Period], xs: Sequence[float]) -> list[Column]:
    """Return the areas for the pointer: each period up to halfway to its neighbours.

    Where they would be too narrow to be pointed at, some periods have none.
    """
    every = ceil(LEAST_COLUMN * len(xs) / (xs[-1] - xs[0]))
    shown = range(len(rows) - 1, -1, -every)[::-1]
    middles = [(xs[left] + xs[right]) / 2 for left, right in pairwise(shown)]
    edges = [xs[0], *middles, xs[-1]]
    return [
        Column(
            number(edges[place]),
            number(edges[place + 1] - edges[place]),
            f"{period_name(rows[i].name)}: {count(rows[i].loc, 'line')} of code",
        )
        for place, i in enumerate(shown)
    ]


def _growth(rows: Sequence[Period], noun: str, colour: Callable[[str, int], str]) -> Picture:
    rows = sorted(rows, key=lambda row: period_number(row.name))
    layers = _layers(rows, colour)
    entries = [
        Entry(layer.name, f"{layer.lines[-1]:,}", layer.css_class, _title(layer))
        for layer in layers
    ]
    placed = legend(entries, WIDTH)
    most = max(
        (sum(lines) for lines in zip(*(layer.lines for layer in layers), strict=True)), default=0
    )
    steps = nice_steps(most)
    scale = PLOT_HEIGHT / steps[-1]
    grid = [(number(TOP + PLOT_HEIGHT - scale * step), compact(step)) for step in steps]
    left = max(LEAST_LEFT, *(ceil(text_width(label, LABEL_SIZE)) + 8 for _, label in grid))
    values: dict[str, object] = {
        "left": left,
        "right": WIDTH,
        "top": TOP,
        "base": TOP + PLOT_HEIGHT,
        "grid": (),
        "areas": (),
        "columns": (),
        "ticks": (),
        "legend": placed,
        "legend_top": TOP + PLOT_HEIGHT + LEGEND_TOP,
    }
    title = f"Lines of code by {noun}"
    described = "No lines of code have been counted yet"
    if rows:
        rows, layers, xs, ticks = _place(rows, layers, left)
        values |= {
            "grid": grid,
            "areas": _areas(layers, xs, scale),
            "columns": _columns(rows, xs),
            "ticks": ticks,
        }
        last = rows[-1]
        described = (
            f"From {count(rows[0].loc, 'line')} in {period_name(rows[0].name)} "
            f"to {count(last.loc, 'line')} in {period_name(last.name)}"
        )
    return Picture(
        template="growth.svg",
        title=title,
        description=described,
        width=WIDTH,
        height=TOP + PLOT_HEIGHT + LEGEND_TOP + placed.height,
        values=values,
        language_classes=frozenset(layer.css_class for layer in layers),
        stretched_template="plot.svg",
        entries=entries,
    )


def _place(
    rows: list[Period], layers: list[Layer], left: int
) -> tuple[list[Period], list[Layer], list[float], list[Tick]]:
    """Return the positions of periods; a single one is as wide as the picture."""
    numbers = [period_number(row.name) for row in rows]
    first, last = numbers[0], numbers[-1]
    room = WIDTH - left
    ticks = period_ticks(rows[0].name, rows[-1].name, left, room)
    if first == last:
        widened = [Layer(layer.name, layer.css_class, [layer.lines[-1]] * 2) for layer in layers]
        return [rows[-1]], widened, [float(left), float(WIDTH)], ticks
    return rows, layers, [left + room * (at - first) / (last - first) for at in numbers], ticks
