"""Paths of SVG, in few characters."""

from __future__ import annotations

RADIUS = 5


def number(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{round(value, 1):g}" if abs(value) < 1e5 else f"{value:.0f}"


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
