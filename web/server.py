"""gunicorn's threaded worker, hardened against clients that are slow on purpose or by nature.

gunicorn gives a thread to a connection as soon as it is accepted, and waits in its one loop for a
client to close: a few clients that send a byte a second keep all others out. Here that loop takes
in the heads of requests and lets refused bodies run out, for any number of clients at once. A
thread is taken for a request that is there and for an answer that fits the socket's buffer.
"""

from __future__ import annotations

import errno
import json
import socket
import time
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from web.access import SECURITY_HEADERS

HEAD_LIMIT = 64 * 1024
PIECE = 64 * 1024
# A client that is still sending when it is answered may go on so many seconds, since closing on it
# at once would take the answer from it.
LINGER = 2.0
# A whole answer must be taken within so many seconds.
SEND_WITHIN = 10.0
# Answers up to this size, or what the system grants of it, never keep a thread waiting.
SEND_BUFFER = 1024 * 1024

STATUSES: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.InvalidResponseHeader: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidResponseHeaderName: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ParseException: HTTPStatus.BAD_REQUEST,
}


class ImpatientSocket(socket.socket):
    """Wait SEND_WITHIN seconds for the other side where a blocking socket would wait for ever."""

    def setblocking(self, flag: bool) -> None:
        """Turn waiting on or off."""
        self.settimeout(SEND_WITHIN if flag else 0.0)

    def sendall(self, *arguments: Any) -> None:
        """Send everything; a client that does not take it in time counts as gone."""
        try:
            super().sendall(*arguments)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the answer is not taken") from error


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Hold connections in the loop until a request's head is there, and after its answer."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Both in the order in which their time is up.
        self._heads: dict[TConn, bytearray] = {}
        self._lingering: dict[TConn, None] = {}

    def accept(self, listener: socket.socket) -> None:
        """Take a new connection, and let go of the slowest one where there is no room."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                return
            raise
        client = ImpatientSocket(fileno=client.detach())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        conn = TConn(self.cfg, client, address, listener.getsockname())
        self.nr_conns += 1
        self._await_head(conn, b"")
        while self.nr_conns >= self.worker_connections and (self._lingering or self._heads):
            self._drop(next(iter(self._lingering or self._heads)))

    def finish_request(self, conn: TConn, future: Future[Any]) -> None:
        """Wait for the next request on the connection, or for its end."""
        try:
            kept = not future.cancelled() and future.result()
            if not kept:
                self._linger(conn)
                return
            following = conn.parser.unreader.take_buffered()
            if _is_whole(following):
                conn.parser.unreader.unread(following)
                self.enqueue_req(conn)
            else:
                self._await_head(conn, following)
        except Exception:
            self.log.exception("a connection is dropped")
            self._close(conn)

    def handle_request(self, request: Any, conn: TConn) -> bool:
        """Answer a request; no route reads a body, so the connection ends after one."""
        if any(
            name == "TRANSFER-ENCODING" or (name == "CONTENT-LENGTH" and value.strip("0"))
            for name, value in request.headers
        ):
            request.force_close()
        return bool(super().handle_request(request, conn))

    def handle_error(self, request: Any, client: Any, address: Any, error: Exception) -> None:
        """Answer what is no HTTP in JSON like every other error."""
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
            **SECURITY_HEADERS,
        }
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            util.write_nonblock(client, "\r\n".join([*lines, "", ""]).encode() + body)
        except OSError:
            self.log.debug("a client is gone before its error could be said")

    def murder_pending(self) -> None:
        """Let go of the connections whose time is up."""
        moment = time.monotonic()
        for waiting in (self._heads, self._lingering):
            while waiting and (first := next(iter(waiting))).timeout <= moment:
                self._drop(first)

    def _cap_keepalive(self, deadline: float) -> None:
        super()._cap_keepalive(deadline)
        for conn in self._heads:
            conn.timeout = min(conn.timeout, deadline)

    def _await_head(self, conn: TConn, begun: bytes) -> None:
        patience = self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER
        conn.timeout = time.monotonic() + patience
        conn.sock.setblocking(False)
        self._heads[conn] = bytearray(begun)
        self.poller.register(conn.sock, EVENT_READ, partial(self._read_head, conn))

    def _read_head(self, conn: TConn, _socket: socket.socket) -> None:
        if conn not in self._heads:
            return  # let go of between the event and its turn
        data = _receive(conn.sock)
        if data == b"":
            self._drop(conn)
        if not data:
            return
        head = self._heads[conn]
        head += data
        if _is_whole(head, len(head) - len(data) - 3):
            self._forget(conn)
            conn.init()
            conn.parser.unreader.unread(bytes(head))
            self.enqueue_req(conn)
        elif len(head) > HEAD_LIMIT:
            self._forget(conn)
            self.handle_error(None, conn.sock, conn.client, errors.LimitRequestHeaders("too long"))
            self._linger(conn)

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
        self._lingering.pop(conn, None)
        self.poller.unregister(conn.sock)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()


def _receive(client: socket.socket) -> bytes | None:
    """Take what has come: nothing for the end of the connection, None for nothing as yet."""
    try:
        return client.recv(PIECE)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


def _is_whole(head: bytes | bytearray, start: int = 0) -> bool:
    """Tell whether the parser will find an end to this head, be it a fault."""
    start = max(0, start)
    return head.find(b"\r\n\r\n", start) >= 0 or head.find(b"\n\n", start) >= 0
