"""The fixtures of all tests: real git, Redis and databases, and an app built on them."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jinja2 import FileSystemBytecodeCache

import measure
from measure.cloc_server import preloaded
from tests.support.databases import migrate_database
from tests.support.git_server import GitServer
from tests.support.github_api import GitHubApi
from tests.support.measuring import options, write_stub_cloc
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.world import World

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient, FlaskCliRunner

FUZZ_CASES, FUZZ_CASES_LONG = 6, 300
ON_BOTH_ENGINES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql_twin))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long",
        action="store_true",
        help="run the tests marked `long` and the PostgreSQL twins of all others, too",
    )
    parser.addoption(
        "--fuzz",
        type=int,
        metavar="CASES",
        help="cases made up for each operation of openapi.yaml in each phase "
        f"(default: {FUZZ_CASES}, with --long {FUZZ_CASES_LONG})",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run three tests for each core: about two thirds of a test's time are spent waiting."""
    return 3 * (os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect long tests without --long; skip tests whose programs are missing."""
    if not config.getoption("long"):
        left_out = [item for item in items if takes_long(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not takes_long(item)]
    missing = [name for name in ("cloc", "chromium") if not shutil.which(name)]
    for item in items:
        for name in missing:
            if item.get_closest_marker(f"needs_{name}"):
                item.add_marker(pytest.mark.skip(reason=f"{name} is not installed"))


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through what stays until the end: modules and tests."""
    gc.collect()
    gc.freeze()


def takes_long(item: pytest.Item) -> bool:
    """Whether a test runs with `--long` only."""
    if item.get_closest_marker("postgresql_twin") and not item.get_closest_marker("dialect"):
        return True
    return item.get_closest_marker("long") is not None


@pytest.fixture
def fuzz_cases(pytestconfig: pytest.Config) -> int:
    """How many cases are made up for each operation in each phase."""
    default = FUZZ_CASES_LONG if pytestconfig.getoption("long") else FUZZ_CASES
    return int(pytestconfig.getoption("fuzz") or default)


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    """A git server of the test's own, without repositories."""
    with GitServer(tmp_path / "git-server") as server:
        yield server


@pytest.fixture
def github_api() -> Iterator[GitHubApi]:
    """A fake of GitHub's API of the test's own, without repositories."""
    with GitHubApi() as api:
        yield api


@pytest.fixture(scope="session")
def _cloc_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    with measure.PreloadedCloc(options(tmp_path_factory.mktemp("cloc"))):
        server, preloaded._current = preloaded._current, None
        yield server


@pytest.fixture
def preloaded_cloc(_cloc_process: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts in this process fork one cloc, shared by the run: compiling it takes the longest."""
    monkeypatch.setattr(preloaded, "_current", _cloc_process)
    monkeypatch.setattr(measure, "PreloadedCloc", lambda _: contextlib.nullcontext())


@pytest.fixture
def world(
    tmp_path: Path, git_server: GitServer, github_api: GitHubApi, preloaded_cloc: None
) -> World:
    """An account without repositories on the git server and the fake API."""
    git_server.token = github_api.token
    return World(tmp_path / "world", git_server, github_api)


@pytest.fixture(scope="session")
def _redis_process() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(_redis_process: RedisServer) -> RedisServer:
    """An empty Redis, shared by the run: for tests that leave it running."""
    _redis_process.flush()
    return _redis_process


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be frozen and killed."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def _postgres_process() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_server(_postgres_process: PostgresServer) -> Iterator[PostgresServer]:
    """A running PostgreSQL, shared by the run; a test may stop, kill and restart it."""
    _postgres_process.start()
    yield _postgres_process
    _postgres_process.start()


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'empty.sqlite'}"


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a new, empty PostgreSQL database."""
    url = postgres_server.create_database()
    yield url
    postgres_server.start()
    postgres_server.drop_database(url)


@pytest.fixture(params=ON_BOTH_ENGINES)
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a new, empty database; on PostgreSQL for tests marked `dialect` or with --long."""
    name = "empty_sqlite_url" if request.param == "sqlite" else "empty_postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "tracker.sqlite"
    migrate_database(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, _migrated_sqlite: Path) -> str:
    """The URL of an SQLite database with the current schema and no row."""
    copy = shutil.copy(_migrated_sqlite, tmp_path / "tracker.sqlite")
    return f"sqlite:///{copy}"


@pytest.fixture(scope="session")
def _migrated_postgres(_postgres_process: PostgresServer) -> str:
    _postgres_process.start()
    url = _postgres_process.create_database()
    migrate_database(url)
    return url.rpartition("/")[2]


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, _migrated_postgres: str) -> Iterator[str]:
    """The URL of a PostgreSQL database with the current schema and no row."""
    url = postgres_server.create_database(_migrated_postgres)
    yield url
    postgres_server.start()
    postgres_server.drop_database(url)


@pytest.fixture(params=ON_BOTH_ENGINES)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with the current schema and no row.

    It is SQLite's; with --long each test runs again on PostgreSQL, and those marked `dialect`
    always do.
    """
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def environment(database_url: str, github_api: GitHubApi) -> dict[str, str]:
    """The environment that `app` is built in; a test may change it before it asks for `app`.

    Nothing runs by the clock or after a refresh, and refreshes may follow each other immediately.
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "DATABASE_URL": database_url,
        "GITHUB_API_URL": github_api.url,
        "GITHUB_ACCESS_TOKEN": github_api.token,
        "GROWTH": "off",
        "REFRESH_INTERVAL_HOURS": "0",
        "REFRESH_MIN_INTERVAL": "0",
        "FORCE_MIN_INTERVAL": "0",
    }


@pytest.fixture
def _no_lines(environment: dict[str, str], tmp_path: Path) -> None:
    """Nothing is spent on counting lines: for tests that look at commits alone."""
    environment |= {"CLOC_PATH": write_stub_cloc(tmp_path), "PRELOAD_CLOC": "false"}


@pytest.fixture(scope="session")
def _compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def app(
    environment: dict[str, str], _compiled_templates: FileSystemBytecodeCache
) -> Iterator[Flask]:
    """The application, built in `environment`; its connections are closed afterwards."""
    from app import create_app, prepare
    from models import db

    app = create_app(environment)
    app.jinja_options = {**app.jinja_options, "bytecode_cache": _compiled_templates}
    prepare(app)
    yield app
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the application's routes."""
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    """A runner of the application's commands."""
    return app.test_cli_runner()
