"""Which owners' repositories are measured, and which of them, with a token and without."""

from __future__ import annotations

import pytest

from config import read_settings
from errors import ConfigError
from tests.refresh.conftest import Start
from tests.support.client import projects, refresh
from tests.support.world import World

pytestmark = pytest.mark.needs_cloc


@pytest.fixture
def account(world: World) -> World:
    """The token's user with three repositories, an organization with two, and somebody else."""
    world.api.organizations.add("acme")
    world.add("mine", private=True)
    world.add("a-fork", fork=True)
    world.add("old", archived=True)
    world.add("web", owner="acme", private=True)
    world.add("tools", owner="acme")
    world.add("notes", owner="somebody", language="C")
    return world


def test_the_tokens_user_is_the_default(start: Start, account: World):
    client = start()
    refresh(client)
    assert {name: each["owner"] for name, each in projects(client).items()} == {
        "mine": "octocat",
        "old": "octocat",
    }


def test_other_owners_keep_their_names_before_the_repositorys(start: Start, account: World):
    client = start(GITHUB_OWNERS="octocat, ACME,somebody")
    refresh(client)
    found = projects(client)
    assert sorted(found) == ["acme/tools", "acme/web", "mine", "old", "somebody/notes"]
    assert found["acme/web"]["private"] is True
    assert client.get("/api/project/acme/web").json == found["acme/web"]
    assert client.get("/api/project/mine").json == found["mine"]
    assert client.get("/api/project/octocat/mine").status_code == 404


def test_one_name_of_two_owners_is_two_projects(start: Start, account: World):
    account.add("same", owner="acme", commits=2)
    other = account.api.add("same", account.repositories["mine"].publish(account.git, "same-too"))
    account.git.private.discard("same-too")
    client = start(GITHUB_OWNERS="octocat,acme")
    refresh(client)
    found = projects(client)
    assert {"same", "acme/same"} <= set(found)
    assert other


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"INCLUDE_FORKS": "true"}, ["a-fork", "mine", "old"]),
        ({"INCLUDE_ARCHIVED": "false"}, ["mine"]),
        ({"INCLUDE_REPOSITORIES": "octocat/M*"}, ["mine"]),
        ({"EXCLUDE_REPOSITORIES": "*/old,x/*"}, ["mine"]),
        (
            {"GITHUB_OWNERS": "octocat,acme", "INCLUDE_REPOSITORIES": "acme/*,*/mine"},
            ["acme/tools", "acme/web", "mine"],
        ),
    ],
)
def test_settings_choose(start: Start, account: World, settings, expected):
    client = start(**settings)
    refresh(client)
    assert sorted(projects(client)) == expected


def test_what_is_no_longer_chosen_goes(start: Start, account: World):
    refresh(start(GITHUB_OWNERS="octocat,acme"))
    client = start(GITHUB_OWNERS="acme", EXCLUDE_REPOSITORIES="acme/web")
    refresh(client)
    assert sorted(projects(client)) == ["acme/tools"]


def test_choosing_nothing_deletes_nothing(start: Start, account: World):
    refresh(start())
    client = start(EXCLUDE_REPOSITORIES="*/*")
    answer = client.post("/api/refresh")
    assert answer.status_code == 502
    assert "the settings choose none" in answer.get_json()["error"]
    assert sorted(projects(client)) == ["mine", "old"]


def test_an_owner_that_is_not_there_is_named(start: Start, account: World):
    answer = start(GITHUB_OWNERS="octocat,nobody-of-that-name").post("/api/refresh")
    assert answer.status_code == 502
    assert "GITHUB_OWNERS" in answer.get_json()["error"]
    assert "nobody-of-that-name" in answer.get_json()["error"]


def test_without_a_token_what_is_public_is_measured(start: Start, account: World):
    client = start(GITHUB_ACCESS_TOKEN=None, GITHUB_OWNERS="somebody,acme")
    refresh(client)
    found = projects(client)
    assert sorted(found) == ["acme/tools", "somebody/notes"]
    notes = found["somebody/notes"]
    assert (notes["commits"], notes["primary_language"], notes["languages"]) == (3, "C", {})
    assert notes["stale"] is False
    assert set(account.api.authorizations) == {None}
    # One call for each owner, none for each repository; and a second refresh clones nothing.
    assert len(account.api.requests) == 2
    clones = account.clones()
    refresh(client)
    assert account.clones() == clones


def test_neither_a_token_nor_owners_says_what_to_set(start: Start, account: World):
    answer = start(GITHUB_ACCESS_TOKEN=None).post("/api/refresh")
    assert answer.status_code == 503
    assert "GITHUB_ACCESS_TOKEN" in answer.get_json()["error"]
    assert "GITHUB_OWNERS" in answer.get_json()["error"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_OWNERS", "me,a/b"),
        ("INCLUDE_FORKS", "perhaps"),
        ("INCLUDE_REPOSITORIES", "web"),
        ("EXCLUDE_REPOSITORIES", "a/b/c"),
    ],
)
def test_values_that_cannot_be_used_stop_the_start(name: str, value: str):
    with pytest.raises(ConfigError, match=name):
        read_settings({name: value})
