"""gunicorn's threaded worker, hardened against slow clients.

gunicorn assigns a thread to a connection as soon as it is accepted, and waits in its one event loop
for a client to close: a few clients that send a byte a second block all others. Here the event loop
reads the heads of requests and the bodies of GitHub's events, sends what a client does not accept
immediately, and discards refused bodies, for any number of clients at once. A thread only gets
requests that have arrived completely.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import sys
import time
from collections import deque
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from config import Settings
from web.access import SECURITY_HEADERS, allowed_origin_headers
from web.payloads import find_length

HEAD_LIMIT = 64 * 1024
PIECE = 64 * 1024
# Seconds for which a client that is still sending may go on after its answer: closing the
# connection immediately would lose the answer.
LINGER = 2.0
# Seconds that a thread waits for the rest of a request.
READ_WITHIN = 10.0
# Seconds within which a client must have received a whole answer.
SEND_WITHIN = 60.0
# Bytes of unsent answers that are buffered; beyond it the slowest client is disconnected.
UNSENT_LIMIT = 128 * 1024 * 1024
# Bytes of incomplete bodies that are buffered; beyond it the oldest one's client is disconnected.
BODIES_LIMIT = 64 * 1024 * 1024
# Bytes of an answer that the system buffers for a client that does not read.
SEND_BUFFER = 256 * 1024
ORIGIN_LINE = re.compile(rb"\n[Oo]rigin:[ \t]*([^\r\n]*?)[ \t]*\r?\n")

STATUSES: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.InvalidResponseHeader: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidResponseHeaderName: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ParseException: HTTPStatus.BAD_REQUEST,
}


class BufferingSocket(socket.socket):
    """A socket that buffers what the other side does not accept immediately.

    `head` is the head of the last request, as it was received.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.head = b""
        self._unsent: deque[memoryview] = deque()

    @property
    def unsent(self) -> int:
        """The number of bytes that are still to be sent."""
        return sum(map(len, self._unsent))

    def setblocking(self, flag: bool) -> None:
        """Set a timeout of READ_WITHIN seconds, or none."""
        self.settimeout(READ_WITHIN if flag else 0.0)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send what is accepted immediately and buffer the rest."""
        self._unsent.append(memoryview(data).cast("B"))
        self.send_kept()

    def send_kept(self) -> None:
        """Send as much of the buffer as is accepted immediately."""
        while self._unsent:
            first = self._unsent[0]
            try:
                sent = self.send(first, socket.MSG_DONTWAIT) if first else 0
            except (BlockingIOError, InterruptedError):
                return
            if sent == len(first):
                self._unsent.popleft()
            else:
                self._unsent[0] = first[sent:]


class BufferingThreadWorker(ThreadWorker):  # type: ignore[misc]
    """A worker whose event loop holds connections until a request has arrived."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Each in the order in which their timeouts end.
        self._heads: dict[TConn, bytearray] = {}
        self._sending: dict[TConn, bool] = {}  # whether the connection is kept afterwards
        self._lingering: dict[TConn, None] = {}
        # The length that a request whose head has arrived must reach: its head's, but for events.
        self._lengths: dict[TConn, int] = {}

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection, and drop the slowest one where there are too many."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                return
            raise
        client = BufferingSocket(fileno=client.detach())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        conn = TConn(self.cfg, client, address, listener.getsockname())
        self.nr_conns += 1
        self._await_head(conn, b"")
        while self.nr_conns >= self.worker_connections and (waiting := self._waiting()):
            self._drop(next(iter(waiting)))

    def finish_request(self, conn: TConn, future: Future[Any]) -> None:
        """Wait for the next request on the connection, or for its end."""
        try:
            kept = not future.cancelled() and bool(future.result())
            if conn.sock.fileno() >= 0 and conn.sock.unsent:
                self._send_rest(conn, kept)
            else:
                self._go_on(conn, kept)
        except Exception:
            self.log.exception("a connection is dropped")
            self._close(conn)

    def handle_request(self, request: Any, conn: TConn) -> bool:
        """Answer a request; few routes read a body, so the connection ends after one."""
        if any(
            name == "TRANSFER-ENCODING" or (name == "CONTENT-LENGTH" and value.strip("0"))
            for name, value in request.headers
        ):
            request.force_close()
        return bool(super().handle_request(request, conn))

    def handle_error(self, request: Any, client: Any, address: Any, error: Exception) -> None:
        """Answer a malformed request with an error in JSON, as all errors are."""
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        for kind, fitting in STATUSES.items():
            if isinstance(error, kind):
                status = fitting
                break
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.error("unexpected fault in a request", exc_info=error)
        body = json.dumps({"error": status.phrase.lower()}).encode()
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            "Vary": "Origin",
            **SECURITY_HEADERS,
            **self._cors_headers(client),
        }
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            util.write_nonblock(client, "\r\n".join([*lines, "", ""]).encode() + body)
        except OSError:
            self.log.debug("a client disconnected before its error was sent")

    def murder_pending(self) -> None:
        """Drop the connections whose timeout has ended."""
        moment = time.monotonic()
        for waiting in (self._heads, self._sending, self._lingering):
            while waiting and (first := next(iter(waiting))).timeout <= moment:
                self._drop(first)

    def _cors_headers(self, client: Any) -> dict[str, str]:
        """Return the CORS headers of an error, even for a head that was not parsed."""
        found = ORIGIN_LINE.search(getattr(client, "head", b""))
        if found is None:
            return {}
        return allowed_origin_headers(self.wsgi, found[1].decode("latin-1"))

    def _waiting(self) -> dict[TConn, Any]:
        """Return the connections of the event loop that are dropped first."""
        return self._lingering or self._heads or self._sending

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self._heads:
            conn.timeout = min(conn.timeout, deadline)

    def _go_on(self, conn: TConn, kept: bool) -> None:
        if not kept:
            self._linger(conn)
            return
        following = conn.parser.unreader.take_buffered()
        if _is_whole(following) and len(following) >= self._find_length(following):
            conn.sock.head = following
            conn.parser.unreader.unread(following)
            self.enqueue_req(conn)
        else:
            self._await_head(conn, following)

    def _send_rest(self, conn: TConn, kept: bool) -> None:
        conn.timeout = time.monotonic() + SEND_WITHIN
        conn.sock.setblocking(False)
        self._sending[conn] = kept
        self.poller.register(conn.sock, EVENT_WRITE, partial(self._send_more, conn))
        while len(self._sending) > 1 and self._unsent() > UNSENT_LIMIT:
            self._drop(next(iter(self._sending)))

    def _unsent(self) -> int:
        return sum(each.sock.unsent for each in self._sending)

    def _send_more(self, conn: TConn, _socket: socket.socket) -> None:
        if conn not in self._sending:
            return  # dropped between the event and its turn
        kept = self._sending[conn]
        try:
            conn.sock.send_kept()
        except OSError:
            self._drop(conn)
            return
        if not conn.sock.unsent:
            self._forget(conn)
            self._go_on(conn, kept)

    def _await_head(self, conn: TConn, begun: bytes) -> None:
        timeout = self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER
        conn.timeout = time.monotonic() + timeout
        conn.sock.setblocking(False)
        self._heads[conn] = bytearray(begun)
        if _is_whole(begun):
            self._lengths[conn] = self._find_length(begun)
        self.poller.register(conn.sock, EVENT_READ, partial(self._read_head, conn))

    def _read_head(self, conn: TConn, _socket: socket.socket) -> None:
        if conn not in self._heads:
            return  # dropped between the event and its turn
        data = _receive(conn.sock)
        if data == b"":
            self._drop(conn)
        if not data:
            return
        head = self._heads[conn]
        head += data
        if conn not in self._lengths and _is_whole(head, len(head) - len(data) - 3):
            self._lengths[conn] = self._find_length(head)
        if len(head) >= self._lengths.get(conn, sys.maxsize):
            self._forget(conn)
            conn.sock.head = bytes(head)
            conn.init()
            conn.parser.unreader.unread(bytes(head))
            self.enqueue_req(conn)
        elif conn in self._lengths:
            while sum(len(self._heads[each]) for each in self._lengths) > BODIES_LIMIT:
                self._drop(next(iter(self._lengths)))
        elif len(head) > HEAD_LIMIT:
            self._forget(conn)
            conn.sock.head = bytes(head)
            self.handle_error(None, conn.sock, conn.client, errors.LimitRequestHeaders("too long"))
            self._linger(conn)

    def _find_length(self, head: bytes | bytearray) -> int:
        settings: Settings = self.wsgi.config["SETTINGS"]
        return 0 if settings.github_webhook_secret is None else find_length(head)

    def _linger(self, conn: TConn) -> None:
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.timeout = time.monotonic() + LINGER
        conn.sock.setblocking(False)
        self._lingering[conn] = None
        self.poller.register(conn.sock, EVENT_READ, partial(self._let_run_out, conn))

    def _let_run_out(self, conn: TConn, _socket: socket.socket) -> None:
        if conn in self._lingering and _receive(conn.sock) == b"":
            self._drop(conn)

    def _drop(self, conn: TConn) -> None:
        self._forget(conn)
        self._close(conn)

    def _forget(self, conn: TConn) -> None:
        self._heads.pop(conn, None)
        self._lengths.pop(conn, None)
        self._sending.pop(conn, None)
        self._lingering.pop(conn, None)
        self.poller.unregister(conn.sock)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()


def _receive(client: socket.socket) -> bytes | None:
    """Return what was received: nothing at the end of the connection, None if nothing yet."""
    try:
        return client.recv(PIECE)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


def _is_whole(head: bytes | bytearray, start: int = 0) -> bool:
    """Return whether the parser will find the end of this head, or an error in it."""
    start = max(0, start)
    return head.find(b"\r\n\r\n", start) >= 0 or head.find(b"\n\n", start) >= 0
