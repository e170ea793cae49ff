"""The page's formats of dates and sizes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from web import words

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (-1, "26 Nov 2026"),
        (0, "today"),
        (1, "yesterday"),
        (2, "2 days ago"),
        (13, "13 days ago"),
        (14, "2 weeks ago"),
        (60, "8 weeks ago"),
        (61, "2 months ago"),
        (365, "11 months ago"),
        (730, "23 months ago"),
        (731, "2 years ago"),
        (7305, "20 years ago"),
    ],
)
def test_how_long_ago(days: int, said: str):
    assert words.days_ago(TODAY - timedelta(days=days), TODAY) == said


def test_timestamps():
    moment = words.parse_timestamp("2026-08-20T07:23:30Z")
    assert moment == datetime(2026, 8, 20, 7, 23, 30, tzinfo=UTC)
    assert words.timestamp(moment) == "20 August 2026, 07:23 UTC"
    assert words.parse_timestamp(None) is None


@pytest.mark.parametrize(
    ("kilobytes", "said"),
    [(0, "0.0 kB"), (12.5, "12.5 kB"), (900, "900 kB"), (2048, "2.0 MB"), (5e6, "4,882.8 MB")],
)
def test_sizes(kilobytes: float, said: str):
    assert words.size(kilobytes) == said


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d"], "a, b and 2 other owners"),
    ],
)
def test_several_names(names: list[str], said: str):
    assert words.several(names, "owner") == said
