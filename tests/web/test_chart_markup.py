"""Pictures are well-formed for any project name, and comply with the page's policy."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pictures import HOSTILE, PICTURES, SVG, parsed, parsed_inline
from web import assets, charts
from web.charts import Card, Figures, Period, Picture, Theme, languages
from web.charts.text import clean

TAGS = {
    f"{SVG}{tag}"
    for tag in ["svg", "title", "desc", "style", "rect", "path", "circle", "g", "text", "tspan"]
}
COUNTS = st.integers(0, 2**63)
NAMES = st.text(st.characters(codec=None), max_size=40)
PARTS = st.dictionaries(NAMES, COUNTS, max_size=15)
DAYS = st.dates(date(1970, 1, 1), date(2100, 1, 1))


def check(picture: Picture) -> None:
    """Check that a picture has only what a page and a file may contain."""
    inline = parsed_inline(picture)
    for root in (inline, parsed(picture.document())):
        assert {each.tag for each in root.iter()} <= TAGS
        assert root.get("role") == "img"
        assert root.findtext(f"{SVG}title") == clean(picture.title)
        for each in root.iter():
            assert not {"style", "id", "onload", "href"} & set(each.attrib)
    assert f"{SVG}style" not in {each.tag for each in inline.iter()}
    assert not re.search("nan|inf|--|e[+-]", "".join(each.get("d", "") for each in inline.iter()))


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_hold_nothing_that_the_policy_forbids(name: str):
    check(PICTURES[name])


@pytest.mark.parametrize("name", PICTURES)
def test_every_class_has_a_rule(name: str):
    sheets = "".join(assets.read_asset(f"{sheet}.css") for sheet in ("charts", "languages"))
    picture = PICTURES[name]
    for root, rules in ((parsed_inline(picture), sheets), (parsed(picture.document()), None)):
        rules = rules or root.findtext(f"{SVG}style") or ""
        used = {css for each in root.iter() for css in each.get("class", "").split()}
        assert {css for css in used if not re.search(rf"\.{re.escape(css)}\b", rules)} == set()


@settings(deadline=None, max_examples=60)
@given(PARTS, NAMES, st.lists(COUNTS, max_size=12), st.none() | COUNTS, st.none() | DAYS)
def test_cards_of_anything(parts, name, months, number, day):
    figures = Figures(number, number, number, number, number, day, name)
    check(charts.card(Card(name, figures, parts, months, name, name, name)))
    check(charts.notice(name, title=name))


@settings(deadline=None, max_examples=60)
@given(PARTS)
def test_language_bars_of_anything(parts):
    check(charts.language_bar(parts))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(1, 9999), st.integers(1, 12), COUNTS, PARTS),
        max_size=12,
        unique_by=lambda row: row[:2],
    )
)
def test_growth_of_anything(rows):
    months = [Period(f"{year:04}-{month:02}", loc, parts) for year, month, loc, parts in rows]
    check(charts.growth_by_language(months))
    check(charts.growth_by_project(months))
    years = {period.name[:4]: Period(period.name[:4], period.loc, {}) for period in months}
    check(charts.growth_by_language(list(years.values())))


def test_periods_that_are_closer_than_a_tenth_of_a_pixel_are_drawn():
    names = ("1121-01", "1121-02", "1121-03", "9999-12")
    check(charts.growth_by_language([Period(name, 5, {"C": 5}) for name in names]))


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(DAYS, st.integers(-5, 2**63), max_size=30), DAYS, st.integers(0, 800))
def test_calendars_of_anything(counts, first, length):
    check(charts.calendar(counts, first, first + timedelta(days=length)))


def test_names_stay_texts():
    picture = charts.language_bar({HOSTILE: 3})
    shown = "".join(parsed_inline(picture).itertext())
    assert clean(HOSTILE) in shown
    assert "\x00" not in shown
    assert "<script" not in picture.document()


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_the_same_each_time(name: str):
    assert PICTURES[name].document() == PICTURES[name].document()


def test_themes_set_the_same_properties():
    names = [
        re.findall(r"(--[a-z0-9-]+):", assets.read_asset(f"theme-{theme}.css"))
        for theme in ("light", "dark")
    ]
    assert names[0] == names[1]
    sheets = assets.read_asset("charts.css") + assets.read_asset("design.css")
    own = set(re.findall(r"(--[a-z-]+):", assets.read_asset("design.css")))
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", sheets)) <= {*names[0], *own}


def test_document_has_the_theme_that_was_asked_for():
    picture = PICTURES["languages"]
    light, dark, auto = (picture.document(theme) for theme in Theme)
    assert "color-scheme: light" in light
    assert "color-scheme: dark" not in light
    assert "color-scheme: light" not in dark
    assert "@media (prefers-color-scheme: dark)" in auto


def test_style_sheet_of_languages_is_made_of_the_data_file():
    assert assets.read_asset("languages.css") == languages.style_file()


def test_every_language_has_a_class_of_its_own():
    colours = languages.read_data()["colours"]
    assert len({languages.language_class(name) for name in colours}) == len(colours) > 600
    assert languages.language_colour("python") == "#3572a5"


def test_version_of_a_file_is_of_its_content():
    versions = {assets.asset_version(path.name) for path in assets.FOLDER.iterdir()}
    assert len(versions) == len(list(assets.FOLDER.iterdir()))
    assert all(re.fullmatch("[0-9a-f]{12}", version) for version in versions)
