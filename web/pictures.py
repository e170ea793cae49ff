"""Pictures of what the database holds: of one project, or of all of them together.

All projects together are those that the rollup counts. A project that may not be named is treated
as if it did not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, func, select

from config import GrowthMode, PrivateMode
from figures import activity, rollup
from figures.growth import Month, fetch_growth_by_language, fetch_growth_by_project
from figures.projects import counted, named, visible
from models import Project, db
from web import charts
from web.charts import Badge, Card, Figures, Period, Picture

ALL_TITLE = "All projects"
NO_GROWTH = "No growth has been measured yet."
NO_PROJECTS = "No project has been measured yet."


@dataclass(frozen=True)
class Subject:
    """The data of the pictures of one project, or of all; `name` is None for all."""

    name: str | None
    conditions: tuple[ColumnElement[bool], ...]
    figures: Figures
    languages_loc: Mapping[str, int]
    subtitle: str
    note: str = ""
    warning: str = ""


def find_subject(name: str | None, private_mode: PrivateMode) -> Subject | None:
    """Return the project with exactly this name, all of them for None; None if there is none."""
    return _all(private_mode) if name is None else _one(name, private_mode)


def badge(subject: Subject, figure: str) -> Badge:
    """Return the badge of a figure named in charts.BADGE_FIGURES."""
    return charts.figure_badge(figure, subject.figures)


def calendar(subject: Subject, year: int | None, today: date) -> Picture:
    """Draw the commits of a year, or of the last twelve months."""
    first, last = activity.calendar_span(year, today)
    return charts.calendar(
        activity.fetch_commits_by_day(subject.conditions, first, last), first, last
    )


def languages(subject: Subject) -> Picture:
    """Draw the languages by lines of code."""
    return charts.language_bar(subject.languages_loc)


def growth(subject: Subject, today: date, mode: GrowthMode) -> Picture:
    """Draw the lines of code of each month, by language."""
    months = growth_by_language(subject.conditions, today, mode)
    if not months:
        return charts.notice(NO_GROWTH, title=subject.name or ALL_TITLE)
    return charts.growth_by_language(months)


def growth_by_language(
    conditions: Iterable[ColumnElement[bool]], today: date, mode: GrowthMode
) -> list[Period]:
    """Return the data of a chart of growth by language."""
    return [_period(month) for month in fetch_growth_by_language(conditions, today, mode)]


def growth_by_project(private_mode: PrivateMode, today: date, mode: GrowthMode) -> list[Period]:
    """Return the data of a chart of growth by project."""
    months = fetch_growth_by_project(counted(private_mode), visible(private_mode), today, mode)
    return [_period(month) for month in months]


def _period(month: Month) -> Period:
    return Period(month.name, month.loc, month.parts)


def card(subject: Subject, today: date) -> Picture:
    """Draw the figures, the languages and the commits of twelve months on a card."""
    return charts.card(
        Card(
            title=subject.name or ALL_TITLE,
            figures=subject.figures,
            languages_loc=subject.languages_loc,
            commits_by_month=activity.fetch_commits_by_month(subject.conditions, today),
            subtitle=subject.subtitle,
            note=subject.note,
            warning=subject.warning,
        )
    )


def _one(name: str, private_mode: PrivateMode) -> Subject | None:
    conditions = named(name, private_mode)
    project = db.session.scalar(select(Project).where(*conditions))
    # The database drops characters that it cannot store from a name, see find_visible.
    if project is None or project.name != name:
        return None
    since = "" if project.first_commit_date is None else f"since {project.first_commit_date.year}"
    measured = _day(project.measured_at)
    return Subject(
        name=name,
        conditions=conditions,
        figures=Figures(
            loc=project.loc,
            commits=project.commit_count,
            active_days=project.active_days,
            churn=project.code_churn,
            own_commits=project.own_commits,
            own_active_days=project.own_active_days,
            own_churn=project.own_churn,
            bot_commits=project.bot_commits,
            time_spent_minutes=project.time_spent_min,
            last_commit=_day(project.last_commit_date),
            language=project.primary_language,
        ),
        languages_loc=project.languages_loc or {},
        subtitle=", ".join(
            part for part in (since, "archived" if project.archived else "") if part
        ),
        note="" if measured is None else f"Measured on {measured}",
        warning="" if project.stale_reason is None else f"Stale: {project.stale_reason}",
    )


def _all(private_mode: PrivateMode) -> Subject:
    metrics = rollup.compute(private_mode)
    common = metrics["most_common_language"]
    projects = metrics["total_projects"]
    # The last commit of a single project, which must be one that may be named.
    last_commit = db.session.scalar(
        select(func.max(Project.last_commit_date)).where(*visible(private_mode))
    )
    return Subject(
        name=None,
        conditions=counted(private_mode),
        figures=Figures(
            loc=metrics["total_loc"],
            commits=metrics["total_commits"],
            active_days=metrics["total_active_days"],
            churn=metrics["total_code_churn"],
            **{name: metrics[name] for name in rollup.OWN},
            time_spent_minutes=metrics["total_time_spent_minutes"],
            last_commit=_day(last_commit),
            language=None if common is None else common["language"],
        ),
        languages_loc=metrics["languages_loc"],
        subtitle="1 project" if projects == 1 else f"{projects:,} projects",
        note="" if projects else NO_PROJECTS,
    )


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()
