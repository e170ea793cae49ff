"""The rollup: sums, averages, the largest and the languages, to the digit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config import PrivateMode
from figures import rollup
from models import Project, db
from tests.support.databases import opened

pytestmark = pytest.mark.dialect

SHOW, COUNT, HIDE = PrivateMode.SHOW, PrivateMode.COUNT, PrivateMode.HIDE


@pytest.fixture(autouse=True)
def _tables(database_url: str) -> Iterator[None]:
    with opened(database_url):
        yield


def compute(projects, mode=SHOW):
    db.session.query(Project).delete()
    db.session.add_all(projects)
    db.session.commit()
    return rollup.compute(mode)


def project(name, *, private=False, known=True, **figures):
    github_id = int.from_bytes(name.encode()[:7]) if known else None
    return Project(name=name, private=private, github_id=github_id, **figures)


def test_without_projects():
    assert compute([]) == {
        "total_projects": 0,
        "total_time_spent_hours": 0,
        "total_time_spent_minutes": 0,
        "total_loc": 0,
        "total_commits": 0,
        "total_active_days": 0,
        "total_code_churn": 0,
        "own_commits": None,
        "own_active_days": None,
        "own_churn": None,
        "bot_commits": None,
        "average_project_size_kb": 0,
        "project_with_most_loc": None,
        "project_with_most_time": None,
        "project_with_most_commits": None,
        "most_common_language": None,
        "languages_breakdown": {},
        "languages_loc": {},
        "averages": {
            "loc_per_project": 0,
            "commits_per_project": 0,
            "time_per_project_hours": 0,
            "active_days_per_project": 0,
        },
        "refreshed_at": None,
    }


def test_every_figure():
    projects = [
        project(
            "a",
            time_spent_min=100,
            loc=1000,
            commit_count=10,
            active_days=3,
            code_churn=3_000_000_000,
            own_commits=5,
            own_active_days=2,
            own_churn=3_000_000_000,
            bot_commits=4,
            primary_language="Python",
            repository_size_kb=12.5,
        ),
        project(
            "b",
            time_spent_min=50,
            loc=501,
            commit_count=21,
            active_days=4,
            code_churn=3_000_000_000,
            primary_language="C",
            repository_size_kb=1,
        ),
        project("c", primary_language="Python", loc=7),
    ]
    assert compute(projects) == {
        "total_projects": 3,
        "total_time_spent_hours": 2.5,
        "total_time_spent_minutes": 150,
        "total_loc": 1508,
        "total_commits": 31,
        "total_active_days": 7,
        "total_code_churn": 6_000_000_000,
        "own_commits": 5,
        "own_active_days": 2,
        "own_churn": 3_000_000_000,
        "bot_commits": 4,
        "average_project_size_kb": 4.5,
        "project_with_most_loc": {"name": "a", "loc": 1000},
        "project_with_most_time": {
            "name": "a",
            "time_spent_minutes": 100,
            "time_spent_hours": 1.7,
        },
        "project_with_most_commits": {"name": "b", "commits": 21},
        "most_common_language": {"language": "Python", "project_count": 2, "percentage": 66.7},
        "languages_breakdown": {
            "C": {"project_count": 1, "total_loc": 501, "percentage_of_projects": 33.3},
            "Python": {"project_count": 2, "total_loc": 1007, "percentage_of_projects": 66.7},
        },
        "languages_loc": {},
        "averages": {
            "loc_per_project": 502.7,
            "commits_per_project": 10.3,
            "time_per_project_hours": 0.8,
            "active_days_per_project": 2.3,
        },
        "refreshed_at": None,
    }


def test_figures_that_are_not_known_count_as_zero():
    found = compute([project("old")])
    assert found["total_projects"] == 1
    assert found["total_loc"] == found["total_code_churn"] == 0
    assert found["project_with_most_loc"] == {"name": "old", "loc": 0}
    assert found["most_common_language"] == {
        "language": "Unknown",
        "project_count": 1,
        "percentage": 100.0,
    }


def test_ties_go_to_the_name_that_sorts_first():
    figures = {"loc": 5, "time_spent_min": 5, "commit_count": 5}
    found = compute(
        [
            project("b", primary_language="Rust", **figures),
            project("B", primary_language="Ada", **figures),
        ]
    )
    for largest in ("loc", "time", "commits"):
        assert found[f"project_with_most_{largest}"]["name"] == "B"
    assert found["most_common_language"]["language"] == "Ada"


@pytest.mark.parametrize(
    ("minutes", "hours"), [(3, 0.1), (9, 0.2), (15, 0.3), (21, 0.4), (27, 0.5), (2, 0.0)]
)
def test_halves_are_rounded_up(minutes, hours):
    assert compute([project("a", time_spent_min=minutes)])["total_time_spent_hours"] == hours


def test_private_projects_are_counted_but_not_named():
    projects = [
        project("secret", private=True, loc=100, commit_count=9, primary_language="C"),
        project("open", loc=1, primary_language="Python"),
    ]
    found = compute(projects, COUNT)
    assert "secret" not in str(rollup)
    assert found["total_projects"] == 2
    assert found["total_loc"] == 101
    assert found["averages"]["loc_per_project"] == 50.5
    assert found["project_with_most_loc"] == {"name": "open", "loc": 1}
    assert found["languages_breakdown"]["C"]["total_loc"] == 100
    assert found["most_common_language"]["language"] == "C"


def test_hidden_projects_do_not_count():
    hidden = compute([project("secret", private=True, loc=100), project("open", loc=1)], HIDE)
    assert hidden == compute([project("open", loc=1)], SHOW)


def test_nothing_but_private_projects_names_none():
    found = compute([project("secret", private=True, loc=100)], COUNT)
    assert found["project_with_most_loc"] is None
    assert found["total_loc"] == 100


def test_a_project_not_yet_matched_may_be_private():
    unmatched = [project("old", known=False, loc=3)]
    assert compute(unmatched, SHOW)["project_with_most_loc"]["name"] == "old"
    assert compute(unmatched, COUNT)["project_with_most_loc"] is None
    assert compute(unmatched, HIDE)["total_projects"] == 0


def test_code_lines_of_each_language_are_added_up():
    projects = [
        project("a", loc=30, languages_loc={"Python": 2_500_000_000, "C": 10}),
        project("b", loc=25, languages_loc={"Python": 2_500_000_000, "A": 10, "J\"S'\u00e9": 1}),
        project("c"),
        project("d", languages_loc={}),
        project("e", private=True, languages_loc={"Rust": 7}),
        project("f", empty=True, languages_loc={"COBOL": 7}),
    ]
    counted = {"Python": 5_000_000_000, "A": 10, "C": 10, "Rust": 7, "J\"S'\u00e9": 1}
    assert list(compute(projects)["languages_loc"].items()) == list(counted.items())
    assert rollup.compute(COUNT)["languages_loc"] == counted
    assert "Rust" not in rollup.compute(HIDE)["languages_loc"]
