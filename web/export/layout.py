"""The addresses that an export requests, and the file of each answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect, Rule

from config import Settings
from figures.projects import fetch_projects, visible
from web.assets import FOLDER as ASSETS
from web.charts import BADGE_FIGURES
from web.embeds import CHARTS

LEFT_OUT: Final = frozenset({"api.index", "api.health", "api.show_refresh", "api.list_refreshes"})
"""Endpoints that are about a running service only."""

PAGE: Final = "/dashboard"
FOLLOWED: Final = ("year", "by", "theme")
"""Parameters of links on pages whose answers are files of their own."""

PLACE: Final = re.compile(r"<(?:[^<>]*:)?(\w+)>")  # of an argument in a route
SUFFIXES: Final = (".json", ".svg", ".html")
LONGEST: Final = 150  # of a name in a folder; file systems allow 255 bytes
STANDS_AS_IT_IS: Final = "-_ +@,"


class Address(NamedTuple):
    """An address of the service: its path, not quoted, and the parameters that matter."""

    path: str
    query: tuple[tuple[str, str], ...] = ()


class Layout:
    """The addresses of an application and their files; use it in the application's context."""

    def __init__(self, app: Flask) -> None:
        self._settings: Settings = app.config["SETTINGS"]
        self._rules = [rule for rule in app.url_map.iter_rules() if is_exported(rule)]
        self._adapter = app.url_map.bind("localhost")

    def addresses(self) -> Iterator[Address]:
        """Yield every address that may have an answer for readers."""
        values = {name: list(find(self._settings)) for name, find in ARGUMENTS.items()}
        for rule in self._rules:
            if "owner" in rule.arguments:
                continue  # its addresses are those of names with a slash in the route without it
            names = sorted(rule.arguments)
            for chosen in product(*(values[name] for name in names)):
                arguments = dict(zip(names, chosen, strict=True))
                yield Address(_build(rule, arguments))

    def find_file(self, address: Address) -> str | None:
        """Return the file of an address, relative to the folder, or None where it has none."""
        if address.path == "/":
            return self.find_file(address._replace(path=PAGE))
        try:
            rule, _ = self._adapter.match(address.path, method="GET", return_rule=True)
        except (HTTPException, RequestRedirect):
            return None
        if not is_exported(rule):
            return None
        if rule.endpoint == "static":
            return address.path.strip("/")
        return _name_file(rule, address)


def is_exported(rule: Rule) -> bool:
    """Return whether a route's answers go into an export."""
    return "GET" in (rule.methods or ()) and rule.endpoint not in LEFT_OUT


def _visible_names(settings: Settings) -> Iterator[str]:
    yield "all"
    conditions = visible(settings.private_repositories)
    yield from (project["name"] for project in fetch_projects(conditions, fields=("name",)))


def _asset_names(_settings: Settings) -> Iterator[str]:
    for path in sorted(ASSETS.rglob("*")):
        if path.is_file():
            yield path.relative_to(ASSETS).as_posix()


ARGUMENTS: Final[Mapping[str, Callable[[Settings], Iterable[str]]]] = {
    "name": _visible_names,
    "figure": lambda _settings: BADGE_FIGURES,
    "chart": lambda _settings: CHARTS,
    "filename": _asset_names,
}
"""The possible values of the arguments of routes."""


def _build(rule: Rule, arguments: Mapping[str, str]) -> str:
    return PLACE.sub(lambda place: arguments[place[1]], rule.rule)


def _name_file(rule: Rule, address: Address) -> str:
    path = PurePosixPath(address.path)
    suffix = PurePosixPath(rule.rule).suffix
    stem = path.name.removesuffix(suffix)
    if suffix not in SUFFIXES:
        stem, suffix = path.name, ".json" if rule.rule.startswith("/api/") else ".html"
    folders = [safe_segment(each) for each in address.path.split("/")[1:-1]]
    name = "index" if rule.rule == PAGE else safe_segment(stem)
    query = "".join(f"~{key}-{safe_segment(value)}" for key, value in address.query)
    return "/".join([*folders, f"{name}{query}{suffix}"])


def safe_segment(text: str) -> str:
    """Return a file or folder name for any text; ordinary names are not changed.

    Different texts have different names, none leads out of its folder, and none is hidden. An
    ending that the export uses itself is escaped, so that no folder has a file's name.
    """
    written = "".join(
        each
        if each.isalnum() or each in STANDS_AS_IT_IS or (each == "." and number)
        else _escape(each)
        for number, each in enumerate(text)
    )
    if written.endswith((".", *SUFFIXES)):
        head, _, tail = written.rpartition(".")
        written = f"{head}%2E{tail}"
    if len(written.encode()) > LONGEST:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        written = f"{written.encode()[: LONGEST - 40].decode(errors='ignore')}~{digest}"
    return written


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
