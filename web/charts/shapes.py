"""Paths of SVG, in few characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]

RADIUS = 5
LEAST_BAR = 2.5
"""The height of a bar for the smallest count, in pixels."""


def number(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{round(value, 1):g}" if abs(value) < 1e5 else f"{value:.0f}"


def lines(points: Sequence[Point]) -> str:
    """Return the lines from the first point to each of the others, as differences."""
    steps = (
        number(right[0] - left[0]) + _signed(right[1] - left[1]) for left, right in pairwise(points)
    )
    return "l" + " ".join(steps) if len(points) > 1 else ""


def simplify(points: Sequence[Point], tolerance: float) -> list[Point]:
    """Leave out points that are within a vertical distance of the line that remains.

    The points' x coordinates rise. Each line is drawn as far as its points allow: the slopes from
    its start that are within the tolerance of all of them narrow from point to point.
    """
    kept = [points[0]]
    low, high = float("-inf"), float("inf")
    for (x, y), (next_x, next_y) in pairwise(points[1:]):
        start_x, start_y = kept[-1]
        low = max(low, (y - tolerance - start_y) / (x - start_x))
        high = min(high, (y + tolerance - start_y) / (x - start_x))
        if not low <= (next_y - start_y) / (next_x - start_x) <= high:
            kept.append((x, y))
            low, high = float("-inf"), float("inf")
    return [*kept, points[-1]] if len(points) > 1 else kept


def _signed(value: float) -> str:
    text = number(value)
    return text if text.startswith("-") else f" {text}"


def bar(x: float, width: float, height: float, *, first: bool, last: bool) -> str:
    """Return a horizontal bar's path, rounded where it is the first or the last of a row."""
    radius = min(RADIUS, width / 2, height / 2)
    left, right = radius if first else 0.0, radius if last else 0.0
    straight, upright = number(width - left - right), number(height - 2 * radius)
    path = f"M{number(x + left)} 0h{straight}"
    path += _turn(right, 1, 1) + f"v{upright}" + _turn(right, -1, 1) if last else f"v{height}"
    path += f"h-{straight}"
    return path + (_turn(left, -1, -1) + f"v-{upright}" + _turn(left, 1, -1) if first else "") + "z"


def _turn(radius: float, right: int, down: int) -> str:
    size = number(radius)
    return f"a{size} {size} 0 0 1 {number(right * radius)} {number(down * radius)}"


def bars(counts: Sequence[int], pitch: float, height: float) -> str:
    """Return a path that strokes a bar for each count above 0."""
    most = max(counts, default=0)
    parts = []
    for index, value in enumerate(counts):
        if value > 0:
            # Whole pixels: bars are sharp, and the path is short.
            high = round(LEAST_BAR + (height - LEAST_BAR) * value / most)
            parts.append(f"M{number(pitch * (index + 0.5))} {number(height)}v-{high}")
    return "".join(parts)
