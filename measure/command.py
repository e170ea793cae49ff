"""Running programs: arguments, folder, clean environment, limits of time and memory.

A program is a process group of its own, and the whole group has ended when its call returns or
raises. It runs under coreutils' `timeout`, so that the time limit holds even when this process is
killed. The memory limit is the system's (RLIMIT_DATA), for each process of the group by itself;
memory mapped from files is not counted. Where the system does not enforce it (macOS) there is none.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO

from cancel import CancelScope, is_stopped, lock, register, unregister
from errors import CommandError, CommandOutOfMemory, CommandTimeout, Interrupted

STDERR_KEPT = 64 * 1024
CHUNK = 1024 * 1024
GRACE = 5  # seconds between SIGTERM and SIGKILL
ASKED_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
HELPER_MEMORY_MB = 512  # for programs whose memory does not grow with a repository
# A lower limit that is already set stays in force.
LIMIT_MEMORY = 'ulimit -d "$1" 2>/dev/null || :; shift; exec "$@"'
# The messages of git, perl, Python and the C++ library.
OUT_OF_MEMORY = re.compile(
    r"out of memory|cannot allocate memory|memory exhausted|MemoryError|bad_alloc", re.IGNORECASE
)


class Deadline:
    """One time limit, in seconds, for several programs; the first use starts it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = None

    def left(self, share: float = 1.0) -> float:
        """Return the seconds that are left, or a share of them; 0 or less when time is up."""
        now = time.monotonic()
        if self._end is None:
            self._end = now + self._seconds
        return (self._end - now) * share


@dataclass(frozen=True)
class CompletedOutput:
    """A program's whole stdout and the end of its stderr."""

    stdout: bytes
    stderr: str


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    memory_mb: int = HELPER_MEMORY_MB,
    stdin: bytes | Path | None = None,
    scope: CancelScope | None = None,
    even_if_stopped: bool = False,
) -> CompletedOutput:
    """Run a program to its end and return what it wrote.

    Raises CommandError on any exit code but 0, CommandTimeout after `timeout` seconds,
    CommandOutOfMemory when it needed more than `memory_mb` megabytes, and Interrupted when the
    program, or this process, was asked to stop. `even_if_stopped` is for cleaning up: stop_all()
    does not end such a program.
    """
    program = _Program(command, timeout, memory_mb, scope, even_if_stopped)
    with contextlib.closing(program.run(cwd, env, stdin)) as chunks:
        stdout = b"".join(chunks)
    return CompletedOutput(stdout, program.stderr)


def stream(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    memory_mb: int = HELPER_MEMORY_MB,
    stdin: bytes | Path | None = None,
    scope: CancelScope | None = None,
) -> Generator[bytes, None, None]:
    """Run a program and yield its stdout in chunks of up to a mebibyte as it comes.

    Raises what run() raises, at the end. Closing the generator ends the program.
    """
    return _Program(command, timeout, memory_mb, scope).run(cwd, env, stdin)


class _Program:
    def __init__(
        self,
        command: Sequence[str],
        timeout: float,
        memory_mb: int,
        scope: CancelScope | None,
        even_if_stopped: bool = False,
    ) -> None:
        self.command = command
        self.timeout = timeout
        self.memory_mb = memory_mb
        self.scope = scope
        self.even_if_stopped = even_if_stopped
        self.begun = 0.0
        self._tail = bytearray()

    @property
    def stderr(self) -> str:
        return self._tail.decode(errors="replace")

    def stopped(self) -> bool:
        """Return whether this process itself, not another one, ended or forbade the program."""
        return not self.even_if_stopped and is_stopped(self.scope)

    def run(
        self, cwd: Path, env: Mapping[str, str], stdin: bytes | Path | None
    ) -> Generator[bytes, None, None]:
        if self.timeout <= 0:
            raise CommandTimeout(self.command, 0)
        with _input(stdin) as given:
            process = self._start(cwd, env, given)
        kill = partial(_kill, process)
        try:
            if not self.even_if_stopped:
                register(kill, self.scope)
            yield from self._read(process)
            _await_exit(process, self.begun + self.timeout + 3 * GRACE)
        finally:
            with lock:
                unregister(kill)
                _end(process)
        self._judge(process.returncode)

    def _start(
        self, cwd: Path, env: Mapping[str, str], stdin: IO[bytes] | int
    ) -> subprocess.Popen[bytes]:
        time_limit = _time_limiter(env.get("PATH", os.defpath), self.timeout)
        arguments = [*memory_limiter(self.memory_mb), *time_limit, *self.command]
        if self.stopped():
            raise Interrupted("this process is stopping")
        self.begun = time.monotonic()
        try:
            return subprocess.Popen(
                arguments,
                cwd=cwd,
                env=dict(env),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(self.command, 127, str(error)) from error

    def _read(self, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
        """Yield stdout; keep the end of stderr, which must never fill its pipe and block."""
        out, err = process.stdout, process.stderr
        if out is None or err is None:
            return
        _widen(out)
        last = self.begun + self.timeout + 2 * GRACE
        with selectors.DefaultSelector() as selector:
            for pipe in (out, err):
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, last - time.monotonic()))
                if not ready:  # `timeout` is missing, or was itself killed
                    _kill(process)
                    return
                for key, _ in ready:
                    chunk = os.read(key.fd, CHUNK)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is err:
                        self._tail = (self._tail + chunk)[-STDERR_KEPT:]
                    else:
                        yield chunk

    def _judge(self, code: int) -> None:
        if code == 0:
            return
        if self.stopped():
            raise Interrupted("this process is stopping")
        if time.monotonic() - self.begun >= self.timeout and code in (124, 137, *_ENDED):
            raise CommandTimeout(self.command, code, self.stderr)
        if -code in ASKED_TO_STOP or code - 128 in ASKED_TO_STOP:
            raise Interrupted("the program was asked to stop")
        raise failure(self.command, code, self.stderr)


def failure(command: Sequence[str], code: int, stderr: str) -> CommandError:
    """Return the exception for a program that failed by itself."""
    kind = CommandOutOfMemory if OUT_OF_MEMORY.search(stderr) else CommandError
    return kind(command, code, stderr)


def memory_limiter(megabytes: int) -> list[str]:
    """Return the prefix of a command that runs it under a memory limit."""
    return ["/bin/sh", "-c", LIMIT_MEMORY, "sh", str(megabytes * 1024)]


_ENDED = (-signal.SIGTERM, -signal.SIGKILL)


@lru_cache(maxsize=8)
def _timeout_program(search_path: str) -> str | None:
    return shutil.which("timeout", path=search_path) or shutil.which("gtimeout", path=search_path)


def _time_limiter(search_path: str, seconds: float) -> list[str]:
    # Without coreutils (macOS) the limit is enforced by this process alone.
    program = _timeout_program(search_path)
    return [program, "-k", str(GRACE), f"{seconds:.3f}"] if program else []


@contextlib.contextmanager
def _input(stdin: bytes | Path | None) -> Iterator[IO[bytes] | int]:
    """Provide input as a file: a pipe would have to be written while the output is read."""
    if stdin is None:
        yield subprocess.DEVNULL
        return
    if isinstance(stdin, Path):
        with stdin.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as held:
        held.write(stdin)
        held.seek(0)
        yield held


def _widen(pipe: IO[bytes]) -> None:
    """Enlarge a pipe to a mebibyte where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, CHUNK)


def _await_exit(process: subprocess.Popen[bytes], last: float) -> None:
    """Wait for the exit without reaping, so that the group's number is not reused."""
    pause = 0.0005
    flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
    while os.waitid(os.P_PID, process.pid, flags) is None and time.monotonic() < last:
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    _kill(process)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
