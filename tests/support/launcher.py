"""A process that has imported the application's packages and forks those that the tests start.

Importing takes most of the time of a start. A program runs in an environment and a session of its
own; `app`, which reads the environment, and what imports it are imported after the fork.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import short_timeouts
from tests.support.processes import watchman

ROOT = Path(__file__).resolve().parents[2]
PRELOADED = (
    *(
        "cli",
        "jobs",
        "models",
        "web.routes",
        "refresh.rq_worker",
        "flask_sqlalchemy.cli",
        "web.api",
        "web.dashboard",
        "web.embeds",
        "web.webhook",
    ),
    *("web.access", "web.errors", "web.listening", "web.responses", "web.server", "web.logger"),
    *("github_api.source", "refresh.background", "refresh.scheduler", "refresh.supervisor"),
    *(
        "apscheduler.schedulers.background",
        "gunicorn.app.base",
        "gunicorn.arbiter",
        "flask.cli",
        "rq",
        "rq.worker",
        "redis",
    ),
    *("psycopg2", "sqlalchemy.dialects.postgresql.psycopg2", "sqlalchemy.dialects.sqlite.pysqlite"),
    "alembic.command",
)
POLL = 0.02


class Launched:
    """A process forked by the launcher, with what the tests use of subprocess.Popen."""

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self._launcher = launcher
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._launcher.ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if timeout is not None and end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(POLL)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


class Launcher:
    """The tests' end of the process that forks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def launch(
        self, command: Sequence[str], environment: Mapping[str, str], output: Path
    ) -> Launched:
        """Start a program with its arguments; its stdout and stderr go to a file."""
        order = {"command": command, "environment": dict(environment), "output": str(output)}
        process = Launched(self, self.ask(order))
        watchman.end_process(process.pid)
        return process

    def ask(self, order: dict[str, Any]) -> Any:
        """Send an order and return the answer."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.launcher"],
                    cwd=ROOT,
                    env={"PATH": os.environ.get("PATH", os.defpath)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                )
                watchman.end_process(self._process.pid)
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process, which does not end those that it has forked."""
        if self._process is not None:
            self._process.communicate()


launcher = Launcher()
atexit.register(launcher.close)


def serve(orders: Iterator[str], answers: int) -> list[str]:
    """Carry out orders until they end; return, in a forked process, the command to run."""
    for line in orders:
        order = json.loads(line)
        if "ended" in order:
            pid, status = os.waitpid(order["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                os.close(answers)
                return become(**order)
        os.write(answers, json.dumps(answer).encode() + b"\n")
    sys.exit()


def become(command: list[str], environment: dict[str, str], output: str) -> list[str]:
    """Make this process one that was started for a program."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for path, flags, targets in (
        (os.devnull, os.O_RDONLY, [0]),
        (output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, [1, 2]),
    ):
        handle = os.open(path, flags, 0o644)
        for target in targets:
            os.dup2(handle, target)
        os.close(handle)
    return command


def main() -> None:
    """Import what programs need, serve, and run a program in each process that is forked."""
    for name in PRELOADED:
        importlib.import_module(name)
    # A collection in a forked process would copy every page of what is shared.
    gc.collect()
    gc.freeze()
    # A program may print to stdout: the answers go through a descriptor of their own.
    answers = os.dup(1)
    short_timeouts.run(serve(iter(sys.stdin.readline, ""), answers))


if __name__ == "__main__":
    main()
