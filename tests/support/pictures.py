"""Figures for pictures, the same in every run, and parsing of drawn pictures."""

from __future__ import annotations

import random
from datetime import date, timedelta
from xml.etree.ElementTree import Element, fromstring

from web import charts
from web.charts import Card, Figures, Period, Picture

SVG = "{http://www.w3.org/2000/svg}"
LAST = date(2026, 11, 25)
FIGURES = Figures(
    loc=38211,
    commits=2549,
    active_days=767,
    churn=398739,
    own_commits=2000,
    own_active_days=700,
    own_churn=300_000,
    bot_commits=11,
    time_spent_minutes=7654321,
    last_commit=date(2026, 8, 20),
    language="Python",
)
ENORMOUS = Figures(
    loc=2**63,
    commits=2**63,
    active_days=10**7,
    churn=2**63,
    own_commits=2**63,
    own_active_days=10**7,
    own_churn=2**63,
    bot_commits=2**63,
    time_spent_minutes=2**62,
    last_commit=date(9999, 12, 31),
    language="Web Services Description",
)
LANGUAGES = {
    "Python": 38211,
    "JavaScript": 20100,
    "Bourne Shell": 4100,
    "C++": 3500,
    "CSS": 2000,
    "C/C++ Header": 900,
    "Text": 650,
    "Dockerfile": 20,
}
MANY_LANGUAGES = {f"Language number {i}": 10**12 - i for i in range(100)} | {"Other": 12}
HOSTILE = "</text><script>alert(1)</script>&amp;\"'<style>*{fill:red}</style>\x00\x08\x0b\ufffe]]>"


def days(years: int) -> dict[date, int]:
    """Commits on about half of the days of some years up to LAST."""
    source = random.Random(years)
    span = (LAST - timedelta(days=n) for n in range(366 * years))
    return {day: 1 + int(source.expovariate(0.3)) for day in span if source.random() < 0.5}


def growth(months: int, names: list[str]) -> list[Period]:
    """Months up to LAST's with lines that rise and fall."""
    source = random.Random(months)
    lines = dict.fromkeys(names, 0)
    found = []
    for number in range(LAST.year * 12 + LAST.month - months, LAST.year * 12 + LAST.month):
        lines = {name: max(0, had + source.randint(-200, 500)) for name, had in lines.items()}
        name = f"{number // 12:04}-{number % 12 + 1:02}"
        found.append(Period(name, sum(lines.values()), lines))
    return found


def every_picture() -> dict[str, Picture]:
    """Pictures of nothing, of usual and of extreme figures."""
    year = date(2025, 11, 26)
    return {
        "calendar": charts.calendar(days(1), year, LAST),
        "calendar of nothing": charts.calendar({}, year, LAST),
        "calendar of one day": charts.calendar({LAST: 3}, LAST, LAST),
        "calendar of twenty years": charts.calendar(days(20), date(2007, 1, 1), LAST),
        "calendar of many commits": charts.calendar({LAST: 2**62}, year, LAST),
        "languages": charts.language_bar(LANGUAGES),
        "no languages": charts.language_bar({}),
        "many languages": charts.language_bar(MANY_LANGUAGES),
        "growth": charts.growth_by_language(growth(30, ["Python", "C++", "Text"])),
        "growth of nothing": charts.growth_by_language([]),
        "growth of one month": charts.growth_by_language(growth(1, ["Python", "C"])),
        "growth of twenty years": charts.growth_by_language(growth(240, list(LANGUAGES))),
        "growth of projects": charts.growth_by_project(growth(50, [f"p{n}" for n in range(20)])),
        "growth of much": charts.growth_by_project([Period("2026", 2**63, {HOSTILE: 2**63})]),
        "card": charts.card(Card("redis-py", FIGURES, LANGUAGES, range(12), "redis", "Measured")),
        "card of nothing": charts.card(Card("", Figures())),
        "card of much": charts.card(
            Card(
                title="w" * 300,
                figures=ENORMOUS,
                languages_loc=MANY_LANGUAGES,
                commits_by_month=[2**62] * 12,
                subtitle="w" * 300,
                note="w" * 300,
                warning="The last refresh could not clone it: " + "the connection was lost " * 9,
            )
        ),
        "hostile card": charts.card(
            Card(HOSTILE, Figures(language=HOSTILE), {HOSTILE: 5}, [1], HOSTILE, HOSTILE, HOSTILE)
        ),
        "notice": charts.notice(f"There is no project called {HOSTILE}", title=HOSTILE),
    }


PICTURES = every_picture()


def parsed(svg: str) -> Element:
    """Parse XML as strictly as a browser does."""
    return fromstring(svg)


def parsed_inline(picture: Picture) -> Element:
    """Parse a picture of a page, which has no namespace."""
    return fromstring(str(picture.inline()).replace("<svg", f'<svg xmlns="{SVG[1:-1]}"', 1))


def titles(root: Element, tag: str, css_class: str = "") -> list[str]:
    """Return the titles of the elements of a kind."""
    return [
        each.findtext(f"{SVG}title") or ""
        for each in root.iter(SVG + tag)
        if css_class in each.get("class", "").split() or not css_class
    ]
