"""The Procfile's programs as real processes, with short timeouts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from measure.workspace import MARKER
from tests.support.launcher import Launched, launcher
from tests.support.processes import free_port, watchman

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 120.0
# What RQ logs when a worker has registered itself and is about to wait for jobs.
LISTENING = "subscribing to channel"
DEFAULT_WAITS = {
    "BEAT": 0.3,
    # At least ten heartbeats, or a process on a busy machine counts as dead.
    "DEAD_AFTER": 4.0,
    "SUPERVISE_EVERY": 0.5,
    "ABANDONED_AFTER": LIMIT,
    "UNATTENDED_AFTER": LIMIT,
    "STALLED_AFTER": LIMIT,
}


class Service:
    """Start web and worker processes in an environment, and end whatever is left of them.

    `waits` may be changed before a program is started, see `tests.support.short_timeouts`.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = {**environment, "TMPDIR": str(folder / "tmp"), "PYTHONWARNINGS": ""}
        self.folder = folder
        self.port = free_port()
        self.processes: list[Launched] = []
        self.waits = dict(DEFAULT_WAITS)
        (folder / "tmp").mkdir(parents=True, exist_ok=True)

    def start(self, *command: str) -> Launched:
        """Start a program with short timeouts; its output goes to a file of its own."""
        log = self.folder / f"{len(self.processes)}-{Path(command[0]).stem}.log"
        waits = [f"{name}={seconds}" for name, seconds in self.waits.items()]
        environment = {**self.environment, "PORT": str(self.port)}
        process = launcher.launch([*waits, *command], environment, log)
        self.processes.append(process)
        return process

    def start_worker(self, *options: str) -> Launched:
        """Start `python worker.py` and wait until a worker of its own listens to the queue."""
        before = self.logs().count(LISTENING)
        process = self.start("worker.py", *options)
        self._wait(process, lambda: self.logs().count(LISTENING) > before, "a worker listens")
        return process

    def start_web(self) -> Launched:
        """Start `gunicorn app:app` and wait until it answers."""
        process = self.start("gunicorn", "app:app")
        self._wait(process, self._answers, "the web process answers")
        return process

    def start_local(self) -> Launched:
        """Start `python app.py` and wait until it answers."""
        process = self.start("app.py")
        self._wait(process, self._answers, "python app.py answers")
        return process

    def _wait(self, process: Launched, holds: Callable[[], object], what: str) -> None:
        wait_until(lambda: holds() or process.poll() is not None, LIMIT, what)
        assert process.poll() is None, self.logs()

    def _answers(self) -> bool:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            return requests.get(f"{self.url}/", timeout=LIMIT).status_code == 200
        return False

    @property
    def url(self) -> str:
        """Where the web process listens."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> Any:
        """Fetch a path and give its JSON."""
        answer = requests.get(self.url + path, timeout=LIMIT)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, query: str = "") -> requests.Response:
        """Request a refresh."""
        return requests.post(f"{self.url}/api/refresh{query}", timeout=LIMIT)

    def newest(self) -> dict[str, Any]:
        """Return the newest refresh."""
        newest: dict[str, Any] = self.get("/api/refresh/jobs")[0]
        return newest

    def wait_for_end(self, seconds: float = LIMIT) -> dict[str, Any]:
        """Wait until the newest refresh has ended; its progress must not fall meanwhile."""
        newest: dict[str, Any] = {"progress": 0.0}

        def has_ended() -> bool:
            nonlocal newest
            before, newest = newest, self.newest()
            assert newest["progress"] >= before["progress"], newest
            return newest["status"] in ("completed", "failed")

        try:
            wait_until(has_ended, seconds, "the refresh has ended")
        except AssertionError as error:
            error.add_note(f"{newest}\n{self.logs()}")
            raise
        return newest

    def logs(self) -> str:
        """Return the output of all processes."""
        return "\n".join(path.read_text("utf-8", "replace") for path in self.folder.glob("*.log"))

    def leftovers(self) -> list[str]:
        """Return the temporary files that are left, except for a running cloc server's."""
        found = [path for path in (self.folder / "tmp").iterdir() if not _is_preloaded_cloc(path)]
        return sorted(path.name for path in found)

    def end(self) -> None:
        """Kill what is left of every process that was started, with all that it started."""
        for process in self.processes:
            for pid in [*descendants(process.pid), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            watchman.forget_process(process.pid)


@contextlib.contextmanager
def serving(environment: Mapping[str, str], folder: Path) -> Iterator[Service]:
    """Yield a service, and end it afterwards."""
    service = Service(environment, folder)
    try:
        yield service
    finally:
        service.end()


def _is_preloaded_cloc(folder: Path) -> bool:
    if not (folder / "socket").is_socket():
        return False
    with (folder / MARKER).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_until(holds: Callable[[], object], seconds: float, what: str, every: float = 0.02) -> None:
    """Wait until something holds, or fail and say what does not.

    It looks again after `every` seconds, and after a tenth of the time waited so far: looking takes
    the processor from what is waited for. It waits for LIMIT at least: a machine with other work
    may take ten times as long as usual.
    """
    limit = max(seconds, LIMIT)
    start = time.monotonic()
    while not holds():
        waited = time.monotonic() - start
        assert waited < limit, f"not within {limit} s: {what}"
        time.sleep(max(every, waited / 10))


def descendants(pid: int) -> list[int]:
    """Return the pids of all processes below one, the deepest last."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found
