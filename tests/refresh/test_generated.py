"""EXCLUDE_GENERATED over refreshes: turned on and off, pushed to, grown, shown."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from models import FileCounts, Growth, Project, db
from refresh.growth import measure_all
from tests.refresh.conftest import Start
from tests.support.client import projects, refresh
from tests.support.world import World

pytestmark = pytest.mark.needs_cloc

CODE = "x = 1\ny = 2\n"


@pytest.fixture
def account(world: World) -> World:
    """An account of one repository with code, a lock file and a vendored folder."""
    alpha = world.add("alpha", commits=0)
    alpha.commit({"a.py": CODE, "package-lock.json": "{\n}\n", "vendor/v.py": "v = 1\n" * 5})
    alpha.commit({".gitattributes": "vendor/** linguist-vendored\n"})
    world.push("alpha")
    return world


def figures_of(client) -> tuple[int, int, int]:
    project = projects(client)["alpha"]
    assert sum(project["languages_loc"].values()) == project["loc"]
    return project["loc"], project["code_churn"], project["excluded_files"]


@pytest.mark.dialect
def test_turned_on_it_means_a_full_measurement_and_so_it_does_turned_off(
    start: Start, account: World
):
    client = start(REFRESH_MIN_INTERVAL="0")
    refresh(client)
    assert figures_of(client) == (9, 10, 0)
    assert "Files left out" not in client.get("/dashboard/alpha").text

    client = start(EXCLUDE_GENERATED="true", REFRESH_MIN_INTERVAL="0")
    refresh(client)
    assert figures_of(client) == (2, 3, 2)
    page = client.get("/dashboard/alpha").text
    assert '<dt>Files left out</dt><dd class="value">2</dd>' in page
    clones = account.clones()
    refresh(client)
    assert account.clones() == clones

    client = start(REFRESH_MIN_INTERVAL="0")
    refresh(client)
    assert figures_of(client) == (9, 10, 0)


def test_a_push_adds_to_what_is_left(start: Start, account: World):
    client = start(EXCLUDE_GENERATED="true", REFRESH_MIN_INTERVAL="0")
    refresh(client)
    alpha = account.repositories["alpha"]

    alpha.commit({"b.py": "b = 1\n", "vendor/v.py": "v = 2\n" * 7, "yarn.lock": "# yarn\n"})
    account.push("alpha")
    refresh(client)
    assert figures_of(client) == (3, 4, 3)
    # What is left out may be told otherwise by the next push, for the past as well.
    alpha.commit({".gitattributes": "yarn.lock -linguist-generated\n"})
    account.push("alpha")
    refresh(client)
    assert figures_of(client) == (2 + 1 + 7, (2 + 5 + 1) + (1 + 12 + 1) + 2, 1)


def test_file_counts_and_growth_are_of_what_is_left(start: Start, account: World):
    refresh(start(EXCLUDE_GENERATED="true"))
    client = start(EXCLUDE_GENERATED="true", GROWTH="month")
    app = client.application
    with app.app_context():
        measure_all(app.config["SETTINGS"])
        assert [row.loc for row in db.session.scalars(select(Growth))] == [2]
        counts = db.session.scalars(select(FileCounts)).one()
        project = db.session.scalars(select(Project)).one()
        assert counts.fingerprint == project.fingerprint
    answer = client.get("/api/project/alpha/growth").get_json()
    assert answer[-1]["loc"] == 2
