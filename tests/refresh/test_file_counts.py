"""A push counts what it changed: the counts of all other files are those of the last refresh."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from measure.stored_counts import decode, encode
from models import FileCounts, Project, db
from tests.support.client import projects, refresh
from tests.support.world import World

pytestmark = [pytest.mark.needs_cloc, pytest.mark.dialect]


def stored() -> FileCounts:
    return db.session.scalars(db.select(FileCounts)).one()


def test_a_push_counts_only_its_own_files(client: FlaskClient, app: Flask, world: World):
    alpha = world.add("alpha", commits=2)
    refresh(client)
    with app.app_context():
        row = stored()
        assert row.head_sha == alpha.head
        # One line of file0.py becomes 1001 lines, to see whether the stored counts are read.
        counts = decode(row.counts)
        changed = {p: c and (c[0], c[1] + 1000 * (p[1] == b"file0.py")) for p, c in counts.items()}
        row.counts = encode(changed)
        db.session.commit()

    alpha.commit({"file1.py": "print(1)\n" * 5, "new.c": "int x;\n"})
    world.push("alpha")
    refresh(client)

    found = projects(client)["alpha"]
    assert found["languages_loc"] == {"Python": 1001 + 5, "C": 1}
    assert found["loc"] == 1007
    with app.app_context():
        assert stored().head_sha == alpha.head

    refresh(client, "?force=true")
    assert projects(client)["alpha"]["languages_loc"] == {"Python": 1 + 5, "C": 1}


def test_counts_of_another_commit_are_of_no_use(client: FlaskClient, app: Flask, world: World):
    alpha = world.add("alpha", commits=1)
    refresh(client)
    with app.app_context():
        stored().counts = b"not what it should be"
        db.session.commit()
    alpha.commit({"new.py": "x = 1\n"})
    world.push("alpha")
    refresh(client)
    assert projects(client)["alpha"]["loc"] == 2

    with app.app_context():
        stored().head_sha = "0" * 40
        stored().counts = b""
        db.session.commit()
    alpha.commit({"more.py": "y = 2\n"})
    world.push("alpha")
    refresh(client)
    assert projects(client)["alpha"]["loc"] == 3


def test_counts_go_where_a_commit_must_be_counted_whole(
    client: FlaskClient, app: Flask, world: World
):
    alpha = world.add("alpha", commits=1)
    refresh(client)
    alpha.commit({".gitattributes": "*.py ident\n"})
    world.push("alpha")
    refresh(client)
    with app.app_context():
        assert db.session.scalars(db.select(FileCounts)).all() == []
        assert db.session.scalars(db.select(Project.loc)).one() == 1
