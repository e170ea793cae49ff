"""Axes: round steps for a scale of lines, and names for months and years."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10

from web.charts.text import MONTHS

MOST_STEPS = 4
# Pixels from one name of a month or year to the next.
LEAST_PITCH = 48


@dataclass(frozen=True)
class Tick:
    """The position of a name on the time axis, and which of its sides is there."""

    x: float
    text: str
    anchor: str


def nice_steps(most: int) -> list[int]:
    """Return 0 and up to five more multiples of 1, 2 or 5 times a power of ten, to above most."""
    if most <= 0:
        return [0, 1]
    rough = max(most / MOST_STEPS, 1)
    power = 10 ** floor(log10(rough))
    step = int(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough))
    return [step * number for number in range(ceil(most / step) + 1)]


def period_number(name: str) -> int:
    """Return the number of a month (`2026-03`) or a year (`2026`); consecutive ones differ by 1."""
    year, _, month = name.partition("-")
    return int(year) * 12 + int(month) - 1 if month else int(year)


def period_name(name: str) -> str:
    """Return a month's or a year's name in words."""
    year, _, month = name.partition("-")
    return f"{MONTHS[int(month) - 1]} {int(year)}" if month else str(int(year))


def _short(number: int, monthly: bool, step: int) -> str:
    if not monthly:
        return str(number)
    year, month = divmod(number, 12)
    return str(year) if step % 12 == 0 else f"{MONTHS[month][:3]} {year}"


def period_ticks(first: str, last: str, left: float, width: float) -> list[Tick]:
    """Return names along the axis, at round distances, as many as there is room for."""
    monthly = "-" in first
    begin, end = period_number(first), period_number(last)
    if begin == end:
        return [Tick(left + width / 2, period_name(first), "middle")]
    pitch = width / (end - begin)
    steps: tuple[int, ...] = (1, 2, 3, 6) if monthly else ()
    unit = 12 if monthly else 1
    steps += tuple(unit * factor * power for power in (1, 10, 100, 1000) for factor in (1, 2, 5))
    step = next(
        step for step in steps
        if step * pitch >= LEAST_PITCH * (1 if step % 12 == 0 or not monthly else 1.5)
        or step == steps[-1]
    )  # fmt: skip
    ticks = []
    for number in range(-(-begin // step) * step, end + 1, step):
        x = left + pitch * (number - begin)
        anchor = "start" if x < left + 16 else "end" if x > left + width - 24 else "middle"
        ticks.append(Tick(round(x, 1), _short(number, monthly, step), anchor))
    return ticks
