"""The page for people: all projects at one address, and each project at its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from flask import Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement

from config import PrivateMode
from database.types import utc_today
from figures import activity, rollup
from figures.projects import counted, visible
from models import Project
from web import assets, charts, pictures
from web.accept import EXPORTING, wants_page
from web.charts.language_bar import language_bar
from web.page_figures import (
    authors_in_words,
    fetch_account,
    fetch_table,
    find_project,
    meanings,
    project_totals,
    totals,
)
from web.query import Values, one_of
from web.refresh_state import read_state
from web.responses import kept
from web.settings import current_settings, private_mode

# The part that a page can also set in a <meta>, without headers of its own.
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)
POLICY: Final = f"{PAGE_POLICY}; frame-ancestors 'none'"
STYLE_SHEETS: Final = ("theme-light.css", "design.css", "charts.css", "languages.css", "page.css")
SCRIPTS: Final = ("times.js", "table.js", "embed.js", "refresh.js")
YEARS_OFFERED: Final = 30
GROWTH_BY: Final = ("language", "project")


@kept
def show_all() -> ResponseReturnValue:
    """Show the figures across all projects, and the projects."""
    mode, today = private_mode(), utc_today()
    projects = fetch_table(mode, today)
    metrics = rollup.compute(mode)
    return _page(
        "dashboard.html",
        account=fetch_account(mode),
        totals=totals(mode, metrics),
        authors=authors_in_words(metrics),
        projects=projects,
        project_languages=sorted({project["language"] for project in projects}),
        state=read_state(current_settings(), has_projects=bool(projects)),
        **_pictures(counted(mode), metrics["languages_loc"]),
        **_growth_of_all(mode),
    )


@kept
def show_project(name: str) -> ResponseReturnValue:
    """Show one project's figures, what each means and where it comes from."""
    project = find_project(name, private_mode())
    if project is None:
        return _not_found()
    conditions = (*visible(private_mode()), Project.name == name)
    return _page(
        "project.html",
        project=project,
        totals=project_totals(project),
        meanings=meanings(project),
        **_pictures(conditions, rollup.languages_loc(conditions)),
        **_draw_growth(_growth_by_language(conditions), charts.growth_by_language),
    )


def _pictures(
    conditions: Sequence[ColumnElement[bool]], languages_loc: Mapping[str, int]
) -> dict[str, Any]:
    """Draw the activity and the languages of some projects."""
    today = utc_today()
    year: int | None = Values(request.args.to_dict()).read("year", _year, None)
    first, last = activity.calendar_span(year, today)
    days = activity.fetch_commits_by_day(conditions, first, last)
    return {
        "year": year,
        "years": activity.fetch_years(conditions)[:YEARS_OFFERED],
        "calendar": charts.calendar(days, first, last),
        "language_picture": language_bar(languages_loc),
    }


def _growth_of_all(mode: PrivateMode) -> dict[str, Any]:
    """Draw how all projects together grew, by language or by project."""
    by = Values(request.args.to_dict()).read("by", one_of(GROWTH_BY), GROWTH_BY[0])
    if by == "project":
        periods = pictures.growth_by_project(mode, utc_today(), current_settings().growth)
        drawn = _draw_growth(periods, charts.growth_by_project)
    else:
        periods = _growth_by_language(counted(mode))
        drawn = _draw_growth(periods, charts.growth_by_language)
    return drawn | {"growth_by": by, "growth_choices": GROWTH_BY}


def _growth_by_language(conditions: Sequence[ColumnElement[bool]]) -> list[charts.Period]:
    return pictures.growth_by_language(conditions, utc_today(), current_settings().growth)


def _draw_growth(
    periods: Sequence[charts.Period], draw: Callable[..., charts.Picture]
) -> dict[str, Any]:
    """Draw growth; a single month is not drawn."""
    return {"growth_picture": draw(periods) if len(periods) > 1 else None}


def _not_found() -> ResponseReturnValue:
    if not wants_page():
        return {"error": "no such project"}, 404, {"Vary": "Accept"}
    answer = _page("not_found.html")
    answer.vary.add("Accept")
    return answer, 404


def _page(template: str, **values: Any) -> Response:
    answer = Response(
        render_template(
            template,
            asset=_asset,
            style_sheets=STYLE_SHEETS,
            scripts=SCRIPTS,
            today=utc_today(),
            policy=PAGE_POLICY,
            exporting=request.environ.get(EXPORTING, False),
            **values,
        ),
        mimetype="text/html",
    )
    answer.headers["Content-Security-Policy"] = POLICY
    return answer


def _asset(name: str) -> str:
    return url_for("static", filename=name, v=assets.asset_version(name))


def _year(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) > 0):
        raise ValueError(f"expected a year from 1 to {date.max.year}")
    return int(text)
