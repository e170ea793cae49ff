"""Raw HTTP, for requests that no client library would send."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parents[2])
# What must not leak: tracebacks, paths, SQL, libraries.
TELLTALES = ("Traceback", 'File "', ROOT, "site-packages", "SELECT", "sqlalchemy", "psycopg")


@dataclass(frozen=True)
class Reply:
    """An answer as received."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body's JSON."""
        return json.loads(self.body)


def connect(port: int, seconds: float = 100) -> socket.socket:
    """Open a connection to this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=seconds)


def exchange(port: int, request: bytes, seconds: float = 100) -> Reply:
    """Send bytes on a new connection and return the answer."""
    with connect(port, seconds) as client:
        client.sendall(request)
        return read_reply(client)


def read_reply(client: socket.socket) -> Reply:
    """Read one answer with an announced length."""
    with client.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        headers: dict[str, str] = {}
        while line := stream.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.title()] = value.strip()
        return Reply(status, headers, stream.read(int(headers["Content-Length"])))


@contextlib.contextmanager
def besieged(
    port: int, count: int, opening: bytes, *, drip: bytes = b"", receive_buffer: int = 0
) -> Iterator[Callable[[], int]]:
    """Hold connections that begin alike and then send a few bytes each second.

    Nothing is read from them. Yields a function that counts the connections made so far.
    """
    ended = threading.Event()
    clients: list[socket.socket] = []

    def open_one() -> socket.socket:
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(50)
        client.connect(("127.0.0.1", port))
        client.sendall(opening)
        return client

    def trickle() -> None:
        made = list(clients)
        while not ended.wait(1):
            for place, client in enumerate(made):
                try:
                    client.sendall(drip)
                except OSError:  # turned away: come again
                    client.close()
                    with contextlib.suppress(OSError):
                        made[place] = open_one()
                        clients.append(made[place])

    try:
        clients.extend(open_one() for _ in range(count))
        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        yield lambda: len(clients)
    finally:
        ended.set()
        thread.join()
        for client in clients:
            client.close()
