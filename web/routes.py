"""The table of routes and their views.

A view's module is imported when the view is first called, so that a process that answers no
requests loads no views.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pkgutil import resolve_name
from typing import Any, Final

from flask import Blueprint, Flask

from errors import BadParameter
from web.payloads import PATH

ROUTES: Final = {
    "api": {
        "GET /": "web.api:index",
        "GET /api/health": "web.api:health",
        "GET /api/projects": "web.api:list_projects",
        "GET /api/overview": "web.api:overview",
        "GET /api/project/<name>": "web.api:show_project",
        "GET /api/project/<owner>/<name>": "web.api:show_project",
        "GET /api/project/<name>/history": "web.api:show_history",
        "GET /api/project/<owner>/<name>/history": "web.api:show_history",
        "GET /api/activity": "web.api:show_activity",
        "GET /api/growth": "web.api:show_growth",
        "GET /api/project/<name>/growth": "web.api:show_project_growth",
        "GET /api/project/<owner>/<name>/growth": "web.api:show_project_growth",
        "GET /api/metrics": "web.api:metrics",
        "GET /api/openapi.json": "web.api:show_openapi",
        "GET /api/refresh/status/<job_id>": "web.api:show_refresh",
        "GET /api/refresh/jobs": "web.api:list_refreshes",
        "POST /api/refresh": "web.refreshing:start_refresh",
    },
    "dashboard": {
        "GET /dashboard": "web.dashboard:show_all",
        "GET /dashboard/<path:name>": "web.dashboard:show_project",
    },
    "embeds": {
        "GET /api/badge/<path:name>/<figure>.svg": "web.embeds:show_badge",
        "GET /api/badge/<path:name>/<figure>.json": "web.embeds:show_badge_endpoint",
        "GET /api/chart/<chart>.svg": "web.embeds:show_chart",
        "GET /api/card/<path:name>.svg": "web.embeds:show_card",
    },
    "webhook": {
        f"POST {PATH}": "web.webhook:receive",
    },
}
FILTERS: Final = {
    "language_class": "web.charts:language_class",
    "timestamp": "web.words:timestamp",
    "separated": "web.words:separated",
}


def register_routes(app: Flask) -> None:
    """Register the routes, the pictures' error handler and the template filters."""
    for group, routes in ROUTES.items():
        blueprint = Blueprint(group, __name__)
        for route, path in routes.items():
            method, rule = route.split()
            endpoint = path.partition(":")[2]
            blueprint.add_url_rule(rule, endpoint, _imported(path), methods=[method])
        if group == "embeds":
            # Where a picture is embedded, the error has to be a picture, too.
            show = _imported("web.embeds:say_what_is_wrong")
            blueprint.register_error_handler(BadParameter, show)
        app.register_blueprint(blueprint)
    for name, path in FILTERS.items():
        app.add_template_filter(_imported(path), name)


def import_readers() -> None:
    """Import the views of all GET routes; for a server that is about to fork."""
    for routes in ROUTES.values():
        for route, path in routes.items():
            if route.startswith("GET "):
                resolve_name(path)


@cache
def _imported(path: str) -> Callable[..., Any]:
    """Return a function that imports the one at `module:name` when it is first called."""

    @cache  # filters are called for every row of a page
    def find() -> Callable[..., Any]:
        found: Callable[..., Any] = resolve_name(path)
        return found

    def call(*arguments: Any, **options: Any) -> Any:
        return find()(*arguments, **options)

    # Flask-Limiter identifies a view by these attributes.
    call.__module__, _, call.__qualname__ = path.partition(":")
    return call
