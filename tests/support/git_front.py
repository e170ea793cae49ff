"""The HTTP side of the tests' git server: CGI to git's own `http-backend`, streamed both ways."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.repos import git_environment

if TYPE_CHECKING:
    from tests.support.git_server import GitServer

PIECE = 1 << 18
PIPE_SIZE = 1 << 20
ROUTE = re.compile(r"^/(?P<repo>.+?)(?:\.git)?/(?P<rest>info/refs|git-[a-z-]+|HEAD|objects/.*)$")


@dataclass
class Request:
    """What one request asked for and how much was sent for it.

    `authorization` is the header as it came; `bytes_out` counts the answer's body and grows while
    it is sent; `fetch` tells a request for objects from one for the list of refs.
    """

    repo: str
    service: str
    method: str
    path: str
    authorization: str | None
    protocol: str | None
    bytes_out: int = 0
    status: int = 0
    fetch: bool = False


@dataclass
class Fault:
    """How requests for one repository's objects go wrong.

    `after` is in bytes of the answer's body, `rate` in bytes a second; `times` is how many more
    requests it strikes (None: all).
    """

    kind: str
    after: int = 0
    rate: int = 0
    status: int = 0
    page: bytes = b""
    times: int | None = None


class FrontServer(ThreadingHTTPServer):
    """Accept connections on 127.0.0.1 and a free port, a thread for each."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, owner: GitServer) -> None:
        self.owner = owner
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def break_off(self) -> None:
        """Close every connection, so that no thread waits for its client forever."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Many tests are about clients that disconnect in the middle.
        if not isinstance(sys.exc_info()[1], ConnectionError | ValueError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Run `git http-backend` for each request, unless a knob of the server says otherwise."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FrontServer

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: GitServer.log is the log."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_HEAD = do_GET

    def _answer(self) -> None:
        owner = self.server.owner
        parts = urlsplit(self.path)
        match = ROUTE.match(unquote(parts.path))
        request = self._log_request(match, parts.query)
        if owner.latency and owner.stopping.wait(owner.latency):
            return
        if match is None:
            self._refuse(request, 404)
            return
        if to := owner.redirects.get(request.repo):
            query = f"?{parts.query}" if parts.query else ""
            self._refuse(request, 302, Location=f"{to}/{match['rest']}{query}")
        elif request.repo in owner.private and not self._authorized(request):
            self._refuse(request, 401, WWW_Authenticate='Basic realm="GitHub"')
        else:
            self._run_backend(request, f"/{request.repo}.git/{match['rest']}", parts.query)

    def _log_request(self, match: re.Match[str] | None, query: str) -> Request:
        service = ""
        if match:
            asked = parse_qs(query).get("service", [""])[0]
            service = asked or (match["rest"] if match["rest"].startswith("git-") else "")
        request = Request(
            repo=match["repo"] if match else "",
            service=service,
            method=self.command,
            path=self.path,
            authorization=self.headers.get("Authorization"),
            protocol=self.headers.get("Git-Protocol"),
        )
        self.server.owner.log.append(request)
        return request

    def _authorized(self, request: Request) -> bool:
        wanted = base64.b64encode(f"x-access-token:{self.server.owner.token}".encode()).decode()
        return request.authorization == f"Basic {wanted}"

    def _refuse(self, request: Request, status: int, **headers: str) -> None:
        request.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        # The request's body, if any, is left unread, so the connection can't be used again.
        self.send_header("Connection", "close")
        self.end_headers()

    def _show_page(self, request: Request, page: bytes) -> None:
        request.status = 200
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def _run_backend(self, request: Request, path: str, query: str) -> None:
        owner = self.server.owner
        first = next(body := self._body(), b"")
        request.fetch = (
            request.method == "POST"
            and request.service == "git-upload-pack"
            and b"command=ls-refs" not in first[:100]
        )
        fault = owner.take_fault(request)
        if fault and fault.kind == "fail":
            self._refuse(request, fault.status)
            return
        if fault and fault.kind == "maintain":
            self._show_page(request, fault.page)
            return
        if fault and fault.kind == "hang" and not fault.after:
            if not owner.wait_healed(request, fault, self.connection):
                self.close_connection = True
                return
            fault = None
        child = subprocess.Popen(
            [owner.backend],
            env=self._cgi_environment(path, query),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert child.stdin
        assert child.stdout
        _widen(child.stdout)
        feeder = threading.Thread(target=self._feed, args=(child.stdin, first, body), daemon=True)
        with owner.running(child), owner.answering(request), child.stdout:
            feeder.start()
            try:
                self._relay(request, child.stdout, fault)
            except OSError:
                self.close_connection = True
            finally:
                child.stdout.close()
                if self.close_connection:
                    child.kill()
        feeder.join(1)
        self.close_connection = self.close_connection or feeder.is_alive()

    def _cgi_environment(self, path: str, query: str) -> dict[str, str]:
        environment = git_environment() | {
            "GIT_PROJECT_ROOT": str(self.server.owner.root.absolute()),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "REMOTE_ADDR": self.client_address[0],
        }
        given = {
            "CONTENT_LENGTH": self.headers.get("Content-Length"),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding"),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol"),
        }
        return environment | {name: text for name, text in given.items() if text}

    def _body(self) -> Iterator[bytes]:
        """Yield the request's body in pieces, chunked or not."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                yield from self._pieces(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield from self._pieces(int(self.headers.get("Content-Length") or 0))

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size and (piece := self.rfile.read(min(size, PIECE))):
            size -= len(piece)
            yield piece

    def _feed(self, stdin: IO[bytes], first: bytes, rest: Iterator[bytes]) -> None:
        """Pass the request's body to the backend; read what it does not want, too."""
        wanted = True
        with contextlib.suppress(OSError, ValueError):
            for piece in _chain(first, rest):
                try:
                    if wanted:
                        stdin.write(piece)
                        stdin.flush()
                except OSError:
                    wanted = False
        with contextlib.suppress(OSError):
            stdin.close()

    def _relay(self, request: Request, stdout: IO[bytes], fault: Fault | None) -> None:
        headers = dict(_cgi_headers(stdout))
        request.status = int(headers.pop("status", "200 OK").split()[0])
        self.send_response(request.status)
        for name, value in headers.items():
            self.send_header(name, value)
        chunked = "content-length" not in headers
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in self._spoiled(request, _read(stdout), fault):
            request.bytes_out += len(piece)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked and not self.close_connection:
            self.wfile.write(b"0\r\n\r\n")

    def _spoiled(
        self, request: Request, pieces: Iterator[bytes], fault: Fault | None
    ) -> Iterator[bytes]:
        if fault is None and not self.server.owner.rate:
            yield from pieces
        elif fault is None:
            yield from self._dripping(pieces, self.server.owner.rate)
        elif fault.kind == "drip":
            yield from self._dripping(pieces, fault.rate)
        else:
            yield from self._stopping(request, pieces, fault)

    def _dripping(self, pieces: Iterator[bytes], rate: int) -> Iterator[bytes]:
        drop = max(1, rate // 20)
        due = time.monotonic()
        for piece in pieces:
            for start in range(0, len(piece), drop):
                if self.server.owner.stopping.is_set():
                    self.close_connection = True
                    return
                sent = piece[start : start + drop]
                yield sent
                # By the clock, so that delays of a busy machine are compensated.
                due += len(sent) / rate
                time.sleep(max(0.0, due - time.monotonic()))

    def _stopping(self, request: Request, pieces: Iterator[bytes], fault: Fault) -> Iterator[bytes]:
        """Yield as much as the fault lets through; a hang that is healed yields the rest."""
        left = fault.after
        for piece in pieces:
            if len(piece) < left:
                left -= len(piece)
                yield piece
                continue
            yield piece[:left]
            healed = fault.kind == "hang" and self.server.owner.wait_healed(
                request, fault, self.connection
            )
            if not healed:
                self.close_connection = True
                return
            if piece[left:]:
                yield piece[left:]
            yield from pieces


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _read(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what a pipe has as it comes, a bounded piece at a time."""
    while piece := stream.read1(PIECE):  # type: ignore[attr-defined]
        yield piece


def _cgi_headers(stream: IO[bytes]) -> Iterator[tuple[str, str]]:
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        yield name.strip().lower(), value.strip()


def _widen(pipe: IO[bytes]) -> None:
    """Enlarge a pipe, so that a large pack needs fewer reads."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
