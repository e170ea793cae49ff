"""Badges, charts and cards for READMEs and other pages.

Caches must revalidate each time (`no-cache`): GitHub's image proxy keeps a picture for as long as
it is allowed to, and an unchanged one costs it an answer without a body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from flask import Response, request
from flask.typing import ResponseReturnValue

from database.types import utc_today
from errors import BadParameter
from web import charts, pictures
from web.charts import BADGE_FIGURES, Picture, Theme
from web.pictures import Subject
from web.query import Values, one_of
from web.responses import kept
from web.settings import current_settings, private_mode

ALL: Final = "all"
FIRST_YEAR: Final = 1970

# A picture contains its styles; nothing else is loaded and no script runs.
SVG_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

Draw = Callable[[Subject, "Choice"], Picture]


class Choice:
    """The parameters of a picture; raises BadParameter where one cannot be used.

    Other parameters are ignored: people add some to get past a cache.
    """

    def __init__(self, values: Values) -> None:
        self.theme = Theme(values.read("theme", one_of(tuple(Theme)), Theme.AUTO))
        self.project: str | None = values.read("project", str, None)
        self.year: int | None = values.read("year", _year, None)


CHARTS: Final[Mapping[str, Draw]] = {
    "activity": lambda subject, choice: pictures.calendar(subject, choice.year, utc_today()),
    "languages": lambda subject, _: pictures.languages(subject),
    "growth": lambda subject, _: pictures.growth(subject, utc_today(), current_settings().growth),
}


@kept
def show_badge(name: str, figure: str) -> ResponseReturnValue:
    """Draw a figure of a project, or of all, as a badge."""
    if figure not in BADGE_FIGURES:
        return _svg(charts.error_badge("figure", "not found").svg(), 404)
    subject = _find(name)
    if subject is None:
        return _svg(charts.error_badge("project", "not found").svg(), 404)
    return _svg(pictures.badge(subject, figure).svg())


@kept
def show_badge_endpoint(name: str, figure: str) -> ResponseReturnValue:
    """Return a badge by shields.io's endpoint schema."""
    if figure not in BADGE_FIGURES:
        return {"error": "no such figure"}, 404
    subject = _find(name)
    if subject is None:
        return {"error": "no such project"}, 404
    return pictures.badge(subject, figure).endpoint()


@kept
def show_chart(chart: str) -> ResponseReturnValue:
    """Draw a chart of a project, or of all."""
    choice = _choice()
    if chart not in CHARTS:
        return _missing("There is no such chart.", choice.theme)
    subject = pictures.find_subject(choice.project, private_mode())
    if subject is None:
        return _missing("There is no such project.", choice.theme)
    return _svg(CHARTS[chart](subject, choice).document(choice.theme))


@kept
def show_card(name: str) -> ResponseReturnValue:
    """Draw a card of a project, or of all."""
    choice = _choice()
    subject = _find(name)
    if subject is None:
        return _missing("There is no such project.", choice.theme)
    return _svg(pictures.card(subject, utc_today()).document(choice.theme))


def say_what_is_wrong(error: BadParameter) -> ResponseReturnValue:
    """Draw the message of a bad parameter."""
    return _svg(charts.notice(f"{error}.", title="Bad request").document(), 400)


def _missing(text: str, theme: Theme) -> Response:
    return _svg(charts.notice(text, title="Not found").document(theme), 404)


def _svg(document: str, status: int = 200) -> Response:
    answer = Response(document, status, mimetype="image/svg+xml")
    answer.headers["Content-Security-Policy"] = SVG_POLICY
    # Good answers get theirs with the ETag; a missing project may exist later.
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _find(name: str) -> Subject | None:
    return pictures.find_subject(None if name == ALL else name, private_mode())


def _choice() -> Choice:
    return Choice(Values(request.args.to_dict()))


def _year(text: str) -> int:
    if len(text) != 4 or not text.isascii() or not text.isdigit() or int(text) < FIRST_YEAR:
        raise ValueError(f"expected a year from {FIRST_YEAR} to {date.max.year}")
    return int(text)
