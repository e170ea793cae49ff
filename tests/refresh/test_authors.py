"""Own commits over refreshes: in projects, the rollup, activity, pages and badges."""

from __future__ import annotations

from typing import Any

import pytest

from tests.refresh.conftest import Start
from tests.support.client import projects, refresh
from tests.support.documents import check_answer
from tests.support.world import World

pytestmark = pytest.mark.needs_cloc

ADA = "Ada <ada@example.org>"
BOB = "Bob <bob@example.org>"
NAMED = "Me <octocat@users.noreply.127.0.0.1>"
NUMBERED = "Me <1+a-former-name@users.noreply.127.0.0.1>"
BOT = "dependabot[bot] <49699333+dependabot[bot]@users.noreply.127.0.0.1>"
NOON = 1_700_049_600
DAY = 86_400


@pytest.fixture
def account(world: World) -> World:
    """An account of one repository with six commits on three days, by five authors."""
    alpha = world.add("alpha", commits=0)
    commits = [(ADA, 0), (BOB, 0), (NAMED, 1), (NUMBERED, 1), (BOT, 2), (BOB, 2)]
    for number, (author, day) in enumerate(commits):
        lines = b"x = 1\n" * (number + 1)
        alpha.commit({f"{number}.py": lines}, author=author, when=NOON + day * DAY)
    world.push("alpha")
    return world


def own_of(answer: dict[str, Any]) -> dict[str, int | None]:
    names = ("own_commits", "own_active_days", "own_churn", "bot_commits")
    return {name.removeprefix("own_"): answer[name] for name in names}


@pytest.mark.dialect
def test_own_commits_are_the_user_s_and_those_asked_for(start: Start, account: World):
    client = start(AUTHOR_EMAILS="ada@*, *[!k]@acme.com")
    refresh(client)
    figures = {"commits": 3, "active_days": 2, "churn": 8, "bot_commits": 1}
    assert own_of(projects(client)["alpha"]) == figures
    assert own_of(client.get("/api/metrics").get_json()) == figures
    account.add("beta", commits=2)
    account.repositories["alpha"].commit({"0.py": b""}, author=ADA, when=NOON + 5 * DAY)
    account.push("alpha")

    refresh(client)

    figures = {"commits": 4, "active_days": 3, "churn": 9, "bot_commits": 1}
    assert own_of(projects(client)["alpha"]) == figures
    more = {"commits": 6, "active_days": 4, "churn": 12, "bot_commits": 1}
    assert own_of(client.get("/api/metrics").get_json()) == more | {"active_days": 4}


@pytest.mark.dialect
def test_the_user_s_noreply_addresses_are_always_own(start: Start, account: World):
    client = start()
    refresh(client)

    assert own_of(projects(client)["alpha"]) == {
        "commits": 2,
        "active_days": 1,
        "churn": 7,
        "bot_commits": 1,
    }
    activity = client.get("/api/activity?own=true&by=day")
    assert check_answer("GET /api/activity", activity)["periods"] == [
        {
            "period": "2023-11-16",
            "start": "2023-11-16",
            "commits": 2,
            "additions": 7,
            "deletions": 0,
        }
    ]
    history = client.get("/api/project/alpha/history?own=true&by=year").get_json()
    assert [each["commits"] for each in history["periods"]] == [2]
    everybody = client.get("/api/activity?own=false").get_json()
    assert everybody == client.get("/api/activity").get_json()
    assert everybody["totals"]["commits"] == 6
    for figure, message in (("own-commits", "2"), ("own-active-days", "1"), ("own-churn", "7")):
        assert client.get(f"/api/badge/alpha/{figure}.json").get_json()["message"] == message
        assert client.get(f"/api/badge/all/{figure}.json").get_json()["message"] == message
    assert b"2 own commits on 1 day with 7 lines of churn, 1 commit by bots" in (
        client.get("/dashboard").data
    )
    assert b"Own commits" in client.get("/dashboard/alpha").data


def test_owners_do_not_change_who_the_user_is(start: Start, account: World):
    account.add("web", owner="acme", commits=0)
    account.repositories["web"].commit({"a.py": b"1\n"}, author=NUMBERED)
    account.repositories["web"].push()
    client = start(GITHUB_OWNERS="acme")
    refresh(client)

    assert own_of(projects(client)["acme/web"])["commits"] == 1


def test_without_a_user_nothing_is_own(start: Start, account: World):
    client = start(GITHUB_OWNERS="octocat", GITHUB_ACCESS_TOKEN=None)
    refresh(client)

    unknown = {"commits": None, "active_days": None, "churn": None, "bot_commits": 1}
    assert own_of(projects(client)["octocat/alpha"]) == unknown
    assert own_of(client.get("/api/metrics").get_json()) == unknown
    for path in ("/api/activity?own=true", "/api/activity?own=true&project=octocat/alpha"):
        answer = client.get(path)
        assert answer.status_code == 400
        assert "AUTHOR_EMAILS" in answer.get_json()["error"]
    badge = client.get("/api/badge/octocat/alpha/own-commits.json").get_json()
    assert badge["message"] == "unknown"
    assert b"Own commits" not in client.get("/dashboard/octocat/alpha").data


def test_other_addresses_mean_a_full_measurement(start: Start, account: World):
    client = start()
    refresh(client)
    client = start(AUTHOR_EMAILS="bob@example.org", REFRESH_MIN_INTERVAL="0")
    clones = account.clones()

    refresh(client)

    assert account.clones() > clones
    assert own_of(projects(client)["alpha"])["commits"] == 4
    clones = account.clones()
    refresh(client)
    assert account.clones() == clones
