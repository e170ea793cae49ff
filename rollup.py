"""The figures across all projects."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from config import PrivateMode
from models import Project


def compute(
    projects: Iterable[Project], private_mode: PrivateMode = PrivateMode.SHOW
) -> dict[str, Any]:
    """Add up the projects that `models.counted` selects; a figure that is not known counts as 0.

    Hours, percentages, averages and sizes have one decimal, halves rounded up. Ties go to the name
    that sorts first.
    """
    projects = list(projects)
    public = [project for project in projects if project.may_be_named(private_mode)]
    if private_mode is PrivateMode.HIDE:
        projects = public
    count = len(projects)
    minutes = _total(projects, _minutes)
    commits = _total(projects, _commits)
    loc = _total(projects, _loc)
    active_days = _total(projects, _active_days)
    return {
        "total_projects": count,
        "total_time_spent_hours": _ratio(minutes, 60),
        "total_time_spent_minutes": minutes,
        "total_loc": loc,
        "total_commits": commits,
        "total_active_days": active_days,
        "total_code_churn": _total(projects, lambda p: p.code_churn or 0),
        "average_project_size_kb": _ratio(
            sum(Fraction(p.repository_size_kb or 0) for p in projects), count
        ),
        "project_with_most_loc": _most_loc(public),
        "project_with_most_time": _most_time(public),
        "project_with_most_commits": _most_commits(public),
        "most_common_language": _most_common_language(projects),
        "languages_breakdown": _languages_breakdown(projects),
        "averages": {
            "loc_per_project": _ratio(loc, count),
            "commits_per_project": _ratio(commits, count),
            "time_per_project_hours": _ratio(minutes, 60 * count),
            "active_days_per_project": _ratio(active_days, count),
        },
    }


def _minutes(project: Project) -> int:
    return project.time_spent_min or 0


def _loc(project: Project) -> int:
    return project.loc or 0


def _commits(project: Project) -> int:
    return project.commit_count or 0


def _active_days(project: Project) -> int:
    return project.active_days or 0


def _language(project: Project) -> str:
    return project.primary_language or "Unknown"


def _total(projects: list[Project], figure: Callable[[Project], int]) -> int:
    return sum(map(figure, projects))


def _ratio(part: int | Fraction, whole: int) -> float:
    # Exact, so that a half is a half: round() would go to the even digit, and by what the nearest
    # binary number happens to be.
    return math.floor(Fraction(part, whole) * 10 + Fraction(1, 2)) / 10 if whole else 0.0


def _first_with_most(projects: list[Project], figure: Callable[[Project], int]) -> Project | None:
    return min(projects, key=lambda p: (-figure(p), p.name), default=None)


def _most_loc(projects: list[Project]) -> dict[str, Any] | None:
    project = _first_with_most(projects, _loc)
    return None if project is None else {"name": project.name, "loc": _loc(project)}


def _most_time(projects: list[Project]) -> dict[str, Any] | None:
    project = _first_with_most(projects, _minutes)
    return (
        None
        if project is None
        else {
            "name": project.name,
            "time_spent_minutes": _minutes(project),
            "time_spent_hours": _ratio(_minutes(project), 60),
        }
    )


def _most_commits(projects: list[Project]) -> dict[str, Any] | None:
    project = _first_with_most(projects, _commits)
    return None if project is None else {"name": project.name, "commits": _commits(project)}


def _most_common_language(projects: list[Project]) -> dict[str, Any] | None:
    counts = Counter(map(_language, projects))
    if not counts:
        return None
    language, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return {
        "language": language,
        "project_count": count,
        "percentage": _ratio(100 * count, len(projects)),
    }


def _languages_breakdown(projects: list[Project]) -> dict[str, dict[str, Any]]:
    counts: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for project in projects:
        counts[_language(project)] += 1
        lines[_language(project)] += _loc(project)
    return {
        language: {
            "project_count": counts[language],
            "total_loc": lines[language],
            "percentage_of_projects": _ratio(100 * counts[language], len(projects)),
        }
        for language in sorted(counts)
    }
