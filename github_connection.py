"""One connection to GitHub's API that cannot be held up or led astray."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from github.Requester import HTTPSRequestsConnectionClass, RequestsResponse
from requests.adapters import HTTPAdapter

from errors import GitHubUnavailable

TOO_SLOW = "GitHub took too long to answer"
REDIRECTED = "GitHub's API sent the request to another address; check GITHUB_API_URL"

_MAX_REDIRECTS = 5
_DEFAULT_PORTS = {"http": 80, "https": 443}

# It warns of malformed headers with the whole URL, which names a repository that may be private.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class Connection(HTTPSRequestsConnectionClass):
    """Carry one request at a time, and be cut off when the time is up.

    A timeout bounds one silence only, which an answer that drips never reaches; so a timer shuts
    the socket down, wherever the answer has got to. Redirects are followed within the API's own
    address alone, so that the token goes nowhere else.
    """

    def __init__(self, base_url: str, read_timeout: float) -> None:
        parts = urlsplit(base_url)
        super().__init__(parts.hostname or "", parts.port)
        self._origin = _origin(parts)
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._read_timeout = read_timeout
        self._ends = 0.0
        self._socket: socket.socket | None = None
        self.is_cut = False
        # Plain http is for loopback, where a proxy of the environment has no business.
        self.session.trust_env = parts.scheme == "https"
        adapter = _WatchedAdapter(self)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut whatever is on the way when the seconds are over."""
        self._ends = time.monotonic() + seconds
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            # A cut already under way must not hit the next user of this connection.
            timer.join()

    def left(self) -> float:
        """Return the seconds that are left."""
        return 0.0 if self.is_cut else max(0.0, self._ends - time.monotonic())

    def watch(self, sock: object) -> None:
        """Take note of the socket to cut."""
        if isinstance(sock, socket.socket):
            self._socket = sock
        if self.is_cut:
            self._cut()

    def _cut(self) -> None:
        self.is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                # TLS has a shutdown of its own, which is not for use beside a read.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def getresponse(self) -> RequestsResponse:
        """Send the request, follow redirects within the API's address, and read the answer."""
        url = self._root + self.url
        for _ in range(_MAX_REDIRECTS + 1):
            left = self.left()
            if not left:
                raise GitHubUnavailable(TOO_SLOW)
            response = self.session.get(
                url,
                headers=self.headers,
                timeout=min(self._read_timeout, left),
                verify=self.verify,
                allow_redirects=False,
            )
            if not response.is_redirect:
                # JSON is UTF-8; guessing the encoding of a page takes longer than fetching it.
                response.encoding = "utf-8"
                return RequestsResponse(response)
            url = urljoin(url, response.headers["location"])
            if _origin(urlsplit(url)) != self._origin:
                break
        raise GitHubUnavailable(REDIRECTED)


class _WatchedAdapter(HTTPAdapter):
    """Tell a connection which sockets are opened for it."""

    def __init__(self, owner: Connection) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1)
        self._owner = owner

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of connections for a request, one whose connections are watched."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        plain = pool.ConnectionCls
        if not getattr(plain, "is_watched", False):
            pool.ConnectionCls = _watched(plain, self._owner)
        return pool


def _watched(plain: Any, owner: Connection) -> Any:
    def connect(connection: Any) -> None:
        plain.connect(connection)
        owner.watch(connection.sock)

    return type("WatchedConnection", (plain,), {"connect": connect, "is_watched": True})


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
