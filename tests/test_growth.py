"""Reading growth: months summed over projects, repeated, cut and divided."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import delete, func, select

from config import GrowthMode, PrivateMode
from figures.days import Granularity
from figures.growth import (
    cut,
    fetch_growth,
    fetch_growth_by_language,
    fetch_growth_by_project,
    growth_to_json,
)
from figures.projects import counted, named, visible
from models import FileCounts, Growth, Project, db
from tests.support.databases import opened

pytestmark = pytest.mark.dialect

TODAY = date(2026, 2, 20)
EVERYTHING = counted(PrivateMode.SHOW)
ALPHA = named("alpha", PrivateMode.SHOW)


@pytest.fixture(autouse=True)
def _rows(database_url: str) -> Iterator[None]:
    with opened(database_url):
        add(1, "alpha", {"Python": 90, "C": 10}, growth_sha="a")
        add_month(1, "2025-11", Python=5)
        add_month(1, "2026-01", Python=40, C=2)
        # The current month is what the project has now, whatever its row says.
        add_month(1, "2026-02", Python=60, C=2)
        add(2, "beta", {"Rust": 7}, growth_sha="b", private=True)
        add_month(2, "2025-12", Rust=3_000_000_000)
        add(3, "unfinished", {"Go": 20})
        add_month(3, "2024-01", Go=1)
        add(4, "empty", None, empty=True)
        db.session.commit()
        yield


def add(id_: int, name: str, languages: dict[str, int] | None, **columns: object) -> None:
    loc = sum((languages or {}).values())
    db.session.add(
        Project(id=id_, github_id=id_, name=name, loc=loc, languages_loc=languages, **columns)
    )
    db.session.flush()


def add_month(project: int, month: str, **languages: int) -> None:
    loc = sum(languages.values())
    db.session.add(
        Growth(project_id=project, month=month, sha="0" * 40, loc=loc, languages=languages)
    )


def test_a_month_without_commits_repeats_and_the_current_one_is_todays():
    months = fetch_growth_by_language(ALPHA, TODAY)
    assert growth_to_json(months, Granularity.MONTH, languages=True) == [
        {"month": "2025-11", "loc": 5, "languages": {"Python": 5}},
        {"month": "2025-12", "loc": 5, "languages": {"Python": 5}},
        {"month": "2026-01", "loc": 42, "languages": {"Python": 40, "C": 2}},
        {"month": "2026-02", "loc": 100, "languages": {"Python": 90, "C": 10}},
    ]


def test_projects_are_added_up_and_one_that_lacks_months_is_in_the_current_one_alone():
    assert [(each.name, each.loc) for each in fetch_growth(EVERYTHING, TODAY)] == [
        ("2025-11", 5),
        ("2025-12", 3_000_000_005),
        ("2026-01", 3_000_000_042),
        ("2026-02", 127),
    ]
    last = fetch_growth_by_language(EVERYTHING, TODAY)[-1]
    assert last.parts == {"Python": 90, "C": 10, "Rust": 7, "Go": 20}


def test_a_year_is_what_its_last_month_is():
    years = cut(fetch_growth(EVERYTHING, TODAY), Granularity.YEAR, None, None)
    assert growth_to_json(years, Granularity.YEAR, languages=False) == [
        {"year": "2025", "loc": 3_000_000_005},
        {"year": "2026", "loc": 127},
    ]


@pytest.mark.parametrize(
    ("first", "last", "by", "names"),
    [
        ("2025-12-01", "2026-01-01", "month", ["2025-12", "2026-01"]),
        ("2026-02-01", None, "month", ["2026-02"]),
        (None, "2025-03-01", "month", []),
        ("2025-12-01", "2025-12-01", "year", ["2025"]),
    ],
)
def test_months_and_years_are_cut_out(
    first: str | None, last: str | None, by: str, names: list[str]
):
    days = [date.fromisoformat(day) if day else None for day in (first, last)]
    found = cut(fetch_growth(ALPHA, TODAY), Granularity(by), *days)
    assert [each.name for each in found] == names


def test_one_that_may_not_be_named_is_in_the_totals_alone():
    mode = PrivateMode.COUNT
    months = fetch_growth_by_project(counted(mode), visible(mode), TODAY)
    assert months[1].loc == 3_000_000_005
    assert [each.parts for each in months] == [
        {"alpha": 5},
        {"alpha": 5},
        {"alpha": 42},
        {"alpha": 100, "unfinished": 20},
    ]


def test_by_the_year_other_months_are_not_known():
    months = fetch_growth(ALPHA, TODAY, GrowthMode.YEAR)
    assert [(each.name, each.loc) for each in months] == [("2025-12", 5), ("2026-02", 100)]
    assert fetch_growth(ALPHA, TODAY, GrowthMode.OFF) == []


def test_without_projects_there_is_no_growth():
    assert fetch_growth(named("nobody", PrivateMode.SHOW), TODAY) == []


def test_growth_and_file_counts_go_with_their_project():
    db.session.add(FileCounts(project_id=1, head_sha="a", fingerprint="f", counts=b"x"))
    db.session.commit()
    db.session.execute(delete(Project).where(Project.id == 1))
    db.session.commit()
    for table in (Growth, FileCounts):
        left = select(func.count()).select_from(table).where(table.project_id == 1)
        assert db.session.scalar(left) == 0
