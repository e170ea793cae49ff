"""Child processes that end with the tests, however those end."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

WATCHMAN = Path(__file__).with_name("watchman.py")


class Watchman:
    """A small process that outlives this one just long enough to clean up after it.

    PR_SET_PDEATHSIG would end a server with the *thread* that started it, atexit knows nothing of
    SIGKILL, and neither removes folders; a process that waits for its parent's end does it all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def end_process(self, pid: int) -> None:
        """Have a process killed when this one ends."""
        self._tell(f"+kill {pid}")

    def forget_process(self, pid: int) -> None:
        """Undo end_process(), so that a reused process id is not killed."""
        self._tell(f"-kill {pid}")

    def remove_folder(self, folder: Path) -> None:
        """Have a folder removed when this process ends, after its processes are killed."""
        self._tell(f"+remove {folder}")

    def forget_folder(self, folder: Path) -> None:
        """Undo remove_folder()."""
        self._tell(f"-remove {folder}")

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._process is None or self._owner != os.getpid():
                self._start()
            assert self._process
            assert self._process.stdin
            self._process.stdin.write(f"{line}\n".encode())

    def _start(self) -> None:
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(WATCHMAN), str(self._owner)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for the tests, not for it
        )


watchman = Watchman()


def alive(pid: int) -> bool:
    """Return whether a process runs and is not a zombie."""
    return _state(Path(f"/proc/{pid}/stat")) not in (None, "Z")


def freeze(pids: Iterable[int]) -> None:
    """Stop processes by SIGSTOP, and wait until they are stopped, which takes them a moment."""
    chosen = list(pids)
    for pid in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(map(_is_stopped, chosen)))


def _is_stopped(pid: int) -> bool:
    """Return whether none of a process's threads runs."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(_state(stat) in (None, "T", "Z", "X") for stat in threads)


def _state(stat: Path) -> str | None:
    """Return the letter that /proc gives for the state of a process or thread, None without it."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait_for(condition: Callable[[], object], seconds: float = 100) -> None:
    """Wait until a condition holds. Raises AssertionError when time is up."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def read_pid(path: Path) -> int:
    """Return the number that a process writes to a file, once it is there."""
    wait_for(lambda: path.exists() and path.read_text().strip())
    return int(path.read_text())


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free at this moment.

    It lies below those that systems give to connections, so that none takes it before its server.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def packaged_program(package: str, places: Sequence[str], name: str) -> Path:
    """Find a program inside an installed package, without importing it, or else on the PATH."""
    spec = importlib.util.find_spec(package)
    for root in (spec and spec.submodule_search_locations) or ():
        for place in places:
            program = Path(root) / place / name
            if program.exists():
                return program
    if found := shutil.which(name):
        return Path(found).resolve()
    raise FileNotFoundError(f"{name}: install the package {package}")
