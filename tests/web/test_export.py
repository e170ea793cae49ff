"""`flask export DIR`: every answer for readers as a file, and no other file changed."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from errors import ExportError
from models import ActivityDay, Project, db
from web.export import Exported, export_site
from web.export.folder import MANIFEST
from web.export.layout import ARGUMENTS, is_exported, safe_segment

SECRET = "zq-secret-4417"
ODD = (
    "..",
    ".",
    ".github",
    "owner/name",
    "../../up",
    "/etc/passwd",
    "data",
    "data.json",
    "a b?c=d#e&f",
    "<img src=x onerror=y>",
    "größe",
    "C:\\temp\\x",
    "line\nbreak",
    "x" * 255,
    "~year-2024",
)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder of the export."""
    return tmp_path / "site"


def add(app: Flask, *names: str, private: bool = False) -> None:
    with app.app_context():
        for name in names:
            number = db.session.query(Project).count() + 1
            db.session.add(
                Project(name=name, github_id=number, private=private, loc=number, commit_count=1)
            )
        db.session.commit()


def remove(app: Flask, name: str) -> None:
    with app.app_context():
        db.session.query(Project).where(Project.name == name).delete()
        db.session.commit()


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def written_names(folder: Path) -> set[str]:
    return {project["name"] for project in json.loads((folder / "api/projects.json").read_bytes())}


# What is written


def test_every_route_for_readers_is_exported_or_left_out(app: Flask):
    without = {
        f"{rule.rule}: {name}"
        for rule in app.url_map.iter_rules()
        if is_exported(rule)
        for name in rule.arguments - ARGUMENTS.keys() - {"owner"}
    }
    assert without == set()


def test_answers_are_those_of_the_api(app: Flask, client: FlaskClient, site: Path):
    add(app, "alpha", "beta")

    exported = export_site(app, site)

    there = files(site)
    assert exported.files == len(there)
    for path in ("projects", "metrics", "overview", "openapi.json", "project/alpha"):
        file = f"api/{path.removesuffix('.json')}.json"
        assert there[file] == client.get(f"/api/{path}").data, file
    assert written_names(site) == {"alpha", "beta"}


def test_every_json_file_is_json_and_every_svg_is_one(app: Flask, site: Path):
    add(app, "alpha")
    export_site(app, site)
    for path, content in files(site).items():
        if path.endswith(".json"):
            assert "error" not in json.loads(content), path
        elif path.endswith(".svg"):
            assert content.lstrip().startswith(b"<svg"), path


def test_an_account_without_projects(app: Flask, site: Path):
    export_site(app, site)
    assert written_names(site) == set()


def test_the_service_answers_as_before_afterwards(app: Flask, client: FlaskClient, site: Path):
    add(app, SECRET, private=True)
    export_site(app, site)
    assert SECRET in client.get("/api/projects").text


def test_names_that_requests_may_ask_for_do_not_matter(
    environment: dict[str, str], request: pytest.FixtureRequest, site: Path
):
    environment["ALLOWED_HOSTS"] = "tracker.example.org"
    assert export_site(request.getfixturevalue("app"), site).files


# Private repositories


@pytest.mark.parametrize("mode", ["show", "count", "hide"])
def test_private_repositories_are_left_out(
    mode: str, environment: dict[str, str], request: pytest.FixtureRequest, site: Path
):
    environment["PRIVATE_REPOSITORIES"] = mode
    app: Flask = request.getfixturevalue("app")
    add(app, "alpha")
    add(app, SECRET, private=True)
    # What is kept of earlier answers must not come out either.
    app.test_client().get("/api/projects")
    app.test_client().get("/api/metrics")

    export_site(app, site)

    assert written_names(site) == {"alpha"}
    for path, content in files(site).items():
        assert SECRET not in path
        assert SECRET.encode() not in content, path
    assert json.loads((site / "api/metrics.json").read_bytes())["total_projects"] == 1


def test_private_repositories_are_written_when_asked_for(
    environment: dict[str, str], request: pytest.FixtureRequest, site: Path
):
    environment["PRIVATE_REPOSITORIES"] = "count"
    app: Flask = request.getfixturevalue("app")
    add(app, SECRET, private=True)

    export_site(app, site, include_private=True)

    assert written_names(site) == {SECRET}
    # One without them takes them away again.
    export_site(app, site)
    assert not [path for path in files(site) if SECRET in path]


# Whose files


def test_an_export_again_changes_nothing(app: Flask, site: Path):
    add(app, "alpha")
    first = export_site(app, site)
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*.json")}

    again = export_site(app, site)

    assert again == Exported(first.files, 0, [])
    assert {path: path.stat().st_mtime_ns for path in site.rglob("*.json")} == before


def test_what_is_no_longer_there_is_removed(app: Flask, site: Path):
    add(app, "alpha", "beta")
    export_site(app, site)
    assert (site / "api/project/beta.json").exists()
    remove(app, "beta")

    assert export_site(app, site).removed >= 1

    assert not [path for path in files(site) if "beta" in path]
    assert (site / "api/project/alpha.json").exists()


def test_files_of_others_stay(app: Flask, site: Path):
    site.mkdir()
    (site / "CNAME").write_text("example.org")
    add(app, "alpha", "beta")
    export_site(app, site)
    (site / "api/project/beta.json").write_text("changed by hand")
    (site / "api/project/notes.json").write_text("mine")
    remove(app, "beta")

    exported = export_site(app, site)

    assert exported.changed == ["api/project/beta.json"]
    assert (site / "CNAME").read_text() == "example.org"
    assert (site / "api/project/beta.json").read_text() == "changed by hand"
    assert (site / "api/project/notes.json").read_text() == "mine"


def test_files_of_others_are_not_overwritten(app: Flask, site: Path):
    (site / "api").mkdir(parents=True)
    mine = site / "api/metrics.json"
    mine.write_text("mine")

    with pytest.raises(ExportError, match=r"metrics\.json was not written by an export"):
        export_site(app, site)

    assert mine.read_text() == "mine"
    mine.unlink()
    # What the one cut short has written is known as its own.
    export_site(app, site)


def test_links_do_not_lead_out(app: Flask, site: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    site.mkdir()
    (site / "api").symlink_to(outside, target_is_directory=True)

    with pytest.raises(ExportError, match="would be outside"):
        export_site(app, site)

    assert list(outside.iterdir()) == []


def test_a_manifest_that_names_files_outside_removes_none(app: Flask, site: Path, tmp_path: Path):
    outside = tmp_path / "outside.txt"
    outside.write_text("")
    site.mkdir()
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    (site / MANIFEST).write_text(f"{empty}  ../outside.txt\n{empty}  {outside}\n")

    export_site(app, site)

    assert outside.exists()


def test_odd_names_stay_in_the_folder(app: Flask, site: Path, tmp_path: Path):
    add(app, *ODD)
    before = set(tmp_path.iterdir())

    export_site(app, site)

    assert set(tmp_path.iterdir()) - before == {site}
    assert written_names(site) == set(ODD)
    assert not [path for path in files(site) if any(p.startswith(".") for p in path.split("/"))]
    # Each that the API has an answer for has a file of its own.
    own = [path for path in files(site) if path.startswith("api/project/")]
    answers = [json.loads((site / path).read_bytes()) for path in own]
    named = [each["name"] for each in answers if "loc" in each and "name" in each]
    assert len(named) == len(set(named))
    assert {"data", "data.json", ".github", "größe", "~year-2024", "x" * 255} <= set(named)


def test_a_name_with_an_owner_has_all_the_files_of_one_without(app: Flask, site: Path):
    add(app, "alpha", "hubot/alpha", "hubot/history")

    export_site(app, site)

    there = set(files(site))
    own = {path for path in there if "/alpha" in path and "hubot" not in path}
    assert len(own) > 15
    for name in ("hubot/alpha", "hubot/history"):
        assert {path.replace("/alpha", f"/{name}", 1) for path in own} - there == set()
    for path in ("api/project/hubot/history.json", "api/project/hubot/alpha.json"):
        assert "loc" in json.loads((site / path).read_bytes())


def test_no_two_names_share_a_file():
    names = [*ODD, "a.b", "a%2Eb", "%2E", "x" * 299 + "y", "name.html", "name.", "name%2E"]
    segments = [safe_segment(name) for name in names]
    assert len(set(segments)) == len(segments)
    assert [each for each in segments if "/" in each or "\\" in each or each[0] == "."] == []
    assert safe_segment("socket.io-client_2") == "socket.io-client_2"


# Pages


def test_links_of_pages_are_relative(app: Flask, site: Path):
    add(app, "alpha", "owner/beta")
    with app.app_context():
        project = db.session.query(Project).filter_by(name="alpha").one()
        project.url = "https://example.org/me/alpha"
        db.session.add(
            ActivityDay(
                project_id=project.id, day=date(2024, 5, 6), commits=1, additions=1, deletions=1
            )
        )
        db.session.commit()

    export_site(app, site, url="https://me.example.org/figures/")

    index = (site / "index.html").read_text()
    assert 'href="dashboard/alpha.html"' in index
    assert 'href="index~year-2024.html#activity"' in index
    assert "6 May 2024" in (site / "index~year-2024.html").read_text()
    assert 'href="https://example.org/me"' in index
    assert 'href="api/overview.json"' in index
    deep = (site / "dashboard/owner/beta.html").read_text()
    assert 'href="../../index.html"' in deep
    assert re.search(r'src="../../static/table.js[^"]*"', deep)


def test_every_link_of_a_page_leads_to_a_file(app: Flask, site: Path):
    add(app, "alpha", ".github", "data.json", "größe")
    export_site(app, site)
    for path in site.rglob("*.html"):
        for link in re.findall(r'\s(?:href|src|action)="([^"]*)"', path.read_text()):
            parts = urlsplit(link)
            if parts.scheme or not parts.path:
                continue
            assert (path.parent / unquote(parts.path)).is_file(), f"{path}: {link}"


# The command


def test_the_command(runner: FlaskCliRunner, app: Flask, site: Path):
    add(app, "alpha")
    add(app, SECRET, private=True)

    done = runner.invoke(args=["export", str(site)])

    assert done.exit_code == 0, done.output
    assert re.search(r"^\d+ files in .*site, 0 removed$", done.output, re.M)
    assert written_names(site) == {"alpha"}
    assert runner.invoke(args=["export", str(site), "--include-private"]).exit_code == 0
    assert written_names(site) == {"alpha", SECRET}


def test_the_command_says_why_it_failed(runner: FlaskCliRunner, site: Path):
    site.write_text("a file")
    done = runner.invoke(args=["export", str(site / "below")])
    assert done.exit_code == 1
    assert "not exported: " in done.output
    assert "Traceback" not in done.output
