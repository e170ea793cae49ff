"""Processes that cannot start say why in one line, whichever they are."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.support.launcher import launcher
from tests.support.postgres_server import PostgresServer
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer
from tests.support.service import LIMIT, Service, serving, wait_until

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = {
    "app.py": ["app.py"],
    "gunicorn": ["-m", "gunicorn", "app:app"],
    "worker.py": ["worker.py"],
    "flask refresh": ["-m", "flask", "--app", "app", "refresh"],
    "flask clock": ["-m", "flask", "--app", "app", "clock"],
    "flask upgrade-database": ["-m", "flask", "--app", "app", "upgrade-database"],
}
COMMANDS = {name: [word for word in words if word != "-m"] for name, words in PROGRAMS.items()}
EVERY_PROGRAM = pytest.mark.parametrize("program", PROGRAMS)
# The commands of flask go the same way to their start.
SERVERS_AND_WORKER = pytest.mark.parametrize(
    "program",
    [
        pytest.param(name, marks=pytest.mark.long if name.startswith("flask") else ())
        for name in PROGRAMS
    ],
)
SERVERS = pytest.mark.parametrize("program", ["app.py", "gunicorn"])
PASSWORD = "hunter2secret"
# Loaded where there is something to migrate, to list, to draw, to describe or to schedule.
FOR_SOME_PROCESSES = {
    *("alembic", "mako", "github", "requests", "yaml", "pygount", "pygments", "rich"),
    *("apscheduler", "psycopg2", "gunicorn", "web.export", "terminal", "doctor"),
    *("sqlalchemy.dialects.postgresql", "web.api", "web.dashboard", "web.charts", "figures"),
    *("jobs", "refresh.store", "measure", "github_api"),
}

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """An environment in which every program starts, but for what a test makes of it."""
    return environment | {"PORT": str(free_port()), "REDIS_URL": "redis://127.0.0.1:1"}


def failure(program: str, environment: dict[str, str], folder: Path) -> str:
    """Start a program that cannot start, and return the one line that it says beside its log."""
    log = folder / "said"
    ended = launcher.launch(COMMANDS[program], environment | {"PYTHONWARNINGS": ""}, log)
    assert ended.wait(LIMIT) != 0
    return line_of(log.read_text())


def line_of(said: str) -> str:
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith(("cannot", "configuration"))]
    assert len(lines) == 1, said
    assert said.splitlines()[-1] == lines[0]
    assert PASSWORD not in said
    return lines[0]


def test_importing_the_application_loads_nothing_that_only_some_processes_use(
    environment: dict[str, str],
):
    libraries = subprocess.run(
        [sys.executable, "-c", "import app, sys; print(*sys.modules)"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    ).stdout.split()

    assert FOR_SOME_PROCESSES.isdisjoint(libraries)


@EVERY_PROGRAM
def test_a_database_that_is_away(program: str, environment: dict[str, str], tmp_path: Path):
    environment["DATABASE_URL"] = f"postgresql://someone:{PASSWORD}@127.0.0.1:1/tracker"

    line = failure(program, environment, tmp_path)

    assert "DATABASE_URL" in line
    assert "port 1 " in line


@pytest.mark.parametrize("program", ["app.py", "gunicorn", "worker.py"])
def test_a_program_started_from_a_terminal_fails_in_the_same_words(
    program: str, environment: dict[str, str]
):
    environment["DATABASE_URL"] = "sqlite:////proc/tracker.sqlite"

    ended = subprocess.run(
        [sys.executable, *PROGRAMS[program]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert ended.returncode != 0
    assert "/proc" in line_of(ended.stdout + ended.stderr)


@pytest.mark.parametrize("program", ["worker.py"])
def test_a_database_that_refuses_the_password(
    program: str, environment: dict[str, str], postgres_server: PostgresServer, tmp_path: Path
):
    url = postgres_server.create_database()
    environment["DATABASE_URL"] = url.rpartition("/")[0] + f"/not-there-{os.getpid()}"

    assert "does not exist" in failure(program, environment, tmp_path)
    postgres_server.drop_database(url)


@SERVERS_AND_WORKER
def test_a_schema_newer_than_the_program(program: str, environment: dict[str, str], tmp_path: Path):
    engine = create_engine(environment["DATABASE_URL"])
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_of_tomorrow'"))
    engine.dispose()

    line = failure(program, environment, tmp_path)

    assert "newer release (9999_of_tomorrow)" in line


@SERVERS_AND_WORKER
def test_a_folder_that_cannot_be_written_to(
    program: str, environment: dict[str, str], tmp_path: Path
):
    environment["DATABASE_URL"] = "sqlite:////proc/tracker.sqlite"

    assert "/proc" in failure(program, environment, tmp_path)


@SERVERS_AND_WORKER
def test_a_file_that_is_no_database(program: str, environment: dict[str, str], tmp_path: Path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database at all, but long enough to be taken for one " * 40)
    environment["DATABASE_URL"] = f"sqlite:///{file}"

    assert f"{file} cannot be used" in failure(program, environment, tmp_path)


@SERVERS_AND_WORKER
def test_a_variable_that_cannot_be_used(program: str, environment: dict[str, str], tmp_path: Path):
    environment["PORT"] = "abc"

    assert failure(program, environment, tmp_path).startswith(
        "configuration: PORT ('abc') cannot be used"
    )


@SERVERS
def test_a_port_in_use(program: str, environment: dict[str, str], tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port: int = other.getsockname()[1]
        environment["PORT"] = str(port)

        line = failure(program, environment, tmp_path)

    assert f"port {port} is in use" in line
    command = "make run" if program == "app.py" else "gunicorn app:app"
    assert line.endswith(f"PORT={port + 1 if port < 65535 else port - 1} {command}")


@SERVERS
def test_an_address_of_another_machine(program: str, environment: dict[str, str], tmp_path: Path):
    environment["HOST"] = "192.0.2.1"

    assert "HOST (192.0.2.1)" in failure(program, environment, tmp_path)


@pytest.mark.parametrize("program", ["app.py", "worker.py"])
def test_a_ctrl_c_while_modules_are_imported_ends_without_a_traceback(
    program: str, environment: dict[str, str], tmp_path: Path
):
    said = tmp_path / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", *PROGRAMS[program]],
            cwd=ROOT,
            env=environment,
            stderr=output,
        )
    wait_until(lambda: " flask" in said.read_text(), LIMIT, "it imports Flask")

    process.send_signal(signal.SIGINT)

    assert process.wait(LIMIT) == -signal.SIGINT
    assert "Traceback" not in said.read_text()


@pytest.fixture
def service(environment: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    with serving(environment, tmp_path / "service") as service:
        yield service


def test_a_machine_without_git_is_told_of(service: Service, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    service.environment["PATH"] = str(tmp_path / "empty")

    service.start_local()

    assert "git is not installed" in service.logs()


@pytest.mark.parametrize("starters", [(), ("timeout",), ("sh",)], ids=str)
def test_a_measurement_without_git_says_so(
    environment: dict[str, str], tmp_path: Path, starters: tuple[str, ...]
):
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in starters:
        (folder / name).symlink_to(str(shutil.which(name)))

    said = tmp_path / "said"
    command = ["flask", "--app", "app", "measure", str(ROOT)]
    launcher.launch(command, environment | {"PATH": str(folder)}, said).wait(LIMIT)

    assert said.read_text().strip().endswith(": git is not installed")


def test_a_worker_waits_for_redis_and_says_so(service: Service, own_redis: RedisServer):
    service.environment["REDIS_URL"] = own_redis.url
    own_redis.kill()
    process = service.start("worker.py")
    wait_until(lambda: "does not answer" in service.logs(), LIMIT, "the worker says what it lacks")
    assert process.poll() is None

    own_redis.start()

    wait_until(lambda: "Listening on default" in service.logs(), LIMIT, "the worker listens")
    assert "Traceback" not in service.logs()
