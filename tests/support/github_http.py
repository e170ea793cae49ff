"""The HTTP side of the fake of GitHub: requests in, answers out, with faults on demand."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support import git_front

if TYPE_CHECKING:
    from tests.support.git_server import GitServer

GIT_PATH = re.compile(r"^/[^?]*\.git/")


class Request(NamedTuple):
    """One request as received."""

    method: str
    path: str
    query: dict[str, str]


@dataclass
class Fault:
    """A fault of some paths, for so many more requests (None: always)."""

    path: re.Pattern[str]
    times: int | None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    drip: float = 0
    cut: bool = False


class Answer(NamedTuple):
    """One answer before it is sent."""

    status: int
    body: bytes
    headers: dict[str, str]


# Takes the method, the target and the Authorization header.
Answering = Callable[[str, str, str | None], tuple[Answer, Fault]]


class Server(ThreadingHTTPServer):
    """Listen on 127.0.0.1 and answer each connection in a thread of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, answer: Answering, git: GitServer | None = None) -> None:
        self.answer = answer
        self.owner = git
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """End the connections that are kept alive, and with them their threads."""
        for sock in list(self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: clients that disconnect are part of the tests."""


class _Handler(git_front.Handler):
    server: Server  # type: ignore[assignment]

    def _respond(self) -> None:
        if self.server.owner is not None and GIT_PATH.match(self.path):
            self._answer()
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authorization")
        answer, fault = self.server.answer(self.command, self.path, token)
        headers = {"Content-Type": "application/json; charset=utf-8"} | answer.headers
        self.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(answer.body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if fault.drip:
            self._drip(answer.body, fault.drip)
        elif fault.cut:
            self.close_connection = True
            self.wfile.write(answer.body[: len(answer.body) // 2])
        else:
            self.wfile.write(answer.body)

    def _drip(self, body: bytes, interval: float) -> None:
        for at in range(len(body)):
            self.wfile.write(body[at : at + 1])
            time.sleep(interval)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond
