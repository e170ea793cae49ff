"""Pictures of nothing, of one day and of twenty years; and nothing is cut off."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from itertools import pairwise
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pictures import (
    HOSTILE,
    LANGUAGES,
    LAST,
    MANY_LANGUAGES,
    SVG,
    days,
    growth,
    parsed_inline,
    titles,
)
from web import charts
from web.charts import Card, Figures, Period
from web.charts.axes import nice_steps, period_ticks
from web.charts.shapes import bars, simplify
from web.charts.text import compact, fit, percentage, text_width, time_span


def texts(root: Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def cells(root: Element) -> dict[str, str]:
    """Each day's title and its class, without the legend's."""
    return {
        each.findtext(f"{SVG}title") or "": each.get("class", "step-0")
        for each in root.iter(f"{SVG}rect")
        if each.get("x") is None
    }


# The calendar


def test_calendar_has_a_titled_cell_for_each_day():
    first = LAST - timedelta(days=364)
    found = cells(parsed_inline(charts.calendar({LAST: 1, first: 1234}, first, LAST)))
    assert len(found) == 365
    assert found["1 commit on 25 Nov 2026"] == "step-1"
    assert found["1,234 commits on 26 Nov 2025"] == "step-4"
    assert found["No commits on 24 Nov 2026"] == "step-0"


def test_calendar_has_five_steps_by_quartiles():
    first = LAST - timedelta(days=99)
    counts = {first + timedelta(days=number): number for number in range(100)}
    found = list(cells(parsed_inline(charts.calendar(counts, first, LAST))).values())
    assert [found.count(f"step-{step}") for step in range(5)] == [1, 25, 25, 24, 25]


def test_calendar_leaves_out_other_days_and_says_which_it_has():
    day = timedelta(days=1)
    picture = charts.calendar({LAST: 2, LAST - day: 4, LAST + day: 8}, LAST, LAST)
    assert picture.title == "2 commits on 1 day, 25 November 2026"


def test_calendar_puts_weeks_in_columns_that_begin_on_sunday():
    root = parsed_inline(charts.calendar({}, date(2026, 11, 21), date(2026, 11, 29)))
    columns = [
        (group.get("transform"), len(group.findall(f"{SVG}rect")))
        for group in root.iter(f"{SVG}g")
        if group.find(f"{SVG}rect") is not None and group.find(f"{SVG}text") is None
    ]
    assert columns == [("translate(32 98)", 1), ("translate(45 20)", 7), ("translate(58 20)", 1)]


def test_calendar_names_every_month_of_a_year():
    found = texts(parsed_inline(charts.calendar({}, date(2026, 1, 1), date(2026, 12, 31))))
    assert found[:12] == [
        "Jan",
        "Feb",
        "Mar",
        "Apr",
        "May",
        "Jun",
        "Jul",
        "Aug",
        "Sep",
        "Oct",
        "Nov",
        "Dec",
    ]


@pytest.mark.parametrize("start", [date(2026, 1, 1) + timedelta(days=n) for n in range(0, 366, 5)])
def test_month_names_do_not_touch(start: date):
    root = parsed_inline(charts.calendar({}, start, start + timedelta(days=364)))
    places = [int(each.get("x", "0")) for each in root.iter(f"{SVG}text") if each.get("y") == "11"]
    assert all(right - left >= 30 for left, right in itertools.pairwise(places))


def test_calendar_of_twenty_years_has_a_row_for_each():
    root = parsed_inline(charts.calendar(days(20), date(2007, 1, 1), LAST))
    assert [text for text in texts(root) if text.isdigit()] == [
        str(y) for y in range(2026, 2006, -1)
    ]
    assert len(cells(root)) == (LAST - date(2007, 1, 1)).days + 1


@pytest.mark.parametrize("day", [date.min, date.max])
def test_calendar_reaches_the_ends_of_time(day: date):
    assert len(cells(parsed_inline(charts.calendar({day: 1}, day, day)))) == 1


def test_calendar_refuses_days_in_the_wrong_order():
    with pytest.raises(ValueError, match="before the first"):
        charts.calendar({}, LAST, LAST - timedelta(days=1))


# Languages


def test_languages_have_percentages_and_lines():
    root = parsed_inline(charts.language_bar({"Python": 667, "C": 333}))
    assert texts(root) == ["Python66.7%", "C33.3%"]
    assert titles(root, "path") == [
        "Python: 667 lines of code, 66.7%",
        "C: 333 lines of code, 33.3%",
    ]


def test_languages_that_are_not_named_are_counted():
    root = parsed_inline(charts.language_bar(MANY_LANGUAGES))
    assert texts(root)[-1].startswith("Other (88)")


def test_smallest_language_is_seen_and_named():
    root = parsed_inline(charts.language_bar({"Python": 10**9, "C": 1}))
    assert texts(root) == ["Python>99.9%", "C<0.1%"]
    assert [each.get("d", "").startswith("M") for each in root.iter(f"{SVG}path")] == [True, True]


def test_no_languages_are_said_in_words():
    assert texts(parsed_inline(charts.language_bar({}))) == [
        "No lines of code have been counted yet"
    ]


@pytest.mark.parametrize(
    ("name", "css_class"),
    [
        ("Python", "lang-python"),
        ("C++", "lang-c_2b_2b"),
        ("C#", "lang-c_23"),
        ("Bourne Shell", "lang-shell"),
        ("Vuejs Component", "lang-vue"),
        ("make", "lang-makefile"),
        ("Jupyter Notebook", "lang-jupyter-notebook"),
        ("Text", "lang-other"),
        (HOSTILE, "lang-other"),
    ],
)
def test_language_classes(name: str, css_class: str):
    assert charts.language_class(name) == css_class


# Growth


def test_growth_says_each_month_and_what_it_ends_with():
    rows = [
        Period("2026-10", 10, {"C": 10}),
        Period("2026-11", 1300, {"C": 100, "Python": 1200}),
    ]
    picture = charts.growth_by_language(rows)
    root = parsed_inline(picture)
    assert picture.description == "From 10 lines in October 2026 to 1,300 lines in November 2026"
    assert titles(root, "rect") == [
        "October 2026: 10 lines of code",
        "November 2026: 1,300 lines of code",
    ]
    assert [text for text in texts(root) if text[-1].isdigit()][-2:] == ["Python1,200", "C100"]


def test_growth_of_years_and_of_projects():
    rows = [
        Period("2025", 5, {"a": 5}),
        Period("2026", 7, {}),
    ]
    root = parsed_inline(charts.growth_by_project(rows))
    assert titles(root, "path", "series-0") == ["a: 0 lines of code at the end"]
    # What no project accounts for is not lost.
    assert titles(root, "path", "lang-other") == ["Other: 7 lines of code at the end"]


def test_growth_beyond_eight_is_counted_as_others():
    names = [f"project-{number}" for number in range(20)]
    rows = growth(24, names)
    root = parsed_inline(charts.growth_by_project(rows))
    shown = [
        int(text.split(": ")[1].split(" ")[0].replace(",", ""))
        for text in titles(root, "path", "swatch")
    ]
    assert len(shown) == 9
    assert sum(shown) == rows[-1].loc
    assert titles(root, "path", "lang-other")[0].startswith("Other (12)")


def test_growth_of_one_month_is_as_wide_as_the_picture():
    root = parsed_inline(charts.growth_by_language([Period("2026-11", 5, {"C": 5})]))
    (path,) = (
        each.get("d", "") for each in root.iter(f"{SVG}path") if "swatch" in each.get("class", "")
    )
    assert path.startswith("M48 ")
    assert "l672 0V" in path


def test_growth_of_nothing_is_said_in_words():
    assert texts(parsed_inline(charts.growth_by_language([]))) == [
        "No lines of code have been counted yet"
    ]


def test_growth_of_twenty_years_has_columns_that_can_be_pointed_at():
    rows = growth(240, list(LANGUAGES))
    found = titles(parsed_inline(charts.growth_by_language(rows)), "rect")
    assert len(found) == 80
    assert found[-1] == f"November 2026: {rows[-1].loc:,} lines of code"


@settings(deadline=None)
@given(st.lists(st.floats(0, 220), min_size=1, max_size=60), st.floats(0, 9))
def test_a_simplified_edge_is_within_the_tolerance(heights: list[float], tolerance: float):
    points = [(3.0 * place, height) for place, height in enumerate(heights)]
    kept = simplify(points, tolerance)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    for x, y in points:
        (left, low), (right, high) = next(
            (pair for pair in pairwise(kept) if pair[0][0] <= x <= pair[1][0]), (points[0],) * 2
        )
        drawn = low + (high - low) * (x - left) / (right - left) if right > left else low
        assert abs(drawn - y) <= tolerance + 1e-6


def test_a_straight_edge_has_two_points():
    assert simplify([(number, 2 * number) for number in range(50)], 0.1) == [(0, 0), (49, 98)]


@pytest.mark.parametrize("most", [0, 1, 2, 3, 7, 10, 99, 100, 101, 38211, 10**6 + 1, 2**63])
def test_scale_ends_at_or_above_the_most(most: int):
    steps = nice_steps(most)
    assert steps[0] == 0
    assert steps[-1] >= most
    assert 2 <= len(steps) <= 6
    assert len({compact(step) for step in steps}) == len(steps)


@pytest.mark.parametrize("months", [1, 2, 11, 12, 13, 24, 37, 60, 120, 240, 1200])
def test_names_on_the_axis_do_not_touch(months: int):
    rows = growth(months, ["C"])
    ticks = period_ticks(rows[0].name, rows[-1].name, 48, 672)
    ends = []
    for tick in ticks:
        width = text_width(tick.text, 12)
        left = tick.x - {"start": 0.0, "middle": width / 2, "end": width}[tick.anchor]
        ends.append((left, left + width))
    assert ends
    assert all(left[1] < right[0] for left, right in itertools.pairwise(ends))


# Cards


def test_bars_of_a_year_stand_for_the_months_with_commits():
    assert bars([0, 3, 40] * 4, 8, 21).count("M") == 8
    assert bars([0] * 12, 8, 21) == ""


def test_card_keeps_all_digits_in_its_titles():
    enormous = 2**63
    root = parsed_inline(charts.card(Card("p", Figures(loc=enormous, commits=12))))
    assert f"Lines of code: {enormous:,}" in titles(root, "g")
    assert texts(root)[2:6] == [compact(enormous), "Lines of code", "12", "Commits"]


def test_card_says_what_is_unknown():
    assert texts(parsed_inline(charts.card(Card("p", Figures())))).count("unknown") == 6


# Words and figures


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1k"), (38211, "38.2k"), (999_499, "999k"), (999_500, "1M"),
     (1_250_000, "1.25M"), (10**9, "1B"), (2**63, "9,223,372T")],
)  # fmt: skip
def test_compact_numbers(number: int, text: str):
    assert compact(number) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "0.0%"), (0, 5, "0.0%"), (5, 5, "100.0%"), (1, 3, "33.3%"), (1, 10**6, "<0.1%"),
     (10**6 - 1, 10**6, ">99.9%")],
)  # fmt: skip
def test_percentages(part: int, whole: int, text: str):
    assert percentage(part, whole) == text


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0, "0 minutes"), (1, "1 minute"), (119, "119 minutes"), (120, "2.0 hours"), (2880, "2 days"),
     (1051200, "2.0 years"), (7654321, "14.6 years"), (2**40, "2.09M years")],
)  # fmt: skip
def test_time_spans(minutes: int, text: str):
    assert time_span(minutes) == text


def test_texts_that_do_not_fit_end_in_an_ellipsis():
    assert fit("short", 100) == "short"
    assert fit("a" * 50, 100).endswith("a…")
    assert text_width(fit("a" * 50, 100)) <= 100
