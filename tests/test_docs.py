"""README.md, API_DOCUMENTATION.md and openapi.yaml agree with the code and are complete."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import click
import pytest
from flask import Flask
from openapi_spec_validator import validate

import app as application
from config import VARIABLES, Variable
from refresh.store import ABANDONED_AFTER, UNATTENDED_AFTER
from tests.support.documents import (
    NO_DATABASE,
    OPENAPI,
    ROOT,
    answer_of,
    check_payload,
    described,
    in_openapi,
    routes_of,
)
from tools.openapi_json import SOURCE as OPENAPI_YAML
from tools.openapi_json import convert
from web import api
from web.api import OPENAPI as OPENAPI_JSON
from web.errors import HOST_REFUSED

README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "API_DOCUMENTATION.md").read_text()
TERMINAL = (ROOT / "docs" / "terminal.md").read_text()
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


class Example(NamedTuple):
    """One JSON block of API_DOCUMENTATION.md: below which route, labelled with which status."""

    route: str
    status: str
    payload: Any

    def __str__(self) -> str:
        return f"{self.route} {self.status}"


def read_examples() -> Iterator[Example]:
    for section in re.split(r"^## ", GUIDE, flags=re.M)[1:]:
        route = re.match(r"`([A-Z]+ /\S*)`", section)
        for status, text in re.findall(r"^```json(.*?)\n(.*?)^```$", section, re.M | re.S):
            yield Example(route[1] if route else "", status.strip(), json.loads(text))


EXAMPLES = list(read_examples())
COMMON_ERRORS = GUIDE.split("### Errors")[1].split("\n### ")[0]


def section_of(route: str) -> str:
    """Return the route whose section describes this one: those of other owners have none."""
    return route.replace("<owner>/", "")


@pytest.fixture
def plain_app() -> Flask:
    """The application without a database behind it."""
    return application.create_app(NO_DATABASE)


@pytest.fixture
def code_routes(plain_app: Flask) -> set[str]:
    """Every route of the code, as `GET /api/project/<name>`."""
    return routes_of(plain_app)


# The routes


def test_guide_has_every_route_and_no_other(code_routes: set[str]):
    sections = {section_of(route) for route in code_routes}
    assert set(re.findall(r"^## `([A-Z]+ /\S*)`$", GUIDE, re.M)) == sections
    assert set(re.findall(r"^\| \[`([A-Z]+ /\S*)`\]", GUIDE, re.M)) == sections


def test_guide_names_every_route_of_other_owners(code_routes: set[str]):
    others = {route for route in code_routes if route != section_of(route)}
    assert set(re.findall(r"`(GET /\S*<owner>\S*)`", GUIDE)) == others


def test_openapi_has_every_route_and_no_other(code_routes: set[str]):
    there = {
        f"{method.upper()} {path}"
        for path, operations in OPENAPI["paths"].items()
        for method in operations
    }
    assert there == {in_openapi(route) for route in code_routes}


def test_index_names_every_route_and_no_other(plain_app: Flask, code_routes: set[str]):
    assert set(plain_app.test_client().get("/").get_json()["endpoints"]) == code_routes


def test_openapi_is_valid():
    validate(OPENAPI)


def test_openapi_is_served_as_it_is_written():
    served = OPENAPI_JSON.read_text(encoding="utf-8")
    assert served == convert(OPENAPI_YAML.read_text(encoding="utf-8")), "run make openapi"


def test_openapi_names_the_version():
    assert OPENAPI["info"]["version"] == api.VERSION


def test_openapi_describes_no_schema_that_is_not_used():
    used = set(re.findall(r"#/components/\w+/(\w+)", json.dumps(OPENAPI)))
    schemes = {"refreshToken"}
    there = {name for kind in OPENAPI["components"].values() for name in kind}
    assert there - schemes == used


# The examples


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example_is_as_openapi_says(example: Example):
    said = answer_of(example.route, example.status)
    check_payload(example.payload, said["content"]["application/json"]["schema"])


def test_every_route_has_an_example_of_each_good_answer(code_routes: set[str]):
    shown = {(example.route, example.status) for example in EXAMPLES}
    good = {
        (route, status)
        for route in code_routes
        for status in described(route)["responses"]
        if status.startswith("2") and is_json(route, status)
    }
    assert {(section_of(route), status) for route, status in good} <= shown


def is_json(route: str, status: str) -> bool:
    return "application/json" in answer_of(route, status)["content"]


def test_every_picture_has_an_example(code_routes: set[str]):
    shown = set()
    for section in re.split(r"^## ", GUIDE, flags=re.M)[1:]:
        for example in re.findall(r"^```svg 200\n(.*?)^```$", section, re.M | re.S):
            assert ElementTree.fromstring(example).tag.endswith("svg")
            shown.add(section.split("`")[1])
    assert shown == {route for route in code_routes if route.endswith(".svg")}


def test_every_status_of_openapi_is_in_the_guide(code_routes: set[str]):
    general = set(re.findall(r"^\| (\d{3}) \|", COMMON_ERRORS, re.M))
    for route in code_routes:
        section = GUIDE.split(f"## `{section_of(route)}`\n")[1].split("\n## ")[0]
        here = set(re.findall(r"^\| (\d{3}) \|", section, re.M))
        assert set(described(route)["responses"]) <= here | general, route
        assert here <= set(described(route)["responses"]), route


def test_every_field_is_in_the_guide():
    for name, schema in OPENAPI["components"]["schemas"].items():
        for field in schema.get("properties", {}):
            assert f"| `{field}` |" in GUIDE or name in ("Error", "Unhealthy"), f"{name}.{field}"


def test_readme_shows_a_project():
    shown = re.search(r"^```json\n(.*?)^```$", README, re.M | re.S)
    assert shown
    check_payload(json.loads(shown[1]), {"$ref": "#/components/schemas/Project"})


def test_errors_of_any_address(plain_app: Flask):
    client = plain_app.test_client()
    said = dict(re.findall(r"^\| (\d{3}) \|.*\| `(.*)` \|$", COMMON_ERRORS, re.M))
    large = client.get("/", data=b"x" * 65_537)
    for answer in (client.get("/no-such-address"), client.delete("/api/projects"), large):
        assert answer.json == {"error": said[str(answer.status_code)]}
    assert said["400"] == HOST_REFUSED
    assert client.delete("/api/projects").headers["Allow"]


# README.md


def row_of(variable: Variable) -> str:
    shown = variable.shown_default
    default = shown if variable.default is None else f"`{shown}`"
    return f"| `{variable.name}` | {default} | {variable.help} |"


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_readme_has_the_variable(variable: Variable):
    assert row_of(variable) in README.splitlines()


def test_readme_has_no_other_variable():
    table = README.split("## Settings")[1].split("\n## ")[0]
    names = re.findall(r"^\| `([A-Z_]+)` \|", table, re.M)
    assert names == [variable.name for variable in VARIABLES]


def our_commands(app: Flask) -> list[click.Command]:
    commands = app.cli.commands.values()
    return [each for each in commands if getattr(each.callback, "__module__", None) == "cli"]


def test_every_command_is_documented(plain_app: Flask):
    commands = our_commands(plain_app)
    assert commands
    lines = re.findall(r"^\| `(flask --app app .*?)` \|", TERMINAL, re.M)
    assert [line.split()[3] for line in lines] == [command.name for command in commands]
    for command, line in zip(commands, lines, strict=True):
        for parameter in command.params:
            name = parameter.opts[-1] if isinstance(parameter, click.Option) else parameter.name
            assert str(name).lower() in line.lower()


def test_every_process_is_documented():
    processes = re.findall(r"^(\w+):", (ROOT / "Procfile").read_text(), re.M)
    section = DEPLOY.split("## Heroku")[1]
    for process in processes:
        assert f"`{process}`" in section


# docs/architecture.md


def tree() -> list[str]:
    """Read the modules of docs/architecture.md, packages with a slash at their end."""
    block = ARCHITECTURE.split("```")[1]
    return [line.split()[0] for line in block.strip().splitlines()]


def layers() -> list[list[str]]:
    """Read the layers of docs/architecture.md, the highest first."""
    section = ARCHITECTURE.split("## Imports")[1].split("\n## ")[0]
    lines = re.findall(r"^\d+\. (.*)$", section, re.M)
    return [re.findall(r"`(\w+)`", line) for line in lines]


def modules() -> list[Path]:
    """Return the files of the program itself."""
    ours = [*ROOT.glob("*.py"), *ROOT.glob("*/**/*.py")]
    outside = ("tests", "bench", "tools", "migrations", "build", "docs")
    return [
        path
        for path in ours
        if path.name != "gunicorn.conf.py"
        and not path.relative_to(ROOT).parts[0].startswith((".", *outside))
    ]


def imported_by(path: Path) -> set[str]:
    """Return the first part of the name of everything that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_structure_names_only_what_is_there():
    assert [path for path in tree() if not (ROOT / path).exists()] == []


def test_structure_names_every_module():
    assert {path.name for path in ROOT.glob("*.py")} - set(tree()) == set()


def test_structure_names_every_package():
    ours = [path.parent.name for path in ROOT.glob("[!.]*/*.py") if path.parent.name != "build"]
    assert {f"{name}/" for name in ours} - set(tree()) == set()


def test_imports_run_downward():
    place = {name: number for number, layer in enumerate(layers()) for name in layer}
    upward = []
    for path in modules():
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        assert own in place, f"docs/architecture.md has no layer for {own}"
        upward += [
            f"{own} -> {name}" for name in imported_by(path) if place.get(name, 99) < place[own]
        ]
    assert upward == []


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


PAGES = [ROOT / "README.md", ROOT / "API_DOCUMENTATION.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for name, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]*))?\)", page.read_text()):
        target = page.parent / name if name else page
        assert target.exists(), name
        assert not anchor or anchor in anchors_of(target), f"{name}#{anchor}"


DOCUMENTS = [*PAGES, ROOT / "bench" / "README.md"]


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.parent.name + "/" + page.name)
def test_files_in_documents_exist(page: Path):
    named = set(re.findall(r"`([\w.-]+/[\w./-]+\.\w+)`", page.read_text()))
    ours = {name for name in named if (ROOT / name.split("/")[0]).is_dir()}
    assert [name for name in ours if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.parent.name + "/" + page.name)
def test_commands_in_documents_exist(page: Path, plain_app: Flask):
    text = page.read_text()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(re.findall(r"\bmake ([a-z-]+)\b(?=[`\s])", _code(text))) <= set(targets)
    commands = plain_app.cli.commands.keys()
    assert set(re.findall(r"flask --app app ([\w-]+)", text)) <= commands
    for module in re.findall(r"python -m ((?:bench|demo|tools)[\w.]*)", text):
        path = ROOT / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), module


def _code(text: str) -> str:
    """Return the blocks and spans of code of a page."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.S))


def test_readme_is_short():
    assert len(README.encode()) <= 10_000


def test_readme_names_the_waits():
    assert f"After\n{UNATTENDED_AFTER / 60:.0f} minutes without one" in README
    assert f"ends as `failed` after {ABANDONED_AFTER / 60:.0f} minutes" in README


def test_examples_are_on_this_machine():
    hosts = re.findall(r"https?://([\w.:-]+)", README + GUIDE + json.dumps(OPENAPI))
    allowed = {"localhost:5001", "127.0.0.1:5001", "github.com", "api.github.com"}
    allowed |= {"img.shields.io", "www.w3.org"}  # who draws badges; the namespace of pictures
    origins = next(each.default or "" for each in VARIABLES if each.name == "CORS_ORIGINS")
    assert set(hosts) - allowed <= set(re.findall(r"//([\w.:-]+)", origins))


def test_python_of_the_readme_is_the_one_of_the_tools():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert f"Python {settings['tool']['mypy']['python_version']} or newer" in README
