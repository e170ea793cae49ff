"""Connections: concurrent readers and writers, restarts, forks, locks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select, text, update

from database.engine import engine_options
from database.types import to_iso_utc
from models import Project, db
from tests.support.databases import opened

pytestmark = pytest.mark.dialect

ROOT = Path(__file__).parents[2]

FORK = """
import os, sys
from sqlalchemy import text
from database.engine import db, forget_connections
from tests.support.databases import opened

def backend(connection):
    query = "SELECT pg_backend_pid()" if connection.dialect.name == "postgresql" else "SELECT 0"
    return connection.scalar(text(query))

with opened(sys.argv[1]) as app:
    with db.engine.connect() as connection:
        before = backend(connection)
        child = os.fork()
        if child == 0:
            forget_connections(app)
            with db.engine.connect() as own:
                different = backend(own) != before or own.dialect.name == "sqlite"
            os._exit(0 if different else 3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert backend(connection) == before
    with db.engine.connect() as connection:
        assert backend(connection) == before
"""


@pytest.fixture
def tables(database_url):
    with opened(database_url) as app:
        db.session.add(Project(name="a", loc=0))
        db.session.commit()
        yield app


def test_a_fork_leaves_the_parents_connections_alone(database_url):
    command = [sys.executable, "-W", "error", "-c", FORK, database_url]
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_restart_of_the_server_is_not_noticed_by_the_next_query(postgres_server, postgres_url):
    with opened(postgres_url):
        db.session.add(Project(name="a"))
        db.session.commit()
        postgres_server.restart()
        assert db.session.scalar(select(func.count()).select_from(Project)) == 1


def test_threads_that_read_and_then_write_do_not_lock_each_other_out(tables):
    failures = []

    def count_up():
        with tables.app_context():
            try:
                for _ in range(20):
                    # A read before the write, in one session: the case that SQLite may refuse.
                    db.session.scalars(select(Project)).all()
                    db.session.execute(update(Project).values(loc=Project.loc + 1))
                    db.session.commit()
            except Exception as error:  # noqa: BLE001 - shown by the assertion below
                failures.append(error)

    # SQLAlchemy 2.1 may warn about caching when two threads compile the first UPDATE at once.
    count_up()
    threads = [threading.Thread(target=count_up) for _ in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert db.session.scalar(select(Project.loc)) == 160


def test_a_writer_waits_for_another_one(sqlite_url):
    with opened(sqlite_url):
        path = db.engine.url.database or ""
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            # Readers do not wait, or this one would wait in vain.
            assert db.session.scalars(select(Project)).all() == []
            release = threading.Timer(1, lambda: other.execute("COMMIT"))
            release.start()
            db.session.add(Project(name="a"))
            db.session.commit()
            release.join()
        assert db.session.scalar(select(Project.name)) == "a"


def test_sqlite_connections_check_references_and_write_ahead(sqlite_url):
    with opened(sqlite_url):
        assert db.session.scalar(text("PRAGMA foreign_keys")) == 1
        assert db.session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert db.session.scalar(text("PRAGMA busy_timeout")) == 30_000


def test_a_database_url_may_choose_its_own_timeout():
    url = "postgresql+psycopg2://localhost/tracker"
    assert engine_options(url)["connect_args"]["connect_timeout"] == 5
    assert "connect_timeout" not in engine_options(f"{url}?connect_timeout=2")["connect_args"]


def test_a_timestamp_that_is_not_known_stays_so():
    assert to_iso_utc(None) is None
