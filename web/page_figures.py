"""The figures as the page shows them, with what each means and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import func, select

from config import PrivateMode
from figures import activity
from figures.projects import BY_NAME, counted, fetch_projects, visible
from models import Project, db
from web import words
from web.charts.shapes import bars
from web.charts.text import count, long_date, time_span

COUNTERS: Final = {
    "cloc": "cloc",
    "pygount": "pygount, as cloc could not be used",
    "estimate": "an estimate, as neither cloc nor pygount could be used",
}
HISTORY: Final = "the git history"
GITHUB: Final = "GitHub"
HISTORY_FIGURES: Final = ("commits", "active_days", "code_churn", "time_spent_minutes")
SPARK_PITCH: Final = 8
SPARK_HEIGHT: Final = 22


class Total(NamedTuple):
    """A figure in large type: its name, its value and its unit."""

    name: str
    value: str
    unit: str = ""


class Meaning(NamedTuple):
    """A figure, what it counts and where it comes from."""

    name: str
    value: str
    text: str
    source: str


class Account(NamedTuple):
    """The owners of the projects, and the address of the only one's page."""

    name: str
    url: str | None


def fetch_account(mode: PrivateMode) -> Account:
    """Return the owners of the projects that may be named, read from the projects' addresses."""
    owners: dict[str, str] = {}
    for address in db.session.scalars(select(Project.url).where(*visible(mode)).order_by(BY_NAME)):
        path = urlsplit(address or "").path.strip("/").split("/")
        if address and len(path) >= 2:
            owners.setdefault(path[-2], address.rstrip("/").rpartition("/")[0])
    if not owners:
        return Account("Projects", None)
    names = list(owners)
    return Account(words.several(names, "owner"), owners[names[0]] if len(names) == 1 else None)


def totals(mode: PrivateMode, metrics: Mapping[str, Any]) -> list[Total]:
    """Return the six figures across all projects, five of them from the rollup."""
    first, last = db.session.execute(
        select(func.min(Project.first_commit_date), func.max(Project.last_commit_date)).where(
            *counted(mode)
        )
    ).one()
    years = Total("From the first commit to the last", "0", "years")
    if first is not None and last is not None:
        name = f"From {first.year} to {last.year}"
        years = Total(name, words.years_between(first, last), "years")
    return [
        Total("Projects", f"{metrics['total_projects']:,}"),
        Total("Lines of code", f"{metrics['total_loc']:,}"),
        Total("Commits", f"{metrics['total_commits']:,}"),
        Total("Active days, all projects", f"{metrics['total_active_days']:,}", "days"),
        Total("Code churn", f"{metrics['total_code_churn']:,}", "lines"),
        years,
    ]


def authors_in_words(metrics: Mapping[str, Any]) -> str | None:
    """Return a sentence on how many commits are one's own and how many are bots', if known."""
    said = []
    # None at all are those of an account whose commits have other addresses than GitHub's.
    if metrics["own_commits"]:
        days, lines = count(metrics["own_active_days"], "day"), count(metrics["own_churn"], "line")
        own = count(metrics["own_commits"], "own commit")
        said.append(f"{own} on {days} with {lines} of churn")
    if metrics["bot_commits"]:
        said.append(f"{count(metrics['bot_commits'], 'commit')} by bots")
    return ", ".join(said) or None


def fetch_table(mode: PrivateMode, today: date) -> list[dict[str, Any]]:
    """Return the projects' rows, newest last commit first."""
    conditions = visible(mode)
    sparklines = activity.fetch_sparklines(conditions, today)
    columns = (
        Project.name,
        Project.primary_language,
        Project.loc,
        Project.commit_count,
        Project.active_days,
        Project.last_commit_date,
        Project.private,
        Project.archived,
        Project.stale_reason,
    )
    rows = db.session.execute(
        select(*columns)
        .where(*conditions)
        .order_by(Project.last_commit_date.desc().nulls_last(), BY_NAME)
    )
    return [
        {
            "name": row.name,
            "language": row.primary_language or "Unknown",
            "loc": row.loc,
            "commits": row.commit_count,
            "active_days": row.active_days,
            "last_commit": _moment(row.last_commit_date, today),
            "private": row.private,
            "archived": row.archived,
            "stale_reason": row.stale_reason,
            "spark": bars(months, SPARK_PITCH, SPARK_HEIGHT),
            "year": f"{count(sum(months), 'commit')} in 12 months",
        }
        for row in rows
        for months in (sparklines.get(row.name, ()),)
    ]


def find_project(name: str, mode: PrivateMode) -> dict[str, Any] | None:
    """Return the project with exactly this name, if it may be named."""
    fields = [
        "name", "url", "private", "archived", "loc", "commits", "active_days", "code_churn",
        "time_spent_minutes", "first_commit", "last_finished", "primary_language",
        "own_commits", "own_active_days", "own_churn", "bot_commits",
        "repository_size_kb", "loc_source", "excluded_files", "head_sha", "measured_at",
        "stale_reason",
    ]  # fmt: skip
    found = fetch_projects((*visible(mode), Project.name == name), fields=fields)
    if not found or found[0]["name"] != name:
        return None
    project = found[0]
    for field in ("first_commit", "last_finished", "measured_at"):
        project[field] = words.parse_timestamp(project[field])
    # Every project has a commit: a count of none means not measured yet.
    if not project["commits"]:
        project |= dict.fromkeys(HISTORY_FIGURES)
    if not project["loc"] and project["loc_source"] is None:
        project["loc"] = None
    return project


def project_totals(project: dict[str, Any]) -> list[Total]:
    """Return a project's six largest figures."""
    spent, _, unit = _spent(project).rpartition(" ")
    churn = project["code_churn"]
    return [
        Total("Lines of code", words.separated(project["loc"])),
        Total("Commits", words.separated(project["commits"])),
        Total("Active days", words.separated(project["active_days"])),
        Total("Code churn", words.separated(churn), "" if churn is None else "lines"),
        Total("Time spent", *((spent, unit) if spent else (unit,))),
        Total("Main language", project["primary_language"]),
    ]


def meanings(project: dict[str, Any]) -> list[Meaning]:
    """Return each figure of a project with what it counts and where it comes from."""
    counter = COUNTERS.get(project["loc_source"] or "", "")
    return [
        Meaning(
            "Lines of code",
            words.separated(project["loc"]),
            "Lines of the default branch that are neither blank nor comments.",
            counter,
        ),
        *_excluded_meaning(project),
        Meaning(
            "Commits",
            words.separated(project["commits"]),
            "Commits in the history of the default branch.",
            HISTORY,
        ),
        Meaning(
            "Active days",
            words.separated(project["active_days"]),
            "Calendar days, in UTC, with at least one commit.",
            HISTORY,
        ),
        Meaning(
            "Code churn",
            words.separated(project["code_churn"]),
            "Lines added and lines deleted by all commits, merges and binary files apart.",
            HISTORY,
        ),
        *_own_meanings(project),
        Meaning(
            "Time spent",
            _spent(project),
            "Time from the first commit to the last: how long the project has lived, not the hours "
            "worked on it.",
            HISTORY,
        ),
        Meaning("First commit", _day(project["first_commit"]), "The earliest commit.", HISTORY),
        Meaning("Last commit", _day(project["last_finished"]), "The latest commit.", HISTORY),
        Meaning(
            "Main language",
            project["primary_language"],
            "The language with the most bytes.",
            GITHUB,
        ),
        Meaning(
            "Size",
            words.size(project["repository_size_kb"]),
            "The repository with its history, as GitHub stores it.",
            GITHUB,
        ),
    ]


def _spent(project: dict[str, Any]) -> str:
    minutes = project["time_spent_minutes"]
    return words.NO_FIGURE if minutes is None else time_span(minutes)


def _excluded_meaning(project: dict[str, Any]) -> list[Meaning]:
    """Return how many files are left out as generated, where there are any."""
    if not project["excluded_files"]:
        return []
    text = (
        "Vendored and generated files, lock files and minified files: in neither lines of code nor "
        "churn."
    )
    return [Meaning("Files left out", words.separated(project["excluded_files"]), text, "")]


def _own_meanings(project: dict[str, Any]) -> list[Meaning]:
    """Return the figures that tell authors apart, as far as they are known."""
    texts = {
        "own_commits": ("Own commits", "Commits whose author is one of those asked for."),
        "own_active_days": ("Own active days", "Calendar days, in UTC, with one of these."),
        "own_churn": ("Own code churn", "Lines added and lines deleted by them."),
        "bot_commits": ("Commits of bots", "Commits whose author is called a bot; none is own."),
    }
    return [
        Meaning(name, f"{project[field]:,}", text, HISTORY)
        for field, (name, text) in texts.items()
        if project[field] is not None
    ]


def _day(moment: datetime | None) -> str:
    return words.UNKNOWN if moment is None else long_date(moment.date())


def _moment(moment: datetime | None, today: date) -> dict[str, str] | None:
    """Return a timestamp as the page shows it: in words, exactly, and for programs."""
    if moment is None:
        return None
    return {
        "words": words.days_ago(moment.date(), today),
        "exact": words.timestamp(moment),
        "iso": f"{moment:%Y-%m-%dT%H:%M}Z",
    }
