"""The page's formats of figures, dates and times."""

from __future__ import annotations

from datetime import UTC, date, datetime

from web.charts.text import MONTHS, count, long_date

DAYS_IN_WEEK, DAYS_IN_MONTH, DAYS_IN_YEAR = 7, 30.44, 365.25
UNKNOWN = "unknown"
NO_FIGURE = "—"
KILOBYTES_IN_MEGABYTE = 1024


def parse_timestamp(text: str | None) -> datetime | None:
    """Parse a timestamp as answers contain it."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def timestamp(moment: datetime) -> str:
    """Return a timestamp to the minute: `20 August 2026, 07:23 UTC`."""
    return f"{long_date(moment.date())}, {moment:%H:%M} UTC"


def short_date(day: date) -> str:
    """Return a short date: `20 Aug 2026`."""
    return f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}"


def days_ago(day: date, today: date) -> str:
    """Return how long ago a day was: `3 days ago`.

    The page's script uses the same words, with the reader's clock.
    """
    days = (today - day).days
    if days < 0:
        return short_date(day)
    if days < 2:
        return ("today", "yesterday")[days]
    if days < 2 * DAYS_IN_WEEK:
        return f"{days} days ago"
    if days < 2 * DAYS_IN_MONTH:
        return f"{days // DAYS_IN_WEEK} weeks ago"
    if days < 2 * DAYS_IN_YEAR:
        return f"{int(days / DAYS_IN_MONTH)} months ago"
    return f"{int(days / DAYS_IN_YEAR)} years ago"


def separated(figure: int | None) -> str:
    """Return a figure with separators; one that was never measured is a dash."""
    return NO_FIGURE if figure is None else f"{figure:,}"


def years_between(first: datetime, last: datetime) -> str:
    """Return the years from one timestamp to another, with one decimal."""
    return f"{(last - first).days / DAYS_IN_YEAR:,.1f}"


def size(kilobytes: float) -> str:
    """Return a size in a suitable unit: `12.5 kB`, `3.4 MB`."""
    if kilobytes < KILOBYTES_IN_MEGABYTE:
        return f"{kilobytes:,.0f} kB" if kilobytes >= 100 else f"{kilobytes:.1f} kB"
    return f"{kilobytes / KILOBYTES_IN_MEGABYTE:,.1f} MB"


def several(names: list[str], noun: str) -> str:
    """Return names as a list in words: up to three, otherwise two and the number of others."""
    if len(names) <= 3:
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{names[0]}, {names[1]} and {count(len(names) - 2, f'other {noun}')}"
