"""A Perl program that is compiled once and forked for each run; the other end is ForkServer.pm."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from cancel import CancelScope, is_stopped, register, unregister
from errors import CommandTimeout, Interrupted

from ..command import (
    ASKED_TO_STOP,
    GRACE,
    HELPER_MEMORY_MB,
    CompletedOutput,
    failure,
    memory_limiter,
)

CHUNK = 64 * 1024
BACKLOG = 64
SOCKET = "socket"
LONGEST_ADDRESS = 100  # bytes; Linux allows 107, macOS 103


class ServerGone(Exception):
    """The server failed, not the program."""


class ForkServer:
    """A server that runs a Perl program by forking, for this process and those forked from it.

    A run takes no time to compile the program. The socket is made in `folder`, which must be
    private; the memory limit is for each run by itself. Raises ServerGone when the file is not a
    Perl program or cannot be started; when it cannot be compiled, run() does.
    """

    def __init__(
        self,
        program: Path,
        env: Mapping[str, str],
        folder: Path,
        memory_mb: int = HELPER_MEMORY_MB,
    ) -> None:
        self._program = str(program)
        self._folder = folder
        ours = ("-I", str(Path(__file__).parent), "-MForkServer")
        try:
            interpreter = _interpreter(program)
            with socket.socket(socket.AF_UNIX) as listener, _address(folder) as address:
                listener.bind(address)
                listener.listen(BACKLOG)
                handle = listener.fileno()
                self._process = subprocess.Popen(
                    # A run is a fork of the server and so inherits its limit.
                    [
                        *memory_limiter(memory_mb),
                        *interpreter,
                        *ours,
                        str(program),
                        str(handle),
                    ],
                    cwd=folder,
                    env=dict(env),
                    stdin=subprocess.PIPE,  # the server ends when it is closed
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(handle,),
                    start_new_session=True,
                )
        except OSError as error:
            self._unlink()
            raise ServerGone(str(error)) from error

    def is_running(self) -> bool:
        """Return whether the server runs; only the process that started it may call this."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the server and its runs; only the process that started it may call this."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._unlink()

    def run(
        self,
        *arguments: str,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
        scope: CancelScope | None = None,
    ) -> CompletedOutput:
        """Run the program with some arguments to its end and return what it wrote.

        Raises CommandError on any exit code but 0, CommandTimeout after `timeout` seconds,
        CommandOutOfMemory, Interrupted when the program, or this process, was asked to stop, and
        ServerGone.
        """
        command = [self._program, *arguments]
        if timeout <= 0:
            raise CommandTimeout(command, 0)
        with socket.socket(socket.AF_UNIX) as connection:

            def hang_up() -> None:
                with contextlib.suppress(OSError):  # not connected yet, or not any more
                    connection.shutdown(socket.SHUT_RDWR)

            try:
                connection.settimeout(GRACE)
                with _address(self._folder) as address:
                    connection.connect(address)
                register(hang_up, scope)
                request = _request(arguments, cwd, env, timeout)
                answer = _exchange(connection, request, timeout + 2 * GRACE)
            except OSError as error:
                if is_stopped(scope):
                    raise Interrupted("this process is stopping") from error
                raise ServerGone(str(error)) from error
            finally:
                unregister(hang_up)
        written, _, how = answer.rpartition(b"\0")
        output, _, errors = written.rpartition(b"\0")
        stderr = errors.decode(errors="replace")
        if how != b"0":
            _raise(command, how, stderr, scope)
        return CompletedOutput(output, stderr)

    def _unlink(self) -> None:
        (self._folder / SOCKET).unlink(missing_ok=True)


def _raise(command: list[str], how: bytes, stderr: str, scope: CancelScope | None) -> NoReturn:
    if is_stopped(scope):
        raise Interrupted("this process is stopping")
    if how == b"timeout":
        raise CommandTimeout(command, -signal.SIGKILL, stderr)
    if not how.removeprefix(b"-").isdigit():
        raise ServerGone("it hung up")
    code = int(how)
    if -code in ASKED_TO_STOP:
        raise Interrupted("the program was asked to stop")
    raise failure(command, code, stderr)


def _interpreter(program: Path) -> list[str]:
    """Return the perl that a script asks for in its first line, with the arguments given there."""
    with program.open("rb") as file:
        first = file.readline(256)
    words = os.fsdecode(first[2:]).split() if first.startswith(b"#!") else []
    if not any(Path(word).name == "perl" for word in words):
        raise ServerGone(f"{program.name} is not a Perl program")
    return words


@contextlib.contextmanager
def _address(folder: Path) -> Iterator[str]:
    """Return a socket's address in a folder; a path that is too long goes through a descriptor."""
    direct = str(folder / SOCKET)
    if len(os.fsencode(direct)) <= LONGEST_ADDRESS:
        yield direct
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET}"
    finally:
        os.close(handle)


def _request(arguments: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float) -> bytes:
    fields = [f"{timeout:.3f}", str(cwd), str(len(arguments)), *arguments]
    fields += [f"{name}={value}" for name, value in env.items()]
    body = os.fsencode("\0".join(fields))
    return struct.pack(">I", len(body)) + body


def _exchange(connection: socket.socket, request: bytes, within: float) -> bytes:
    """Send a request and return all that is received until the other side closes."""
    last = time.monotonic() + within
    connection.sendall(request)
    chunks: list[bytes] = []
    while True:
        connection.settimeout(max(0.001, last - time.monotonic()))
        chunk = connection.recv(CHUNK)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
