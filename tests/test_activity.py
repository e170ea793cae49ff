"""Activity: the sums of the database, and what is computed from the days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from config import PrivateMode
from figures import activity
from figures.days import (
    Changes,
    Granularity,
    Streak,
    busiest_weekday,
    current_streak,
    longest_streak,
    sum_periods,
    total,
)
from figures.projects import counted, visible
from models import ActivityDay, Project, db
from tests.support.databases import opened

pytestmark = pytest.mark.dialect

TODAY = date(2026, 8, 20)  # a Thursday


@pytest.fixture(autouse=True)
def _rows(database_url: str) -> Iterator[None]:
    with opened(database_url):
        db.session.add_all(
            [
                Project(id=1, name="alpha", github_id=1),
                Project(id=2, name="beta", github_id=2, private=True),
                Project(id=3, name="gamma", github_id=3),
            ]
        )
        db.session.flush()
        add(1, "2026-08-20", 1, 10, 2)
        add(1, "2026-08-19", 2, 5, 5)
        add(1, "2025-12-31", 3, 3_000_000_000, 0)
        add(2, "2026-08-20", 10, 1, 1)
        add(2, "2025-09-01", 4, 0, 0)
        add(2, "2025-08-31", 5, 0, 0)
        db.session.commit()
        yield


def add(project: int, day: str, commits: int, additions: int, deletions: int) -> None:
    db.session.add(
        ActivityDay(
            project_id=project,
            day=date.fromisoformat(day),
            commits=commits,
            additions=additions,
            deletions=deletions,
        )
    )


def dates(*texts: str) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


def test_days_are_added_up_over_projects():
    days = activity.fetch_days(counted(PrivateMode.COUNT))
    assert list(days) == dates("2025-08-31", "2025-09-01", "2025-12-31", "2026-08-19", "2026-08-20")
    assert days[TODAY] == Changes(11, 11, 3)
    assert total(days) == Changes(25, 3_000_000_016, 8)


@pytest.mark.parametrize("conditions", [counted(PrivateMode.HIDE), visible(PrivateMode.COUNT)])
def test_private_days_are_left_out_where_they_may_not_be_told(conditions):
    assert total(activity.fetch_days(conditions)).commits == 6
    assert activity.fetch_years(conditions) == [2026, 2025]
    assert sum(activity.fetch_commits_by_month(conditions, TODAY)) == 6
    assert list(activity.fetch_sparklines(conditions, TODAY)) == ["alpha", "gamma"]


def test_both_ends_of_a_range_belong_to_it():
    conditions = (*visible(PrivateMode.SHOW), Project.name == "alpha")
    days = activity.fetch_days(conditions, date(2025, 12, 31), date(2026, 8, 19))
    assert list(days) == dates("2025-12-31", "2026-08-19")
    assert activity.fetch_commits_by_day(conditions, TODAY, TODAY) == {TODAY: 1}
    assert activity.fetch_days(conditions, date(2030, 1, 1)) == {}


def test_sparklines_hold_twelve_months_of_every_project():
    assert activity.fetch_sparklines(visible(PrivateMode.SHOW), TODAY) == {
        "alpha": (0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3),
        "beta": (4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10),
        "gamma": (0,) * 12,
    }
    assert activity.fetch_commits_by_month(counted(PrivateMode.SHOW), TODAY) == (
        (4, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 13)
    )
    assert activity.fetch_commits_by_month((Project.name == "gamma",), TODAY) == (0,) * 12


def test_a_calendar_is_a_year_or_the_days_up_to_today():
    assert activity.calendar_span(2024, TODAY) == (date(2024, 1, 1), date(2024, 12, 31))
    assert activity.calendar_span(None, TODAY) == (date(2025, 8, 21), TODAY)
    assert activity.calendar_span(None, date(2024, 2, 29))[0] == date(2023, 3, 2)


def test_periods_are_named_by_their_first_day():
    days = dict.fromkeys(dates("2024-12-29", "2024-12-30", "2025-01-01"), Changes(1, 2, 3))
    assert sum_periods(days, Granularity.WEEK) == {
        date(2024, 12, 23): Changes(1, 2, 3),
        date(2024, 12, 30): Changes(2, 4, 6),
    }
    assert sum_periods(days, Granularity.MONTH) == {
        date(2024, 12, 1): Changes(2, 4, 6),
        date(2025, 1, 1): Changes(1, 2, 3),
    }
    names = {
        by: [period["period"] for period in activity.history_to_json(days, by)["periods"]]
        for by in Granularity
    }
    assert names == {
        "day": ["2024-12-29", "2024-12-30", "2025-01-01"],
        "week": ["2024-W52", "2025-W01"],
        "month": ["2024-12", "2025-01"],
        "year": ["2024", "2025"],
    }


def test_streaks():
    days = dates("2026-01-01", "2026-01-02", "2026-03-01", "2026-08-18", "2026-08-19")
    assert longest_streak(days) == Streak(date(2026, 8, 18), date(2026, 8, 19))
    assert longest_streak(reversed(days)) == longest_streak(days)
    assert longest_streak([]) is None
    for today in (date(2026, 8, 19), date(2026, 8, 20)):
        assert current_streak(days, today) == Streak(date(2026, 8, 18), date(2026, 8, 19))
    # Today is not over, yesterday is; and what is dated tomorrow has not happened yet.
    assert current_streak(days, date(2026, 8, 21)) is None
    assert current_streak(days, date(2026, 8, 18)) == Streak(*[date(2026, 8, 18)] * 2)
    assert current_streak([], TODAY) is None


def test_the_ends_of_the_calendar_are_days_like_any_other():
    days = {date.max: Changes(1, 0, 0), date.max - timedelta(days=1): Changes(1, 0, 0)}
    for by in Granularity:
        assert total(sum_periods(days, by)).commits == 2
    assert longest_streak(days) == Streak(date.max - timedelta(days=1), date.max)


def test_the_busiest_weekday():
    assert busiest_weekday(activity.fetch_days(counted(PrivateMode.SHOW))) == ("Thursday", 11)
    days = dict.fromkeys(dates("2026-08-20", "2026-08-18"), Changes(3, 0, 0))
    assert busiest_weekday(days) == ("Tuesday", 3)
    assert busiest_weekday({}) is None


def test_without_a_day_there_is_nothing_to_tell():
    assert activity.activity_to_json({}, Granularity.MONTH, TODAY) == {
        "by": "month",
        "first_day": None,
        "last_day": None,
        "periods": [],
        "totals": {"commits": 0, "additions": 0, "deletions": 0, "active_days": 0},
        "longest_streak": None,
        "current_streak": None,
        "busiest_weekday": None,
    }
