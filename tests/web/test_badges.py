"""Badges as README files expect them, and the JSON from which shields.io draws its own."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pictures import FIGURES, HOSTILE, SVG, parsed
from web.charts import BADGE_FIGURES, Badge, Figures, error_badge, figure_badge
from web.charts.text import clean

EXPECTED = {
    "loc": ("lines of code", "38,211", "007ec6"),
    "commits": ("commits", "2,549", "007ec6"),
    "active-days": ("active days", "767", "007ec6"),
    "churn": ("code churn", "398,739", "007ec6"),
    "own-commits": ("own commits", "2,000", "007ec6"),
    "own-active-days": ("own active days", "700", "007ec6"),
    "own-churn": ("own code churn", "300,000", "007ec6"),
    "bot-commits": ("bot commits", "11", "007ec6"),
    "time-spent": ("time spent", "14.6 years", "007ec6"),
    "last-commit": ("last commit", "2026-08-20", "007ec6"),
    "language": ("language", "Python", "3572a5"),
}


def number(element: Element, name: str) -> float:
    return float(element.get(name, "nan"))


def test_every_figure_has_a_badge():
    assert set(BADGE_FIGURES) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_endpoint_follows_the_schema_of_shields(name: str):
    label, message, colour = EXPECTED[name]
    assert figure_badge(name, FIGURES).endpoint() == {
        "schemaVersion": 1,
        "label": label,
        "message": message,
        "color": colour,
    }


@pytest.mark.parametrize("name", EXPECTED)
def test_badge_has_a_label_left_and_a_message_right(name: str):
    label, message, colour = EXPECTED[name]
    root = parsed(figure_badge(name, FIGURES).svg())
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext(f"{SVG}title") == f"{label}: {message}"
    assert root.get("height") == "20"
    texts = list(root.iter(f"{SVG}text"))
    assert [each.text for each in texts] == [label, label, message, message]
    assert all(number(each, "textLength") > 0 for each in texts)
    left, right = root.findall(f"{SVG}g/{SVG}rect")[:2]
    assert left.get("fill") == "#555555"
    assert right.get("fill") == f"#{colour}"
    assert number(right, "x") == number(left, "width")
    assert number(root, "width") == number(left, "width") + number(right, "width")


@pytest.mark.parametrize("name", EXPECTED)
def test_unknown_figures_are_said_to_be(name: str):
    answer = figure_badge(name, Figures()).endpoint()
    assert (answer["message"], answer["color"]) == ("unknown", "9f9f9f")


def test_zero_is_a_figure():
    assert figure_badge("loc", Figures(loc=0)).message == "0"


def test_bright_colours_have_dark_letters():
    bright = parsed(figure_badge("language", Figures(language="JavaScript")).svg())
    dark = parsed(figure_badge("language", Figures(language="Python")).svg())
    assert [list(each.iter(f"{SVG}text"))[3].get("fill") for each in (bright, dark)] == [
        "#333",
        "#fff",
    ]


def test_an_error_is_said_in_red():
    badge = error_badge("project", "not found")
    assert badge.endpoint()["isError"] is True
    assert "#e05d44" in badge.svg()


def test_no_other_figure_has_a_badge():
    with pytest.raises(KeyError):
        figure_badge("stars", FIGURES)


@settings(deadline=None)
@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_badges_of_anything_are_well_formed(label: str, message: str):
    root = parsed(Badge(label, message).svg())
    assert len(list(root.iter())) == 16
    # A line's end in an attribute is a space to whoever reads XML.
    assert "".join((root.get("aria-label") or "").split()) == "".join(
        clean(f"{label}: {message}").split()
    )


def test_names_stay_texts():
    assert "<script" not in Badge(HOSTILE, HOSTILE).svg()
