"""A picture: an SVG template with its values, for a page or as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from web import assets
from web.charts import languages
from web.charts.legend import Entry
from web.charts.text import clean

MARGIN = 16


class Theme(StrEnum):
    """The colour scheme of a file; `auto` is the reader's system's."""

    LIGHT = "light"
    DARK = "dark"
    AUTO = "auto"


@dataclass(frozen=True)
class Picture:
    """A template with its size in pixels, its title and its values.

    `stretched_template` draws it as wide as its place in a page, without its legend's `entries`.
    """

    template: str
    title: str
    width: int
    height: int
    values: Mapping[str, object]
    description: str = ""
    language_classes: frozenset[str] = field(default=frozenset())
    stretched_template: str = ""
    entries: Sequence[Entry] = ()

    def inline(self) -> Markup:
        """Return the picture for an HTML page that links theme-*, charts and languages.css.

        It has neither a style element nor a style attribute, and no identifiers.
        """
        return self._render("inline.svg")

    def stretched(self) -> Markup:
        """Return the picture for such a page, as wide as its place and without its legend."""
        return self._render(self.stretched_template)

    def _render(self, template: str) -> Markup:
        return Markup(_environment().get_template(template).render(picture=self))  # noqa: S704

    def document(self, theme: Theme = Theme.AUTO) -> str:
        """Return the picture as an SVG file with its own styles, on a panel of the theme's."""
        style = f"{_theme_rules(theme)}\n{_chart_rules()}\n" + languages.style_rules(
            self.language_classes
        )
        return (
            _environment()
            .get_template("document.svg")
            .render(picture=self, margin=MARGIN, style=Markup(style))  # noqa: S704
        )


@cache
def _environment() -> Environment:
    """Return an environment that escapes values in templates of any name."""
    return Environment(
        loader=PackageLoader("web", "templates/charts"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_clean_text,
    )


def _clean_text(value: object) -> object:
    # Not isinstance: Markup is a subclass of str, and must stay Markup.
    return clean(value) if type(value) is str else value


def render(template: str, values: Mapping[str, object]) -> str:
    """Return a rendered template that is a document by itself."""
    return _environment().get_template(template).render(values)


@cache
def _chart_rules() -> str:
    return assets.read_asset("charts.css")


@cache
def _theme_rules(theme: Theme) -> str:
    if theme is Theme.AUTO:
        light, dark = _theme_rules(Theme.LIGHT), _theme_rules(Theme.DARK)
        return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"
    return assets.read_asset(f"theme-{theme}.css")
