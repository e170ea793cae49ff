"""Cached answers: never stale, whichever process wrote, and correct HTTP."""

from __future__ import annotations

import gzip
import json
import threading
from datetime import UTC, datetime
from functools import partial

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from sqlalchemy import create_engine, delete, insert, text, update
from sqlalchemy.orm import Session

from app import create_app
from database.engine import engine_options
from database.transaction import run_in_transaction
from models import Project, db
from refresh import store
from tests.support.postgres_server import PostgresServer
from web import responses

pytestmark = pytest.mark.dialect

LISTED = "http://localhost:3000"
READS = ("/api/projects", "/api/metrics", "/api/overview", "/api/project/alpha")


@pytest.fixture(autouse=True)
def projects(app: Flask) -> None:
    with app.app_context():
        add("alpha", 1, loc=10)
        add("beta", 2, loc=20)


def add(name: str, github_id: int, **values: object) -> None:
    run_in_transaction(
        lambda session: session.add(Project(name=name, github_id=github_id, **values))
    )


def set_loc(loc: int, session: Session) -> None:
    session.execute(update(Project).values(loc=loc))


def locs(client: FlaskClient) -> dict[str, int]:
    projects = json.loads(client.get("/api/projects").data)
    return {project["name"]: project["loc"] for project in projects}


def test_an_answer_is_made_once_for_a_revision(client: FlaskClient, app: Flask):
    made = []
    app.before_request(lambda: made.append(request.path))
    for _ in range(3):
        for path in READS:
            assert client.get(path).status_code == 200
    assert made == list(READS)


@pytest.mark.dialect
@pytest.mark.parametrize(
    "write",
    [
        lambda s: s.execute(update(Project).where(Project.name == "alpha").values(loc=11)),
        lambda s: s.execute(insert(Project), [{"name": "gamma", "github_id": 3}]),
        lambda s: s.execute(delete(Project).where(Project.name == "beta")),
        lambda s: s.query(Project).filter_by(name="beta").delete(),
        lambda s: s.add(Project(name="delta", github_id=4)),
        lambda s: setattr(s.query(Project).filter_by(name="alpha").one(), "loc", 12),
        lambda s: s.delete(s.query(Project).filter_by(name="alpha").one()),
    ],
)
def test_every_kind_of_write_shows_at_once(client: FlaskClient, app: Flask, write):
    before = {path: client.get(path) for path in READS}
    with app.app_context():
        run_in_transaction(write)
    assert client.get("/api/projects").data != before["/api/projects"].data
    assert client.get("/api/projects").headers["ETag"] != before["/api/projects"].headers["ETag"]


def test_an_answer_is_made_anew_on_the_next_day(client: FlaskClient, app: Flask, monkeypatch):
    made = []
    app.before_request(lambda: made.append(request.path))
    midnight = 20_000 * 86_400
    for moment in (midnight - 1, midnight - 0.1, midnight, midnight + 1):
        monkeypatch.setattr("time.time", lambda now=moment: now)
        assert client.get("/api/projects").status_code == 200
    assert len(made) == 2


def test_the_start_and_the_failure_of_a_refresh_count_as_changes(app: Flask):
    with app.app_context():
        revisions = [read_revision()]
        refresh, _ = store.open_refresh(forced=False)
        revisions.append(read_revision())
        assert store.fail(refresh.id, "the listing was refused")
        revisions.append(read_revision())
    assert len(set(revisions)) == 3


def read_revision() -> int:
    return run_in_transaction(
        lambda session: session.scalar(text("SELECT value FROM revision")) or 0
    )


@pytest.mark.dialect
def test_a_write_that_is_rolled_back_changes_nothing(client: FlaskClient, app: Flask):
    with app.app_context():

        def fail(session: Session) -> None:
            session.execute(update(Project).values(loc=99))
            raise RuntimeError

        with pytest.raises(RuntimeError):
            run_in_transaction(fail)
        revision = db.session.scalar(text("SELECT value FROM revision"))
        assert locs(client) == {"alpha": 10, "beta": 20}
        db.session.rollback()
        assert db.session.scalar(text("SELECT value FROM revision")) == revision


@pytest.mark.dialect
def test_what_another_process_wrote_shows_at_once(client: FlaskClient, app: Flask):
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    other = create_engine(url, **engine_options(url))
    for loc in range(100, 120):
        with Session(other) as session, session.begin():
            session.execute(update(Project).where(Project.name == "alpha").values(loc=loc))
        assert locs(client)["alpha"] == loc
    other.dispose()


@pytest.mark.dialect
def test_readers_beside_a_writer_never_see_less_than_was_committed(app: Flask):
    committed = [0]
    faults: list[tuple[int, int]] = []
    done = threading.Event()

    def read() -> None:
        client = app.test_client()
        while not done.is_set():
            least = committed[0]
            seen = locs(client)["alpha"]
            if seen < least:
                faults.append((least, seen))

    with app.app_context():
        run_in_transaction(partial(set_loc, 0))
        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for loc in range(1, 100):
            run_in_transaction(partial(set_loc, loc))
            committed[0] = loc
        done.set()
        for reader in readers:
            reader.join()
    assert faults == []


@pytest.mark.parametrize("path", READS)
def test_a_known_answer_is_not_sent_again(client: FlaskClient, path: str):
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again.headers[name] == first.headers[name]
    for known in ("*", f"W/{first.headers['ETag']}", f'"x", {first.headers["ETag"]}'):
        assert client.get(path, headers={"If-None-Match": known}).status_code == 304
    assert client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200


def test_compressed_and_plain_say_the_same_under_different_tags(client: FlaskClient, app: Flask):
    plain = client.get("/api/projects")
    packed = client.get("/api/projects", headers={"Accept-Encoding": "br;q=1, gzip;q=0.5"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]
    refused = client.get("/api/projects", headers={"Accept-Encoding": "gzip;q=0, identity"})
    assert "Content-Encoding" not in refused.headers
    assert all("Accept-Encoding" in answer.headers["Vary"] for answer in (plain, packed, refused))


@pytest.mark.parametrize("path", READS)
def test_head_has_the_headers_of_get_and_no_body(client: FlaskClient, path: str):
    got, head = client.get(path), client.head(path)
    assert head.data == b""
    assert dict(head.headers) == dict(got.headers)
    assert int(head.headers["Content-Length"]) == len(got.data)


def test_each_origin_gets_its_own_headers(client: FlaskClient):
    for _ in range(2):
        listed = client.get("/api/projects", headers={"Origin": LISTED})
        assert listed.headers["Access-Control-Allow-Origin"] == LISTED
        stranger = client.get("/api/projects", headers={"Origin": "https://evil.test"})
        assert "Access-Control-Allow-Origin" not in stranger.headers
        assert "Access-Control-Allow-Origin" not in client.get("/api/projects").headers
        assert listed.data == stranger.data


def test_caches_ask_again_and_private_rows_stay_out_of_shared_ones(client: FlaskClient):
    assert client.get("/api/projects").headers["Cache-Control"] == "private, no-cache"


def test_public_answers_may_be_shared(environment: dict[str, str], app: Flask):
    client = create_app({**environment, "PRIVATE_REPOSITORIES": "count"}).test_client()
    assert client.get("/api/metrics").headers["Cache-Control"] == "public, no-cache"


def test_errors_are_not_kept(client: FlaskClient, app: Flask):
    assert client.get("/api/project/gamma").status_code == 404
    assert client.get("/api/projects?limit=x").status_code == 400
    with app.app_context():
        add("gamma", 3)
    assert client.get("/api/project/gamma").status_code == 200


def test_what_is_kept_is_bounded(app: Flask, monkeypatch):
    monkeypatch.setattr(responses, "KEPT_BYTES", 20_000)
    client = app.test_client()
    for number in range(200):
        assert client.get(f"/api/projects?offset={number}").status_code == 200
    layer = app.wsgi_app
    assert isinstance(layer, responses.KeptResponses)
    assert 0 < layer.kept_bytes <= 20_000


@pytest.mark.dialect
def test_a_day_of_activity_counts_as_a_change(client: FlaskClient, app: Flask):
    from models import ActivityDay

    with app.app_context():
        before = db.session.scalar(text("SELECT value FROM revision"))
        db.session.rollback()
        day = datetime(2026, 1, 1, tzinfo=UTC).date()
        project = db.session.query(Project).filter_by(name="alpha").one()
        db.session.add(
            ActivityDay(project_id=project.id, day=day, commits=1, additions=1, deletions=1)
        )
        db.session.commit()
        assert db.session.scalar(text("SELECT value FROM revision")) != before


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_comes_back_is_read_again(
    client: FlaskClient, postgres_server: PostgresServer
):
    assert client.get("/api/projects").status_code == 200
    postgres_server.stop(immediate=True)
    answer = client.get("/api/projects")
    assert answer.status_code == 503
    assert json.loads(answer.data)["error"]
    postgres_server.start()
    assert json.loads(client.get("/api/projects").data)
