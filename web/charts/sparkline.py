"""Commits of twelve months as a small picture beside a name."""

from __future__ import annotations

from collections.abc import Sequence

from web.charts.picture import Picture
from web.charts.shapes import number
from web.charts.text import count

LEAST = 2.5


def bars(counts: Sequence[int], pitch: float, height: float) -> str:
    """Return a path that strokes a bar for each count above 0."""
    most = max(counts, default=0)
    parts = []
    for index, value in enumerate(counts):
        if value > 0:
            # Whole pixels: bars are sharp, and the path is short.
            high = round(LEAST + (height - LEAST) * value / most)
            parts.append(f"M{number(pitch * (index + 0.5))} {number(height)}v-{high}")
    return "".join(parts)


def sparkline(counts: Sequence[int], *, noun: str = "commit", period: str = "month") -> Picture:
    """Draw a bar for each count, oldest first, above a base line."""
    pitch, height = 8, 22
    periods = count(len(counts), period)
    most = max(counts, default=0)
    title = f"{count(sum(counts), noun)} in {periods}"
    if most:
        title += f", at most {most:,} in one"
    width = max(pitch * len(counts), pitch)
    return Picture(
        template="sparkline.svg",
        title=title,
        width=width,
        height=height,
        values={"bars": bars(counts, pitch, height - 1), "width": width, "base": height - 0.5},
    )
