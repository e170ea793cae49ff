"""Which addresses the token goes to, and which ones a repository is cloned from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from github_api import User
from github_api.addresses import find_origin, may_have_token, noreply_patterns
from tests.support.client import projects, refresh
from tests.support.git_server import GitServer
from tests.support.world import World

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("clone_url", "api_url", "trusted"),
    [
        ("https://github.com/a/b.git", "https://api.github.com", True),
        ("https://GITHUB.com:443/a/b.git", "https://api.github.com", True),
        ("https://ghe.example/a/b.git", "https://ghe.example/api/v3", True),
        ("https://ghe.example:8443/a/b.git", "https://ghe.example:8443/api/v3", True),
        ("http://github.com/a/b.git", "https://api.github.com", False),
        ("https://github.com:8443/a/b.git", "https://api.github.com", False),
        ("https://github.com.evil.example/a/b.git", "https://api.github.com", False),
        ("https://evil.example/github.com/b.git", "https://api.github.com", False),
        ("https://github.com@evil.example/a/b.git", "https://api.github.com", False),
        ("http://127.0.0.1:2/a.git", "http://127.0.0.1:1", False),
        ("ssh://github.com/a/b.git", "https://api.github.com", False),
    ],
)
def test_the_token_goes_to_the_apis_own_scheme_host_and_port(
    clone_url: str, api_url: str, trusted: bool
):
    assert may_have_token(clone_url, api_url) is trusted


@pytest.mark.parametrize(
    ("api_url", "host"),
    [
        ("https://api.github.com", "github.com"),
        ("https://ghe.example:8443/api/v3", "ghe.example"),
    ],
)
def test_github_gives_a_user_addresses_on_its_own_host(api_url: str, host: str):
    assert noreply_patterns(User("Octo-Cat", 7), api_url) == (
        f"octo-cat@users.noreply.{host}",
        f"7+*@users.noreply.{host}",
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/srv/git/secret.git",
        "../secret.git",
        "file:///srv/git/secret.git",
        "git@github.com:a/b.git",
        "ext::sh -c whoami",
        "--upload-pack=whoami",
        "http://",
        "https://[bad/a.git",
        "https://host:99999/a.git",
        "https://name:password@github.com/a.git",
    ],
)
def test_what_is_no_http_url_has_no_origin(url: str):
    assert find_origin(url) is None


@pytest.mark.needs_cloc
def test_a_folder_of_this_machine_is_not_measured_as_a_repository(
    client: FlaskClient, world: World
):
    world.add("alpha")
    builder = world.add("local")
    world.api.update("local", clone_url=str(builder.path))

    answer = refresh(client)

    assert "local: GitHub gives no http(s) address" in answer["error_message"]
    assert projects(client)["alpha"]["commits"] == 3
    assert projects(client)["local"]["commits"] == 0


@pytest.mark.needs_cloc
def test_another_port_of_the_apis_host_does_not_get_the_token(
    client: FlaskClient, world: World, tmp_path: Path
):
    builder = world.add("alpha")
    with GitServer(tmp_path / "other", token=world.api.token) as other:
        world.api.update("alpha", clone_url=builder.publish(other, "alpha"))
        other.private.add("alpha")
        assert client.post("/api/refresh").status_code == 502
        assert other.requests("alpha")
        assert {request.authorization for request in other.log} == {None}


def test_pygithub_is_loaded_by_who_asks_github_alone():
    code = (
        "import sys, jobs, app, github_api, github_api.types, refresh.listing\n"
        "loaded = {'github', 'github_api.client'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "DATABASE_URL": "sqlite://", "REFRESH_INTERVAL_HOURS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
