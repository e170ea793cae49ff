"""The JSON routes. A request for figures reads the database and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, select, text
from sqlalchemy.exc import SQLAlchemyError

from database.engine import NO_DATABASE
from database.types import to_iso_utc, utc_today
from errors import BadParameter
from figures import activity, growth, rollup
from figures.days import Days
from figures.projects import (
    count_projects,
    counted,
    fetch_projects,
    find_visible,
    is_visible,
    join_name,
    named,
    visible,
)
from models import RefreshJob, RefreshStatus, db, recent_jobs
from refresh import store
from refresh.connection import is_reachable
from web.accept import wants_page
from web.parameters import (
    ACTIVITY_PARAMETERS,
    GrowthQuery,
    ProjectQuery,
    TimeQuery,
    links,
    parse_growth_query,
    parse_project_query,
    parse_time_query,
)
from web.responses import kept
from web.settings import current_settings, private_mode

VERSION = "2.1.0"
OPENAPI = Path(__file__).resolve().parent / "openapi.json"

ENDPOINTS = {
    "GET /": "This list",
    "GET /dashboard": "The page for people; browsers that ask for / are sent there",
    "GET /dashboard/<name>": "One project's page",
    "GET /api/health": "Whether the service works: database, Redis, GitHub's quota",
    "GET /api/projects": "The projects with their figures, newest last commit first",
    "GET /api/project/<name>": "One project",
    "GET /api/project/<name>/history": "One project's commits, additions and deletions by period",
    "GET /api/project/<name>/growth": "One project's lines of code at the end of each month",
    "GET /api/project/<owner>/<name>": "One project of an owner other than the token's user",
    "GET /api/project/<owner>/<name>/history": "The same of a project of another owner",
    "GET /api/project/<owner>/<name>/growth": "The same of a project of another owner",
    "GET /api/metrics": "The figures across all projects",
    "GET /api/overview": "The figures across all projects, and the projects, in one answer",
    "GET /api/activity": "Commits by day, week, month or year, streaks, the busiest weekday",
    "GET /api/growth": "The lines of code of all projects at the end of each month",
    "GET /api/badge/<name>/<figure>.svg": "A figure of a project, or of `all`, as a badge",
    "GET /api/badge/<name>/<figure>.json": "The same by shields.io's endpoint schema",
    "GET /api/chart/<chart>.svg": "A chart of a project, or of all: activity, languages or growth",
    "GET /api/card/<name>.svg": "The figures of a project, or of `all`, on a card",
    "GET /api/openapi.json": "This API, described for programs",
    "POST /api/refresh": "Measure what has changed; ?force=true measures everything",
    "GET /api/refresh/status/<job_id>": "One refresh and its progress",
    "GET /api/refresh/jobs": "The 10 most recent refreshes",
    "POST /api/webhook/github": "GitHub's events: measures what has been pushed to",
}

NO_PROJECT = {"error": "no such project"}


def index() -> ResponseReturnValue:
    """Return what this is and which routes there are; redirect a browser to the page."""
    headers = {"Vary": "Accept"}
    if wants_page():
        return redirect(url_for("dashboard.show_all"), 302), headers
    body = {
        "message": "Project Tracker API",
        "version": VERSION,
        "redis_available": is_reachable(current_settings()),
        "endpoints": ENDPOINTS,
    }
    return body, headers


def health() -> ResponseReturnValue:
    """Return whether the database answers, and the state of Redis, GitHub's quota and refreshes."""
    try:
        db.session.execute(text("SELECT 1"))
        last = db.session.scalar(
            select(RefreshJob)
            .where(RefreshJob.rate_limit_remaining.isnot(None))
            .order_by(RefreshJob.created_at.desc())
            .limit(1)
        )
        completed = store.find_last(RefreshStatus.COMPLETED)
    except SQLAlchemyError:
        db.session.rollback()
        return {"status": "unhealthy", "database": "unreachable", "error": NO_DATABASE}, 503
    settings = current_settings()
    return {
        "status": "healthy",
        "database": "reachable",
        "redis_available": is_reachable(settings),
        "redis_configured": settings.redis_url is not None,
        "github_token_set": settings.github_access_token is not None,
        "github_rate_limit": None
        if last is None
        else {
            "remaining": last.rate_limit_remaining,
            "resets_at": to_iso_utc(last.rate_limit_reset_at),
        },
        "last_completed_refresh": to_iso_utc(completed.completed_at) if completed else None,
    }


@kept
def list_projects() -> ResponseReturnValue:
    """Return the projects that a query chooses."""
    query = parse_project_query(request.args)
    projects, headers = _choose_projects(query)
    return projects, headers


@kept
def overview() -> ResponseReturnValue:
    """Return the rollup and the projects that a query chooses, in one answer."""
    projects, headers = _choose_projects(parse_project_query(request.args))
    metrics = rollup.compute(private_mode())
    body = {
        "metrics": metrics,
        "projects": projects,
        "refreshed_at": metrics["refreshed_at"],
    }
    return body, headers


@kept
def show_project(name: str, owner: str | None = None) -> ResponseReturnValue:
    """Return one project."""
    return _project(join_name(owner, name))


@kept
def show_history(name: str, owner: str | None = None) -> ResponseReturnValue:
    """Return one project's changes by period."""
    project = join_name(owner, name)
    if owner is None and not is_visible(project, private_mode()):
        # A project of another owner may be named `history`, as this route ends.
        return _project(join_name(name, "history"))
    query = parse_time_query(request.args, ACTIVITY_PARAMETERS)
    if not is_visible(project, private_mode()):
        return NO_PROJECT, 404
    days = _fetch_days(named(project, private_mode()), query)
    return {"project": project, **activity.history_to_json(days, query.granularity)}


@kept
def show_activity() -> ResponseReturnValue:
    """Return the changes by period, streaks and the busiest weekday of one project or of all."""
    query = parse_time_query(request.args, ("project", *ACTIVITY_PARAMETERS))
    name = query.project
    if name is not None and not is_visible(name, private_mode()):
        return NO_PROJECT, 404
    conditions = counted(private_mode()) if name is None else named(name, private_mode())
    days = _fetch_days(conditions, query)
    today = utc_today()
    return {"project": name, **activity.activity_to_json(days, query.granularity, today)}


def _fetch_days(conditions: Sequence[ColumnElement[bool]], query: TimeQuery) -> Days:
    if query.own and not activity.knows_own(conditions):
        raise BadParameter("own: it is not known whose commits are one's own; see AUTHOR_EMAILS")
    columns = activity.OWN if query.own else activity.EVERYBODY
    return activity.fetch_days(conditions, query.first, query.last, columns)


@kept
def show_growth() -> ResponseReturnValue:
    """Return the lines of code of all projects together at the end of each month or year."""
    return _growth(parse_growth_query(request.args), counted(private_mode()))


@kept
def show_project_growth(name: str, owner: str | None = None) -> ResponseReturnValue:
    """Return one project's lines of code at the end of each month or year."""
    project = join_name(owner, name)
    if owner is None and not is_visible(project, private_mode()):
        return _project(join_name(name, "growth"))
    query = parse_growth_query(request.args)
    if not is_visible(project, private_mode()):
        return NO_PROJECT, 404
    return _growth(query, named(project, private_mode()))


@kept
def metrics() -> ResponseReturnValue:
    """Return the figures across all projects."""
    return rollup.compute(private_mode())


@kept
def show_openapi() -> ResponseReturnValue:
    """Return openapi.yaml as JSON; `make openapi` converts it."""
    described: dict[str, Any] = orjson.loads(OPENAPI.read_bytes())
    return described


def show_refresh(job_id: str) -> ResponseReturnValue:
    """Return one refresh."""
    row = db.session.get(RefreshJob, job_id)
    if row is None or row.id != job_id:
        return {"error": "no such refresh"}, 404
    return row.to_json(private_mode())


def list_refreshes() -> ResponseReturnValue:
    """Return the 10 most recent refreshes, newest first."""
    return [row.to_json(private_mode()) for row in db.session.scalars(recent_jobs())]


def _project(name: str) -> ResponseReturnValue:
    project = find_visible(name, private_mode())
    if project is None:
        return NO_PROJECT, 404
    return project


def _choose_projects(query: ProjectQuery) -> tuple[list[dict[str, Any]], dict[str, str]]:
    conditions = (*visible(private_mode()), *query.conditions)
    projects = fetch_projects(
        conditions,
        fields=query.fields,
        order_by=query.order_by,
        limit=query.limit,
        offset=query.offset,
    )
    headers = {"X-Total-Count": str(count_projects(conditions))}
    if query.limit is not None:
        headers["Link"] = links(request.path, request.args, query, int(headers["X-Total-Count"]))
    return projects, headers


def _growth(query: GrowthQuery, conditions: Iterable[ColumnElement[bool]]) -> list[dict[str, Any]]:
    fetch = growth.fetch_growth_by_language if query.languages else growth.fetch_growth
    months = fetch(conditions, utc_today(), current_settings().growth)
    periods = growth.cut(months, query.granularity, query.first, query.last)
    return growth.growth_to_json(periods, query.granularity, languages=query.languages)
