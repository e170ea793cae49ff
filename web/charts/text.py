"""Text in pictures: its width, shortening, and the formats of figures and dates."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

FONT_FAMILY = "Verdana,Geneva,DejaVu Sans,sans-serif"
FONT_SIZE = 11
WIDTHS_FILE = Path(__file__).parent / "data" / "widths.json"

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

# XML 1.0 has no way to write these, not even escaped; a carriage return is read as a line feed.
_INVALID_IN_XML = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNITS = ("", "k", "M", "B", "T")


def clean(text: str) -> str:
    """Return a text with a replacement character for each that XML cannot hold."""
    return _INVALID_IN_XML.sub("\ufffd", text)


@cache
def _widths(weight: str) -> Mapping[str, float]:
    groups = json.loads(WIDTHS_FILE.read_text(encoding="utf-8"))[weight]
    return {character: float(width) for width, group in groups.items() for character in group}


def _width_outside_table(character: str) -> float:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    # As wide as the font is high, about the widest letters of the table.
    return float(FONT_SIZE)


def text_width(text: str, size: float = FONT_SIZE, weight: str = "normal") -> float:
    """Return the width of a text in pixels, as Chromium lays it out in Verdana's metrics.

    The usual user interface fonts are narrower, so a text that fits by this width fits in them.
    """
    widths = _widths(weight)
    total = 0.0
    for character in text:
        width = widths.get(character)
        total += _width_outside_table(character) if width is None else width
    return total * size / FONT_SIZE


def fit(text: str, width: float, size: float = FONT_SIZE, weight: str = "normal") -> str:
    """Return a text, shortened with an ellipsis where it is wider than that many pixels."""
    if text_width(text, size, weight) <= width:
        return text
    shortened = text
    while shortened and text_width(shortened + "…", size, weight) > width:
        shortened = shortened[:-1]
    return shortened.rstrip() + "…"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number with separators and its noun: `1 commit`, `2,549 commits`."""
    noun = singular if number == 1 else plural or f"{singular}s"
    return f"{number:,} {noun}"


def compact(number: float) -> str:
    """Return a number in three digits and a unit: `950`, `38.2k`, `1.25M`."""
    value = float(number)
    for unit in _UNITS:
        # What rounds to 1,000 belongs to the next unit.
        if abs(value) < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    if abs(value) >= 999.5:
        return f"{value:,.0f}{unit}"
    return f"{float(f'{value:.3g}'):g}{unit}"


def figure(number: int, width: float, size: float, weight: str = "normal") -> str:
    """Return a number with all its digits where they fit, otherwise rounded with a unit."""
    exact = f"{number:,}"
    return exact if text_width(exact, size, weight) <= width else compact(number)


def percentage(part: int, whole: int) -> str:
    """Return a share with one decimal; 0.0% and 100.0% only for exactly none and all."""
    tenths = round(1000 * part / whole) if whole else 0
    if part and tenths == 0:
        return "<0.1%"
    if part < whole and tenths == 1000:
        return ">99.9%"
    return f"{tenths / 10:.1f}%"


def short_date(day: date) -> str:
    """Return a day as `4 Mar 2026`."""
    return f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}"


def long_date(day: date) -> str:
    """Return a date such as `3 March 2026`."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def time_span(minutes: int) -> str:
    """Return minutes in the largest unit that leaves a figure worth reading."""
    hours, days = minutes / 60, minutes / 1440
    if minutes < 120:
        return count(minutes, "minute")
    if hours < 48:
        return f"{hours:.1f} hours"
    if days < 730:
        return count(round(days), "day")
    years = days / 365.2425
    return f"{years:.1f} years" if years < 1000 else f"{compact(years)} years"
