"""A cache of answers, valid until the figures' revision changes or the UTC day ends.

Cached answers are sent before Flask is reached: Flask and SQLAlchemy take nine tenths of the time
of a small answer. The revision is read from the database on every request, before the data, so a
request that starts after a commit has returned sees what it wrote, whichever process wrote it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from flask import Flask, Response, request
from flask.json.provider import DefaultJSONProvider
from sqlalchemy import event
from sqlalchemy.pool import PoolProxiedConnection
from werkzeug.http import parse_accept_header, parse_etags
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.test import run_wsgi_app

from config import PrivateMode, Settings
from database.engine import db
from database.revision import SELECT_REVISION

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

View = TypeVar("View", bound=Callable[..., Any])
Headers = list[tuple[str, str]]
Key = tuple[str, str, str | None]
# The figures' revision, and the UTC day counted from 1970.
State = tuple[int, int]

KEEP: Final = "project_tracker.keep"
KEPT_BYTES: Final = 32 * 1024 * 1024
SMALLEST_COMPRESSED: Final = 500  # bytes; below it the header of gzip outweighs what it saves
# Removed from a request: conditional and compressed answers are made here, from the whole one.
OURS: Final = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_ACCEPT_ENCODING", "HTTP_RANGE")
# Answers made concurrently. More would be ready no sooner, and would delay short ones.
MADE_AT_ONCE: Final = 2
CONNECTIONS: Final = 4
DAY: Final = 86_400  # seconds


def kept(view: View) -> View:
    """Cache a view's good answers until the figures change or the UTC day ends.

    They may depend only on the path, the query, the settings, the figures and today's date.
    """

    @wraps(view)
    def keeping(*arguments: Any, **options: Any) -> Any:
        request.environ.get(KEEP, []).append(view.__name__)
        return view(*arguments, **options)

    return keeping  # type: ignore[return-value]


def keep_responses(app: Flask, settings: Settings) -> None:
    """Put the cache of answers in front of an application."""
    app.wsgi_app = KeptResponses(  # type: ignore[method-assign]
        app, settings.private_repositories, settings.cors_origins
    )


class JSONProvider(DefaultJSONProvider):
    """Write JSON with orjson, which takes a tenth of the time."""

    def response(self, *arguments: Any, **options: Any) -> Response:
        """Serialize what a view returned."""
        content = self._prepare_response_obj(arguments, options)
        return Response(orjson.dumps(content), mimetype=self.mimetype)


@dataclass(frozen=True)
class Kept:
    """A cached answer of one state: body, compressed body and headers."""

    state: State
    status: str
    body: bytes = field(repr=False)
    compressed: bytes | None = field(repr=False)
    etag: str
    headers: tuple[tuple[str, str], ...]

    @property
    def size(self) -> int:
        """Return the bytes of memory that it takes."""
        return len(self.body) + len(self.compressed or b"") + 1024


class KeptResponses:
    """A WSGI middleware that answers requests for figures from memory, all others by the app."""

    def __init__(self, app: Flask, private_mode: PrivateMode, origins: Iterable[str]) -> None:
        self._app = app
        self._wsgi_app: WSGIApplication = app.wsgi_app
        self._origins = frozenset(origins)
        scope = "private" if private_mode is PrivateMode.SHOW else "public"
        self._cache_control = f"{scope}, no-cache"
        self._revisions = _RevisionReader(app)
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self.kept_bytes = 0
        self._lock = threading.Lock()
        self._making = tuple(threading.Lock() for _ in range(MADE_AT_ONCE))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        key = self._key(environ)
        # The day is read before the data, as the revision is.
        day = int(time.time()) // DAY
        revision = self._revisions.read() if key is not None else None
        if key is None or revision is None:
            return self._wsgi_app(environ, start_response)
        state = revision, day
        answer = self._find(key, state)
        if answer is None:
            with self._making[hash(key) % MADE_AT_ONCE]:
                answer = self._find(key, state)
                if answer is None:
                    made = self._make(environ, key, state)
                    if not isinstance(made, Kept):
                        body, status, headers = made
                        start_response(status, headers)
                        return body
                    answer = made
        return self._send(answer, environ, start_response)

    def _key(self, environ: WSGIEnvironment) -> Key | None:
        """Return the key of a request's cached answer, or None for a request that is not cached."""
        if (
            environ["REQUEST_METHOD"] not in ("GET", "HEAD")
            or environ.get("CONTENT_LENGTH", "0") not in ("", "0")
            or "HTTP_TRANSFER_ENCODING" in environ
            or not self._is_trusted(environ.get("HTTP_HOST", ""))
        ):
            return None
        origin = environ.get("HTTP_ORIGIN")
        if origin not in self._origins:
            if origin is not None and origin.lower() in self._origins:
                return None  # no browser writes it so; the application answers it
            origin = None
        return environ["PATH_INFO"], environ["QUERY_STRING"], origin

    def _is_trusted(self, host: str) -> bool:
        trusted = self._app.config["TRUSTED_HOSTS"]
        return trusted is None or _is_trusted(host, tuple(trusted))

    def _find(self, key: Key, state: State) -> Kept | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None or found.state != state:
                return None
            self._kept.move_to_end(key)
            return found

    def _make(
        self, environ: WSGIEnvironment, key: Key, state: State
    ) -> Kept | tuple[Iterable[bytes], str, Headers]:
        """Have the application answer; cache the answer if the view is marked as `kept`."""
        asked = {name: value for name, value in environ.items() if name not in OURS}
        marks: list[str] = []
        asked |= {"REQUEST_METHOD": "GET", KEEP: marks}
        if key[2] is None:
            asked.pop("HTTP_ORIGIN", None)
        chunks, status, headers = run_wsgi_app(self._wsgi_app, asked, buffered=True)
        body = b"".join(chunks)
        if not marks or not status.startswith("200"):
            if environ["REQUEST_METHOD"] == "HEAD":
                return [], status, list(headers)
            return [body], status, list(headers)
        headers.remove("Content-Length")
        headers["Cache-Control"] = self._cache_control
        headers["Vary"] = "Origin, Accept-Encoding"
        answer = Kept(
            state=state,
            status=status,
            body=body,
            compressed=_compress(body),
            etag=hashlib.sha256(body).hexdigest()[:32],
            headers=tuple(headers),
        )
        self._keep(key, answer)
        return answer

    def _keep(self, key: Key, answer: Kept) -> None:
        if answer.size > KEPT_BYTES // 2:
            return
        with self._lock:
            old = self._kept.pop(key, None)
            self.kept_bytes += answer.size - (old.size if old else 0)
            self._kept[key] = answer
            while self.kept_bytes > KEPT_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self.kept_bytes -= oldest.size

    def _send(
        self, answer: Kept, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        zipped = answer.compressed is not None and _takes_gzip(
            environ.get("HTTP_ACCEPT_ENCODING", "")
        )
        etag = f'"{answer.etag}-gzip"' if zipped else f'"{answer.etag}"'
        headers = [*answer.headers, ("ETag", etag)]
        known = environ.get("HTTP_IF_NONE_MATCH")
        if known is not None and (known == etag or parse_etags(known).contains_weak(etag[1:-1])):
            start_response("304 NOT MODIFIED", [h for h in headers if h[0] != "Content-Type"])
            return []
        body = answer.compressed if zipped and answer.compressed is not None else answer.body
        headers.append(("Content-Length", str(len(body))))
        if zipped:
            headers.append(("Content-Encoding", "gzip"))
        start_response(answer.status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


class _RevisionReader:
    """A reader of the revision, by a plain statement on connections of its own.

    A session of the ORM takes five times as long as the statement.
    """

    def __init__(self, app: Flask) -> None:
        with app.app_context():
            self._engine = db.engine
        self._connections: list[tuple[int, PoolProxiedConnection]] = []
        # Hosted databases allow few connections, and a read takes a tenth of a millisecond:
        # more connections would gain nothing.
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        # Connections of the parent process are never closed here: that would end them for
        # both.
        self._inherited: list[PoolProxiedConnection] = []
        event.listen(self._engine, "engine_disposed", lambda _engine: self.close())

    def read(self) -> int | None:
        """Return the revision, or None where it cannot be read."""
        with self._places:
            return self._read()

    def _read(self) -> int | None:
        for _ in range(2):
            try:
                connection = self._take()
            except Exception:  # noqa: BLE001 - the application says what is wrong with the database
                return None
            try:
                cursor = connection.cursor()
                cursor.execute(SELECT_REVISION)
                row = cursor.fetchone()
                cursor.close()
            except Exception:  # noqa: BLE001 - a driver's own error: this connection is lost
                _close(connection)
                continue
            self._connections.append((os.getpid(), connection))
            return None if row is None else int(row[0])
        return None

    def close(self) -> None:
        """Close the connections that this process opened."""
        while (connection := self._pop()) is not None:
            _close(connection)

    def _take(self) -> PoolProxiedConnection:
        connection = self._pop()
        if connection is None:
            connection = self._engine.raw_connection()
            connection.detach()
            if self._engine.dialect.name == "postgresql":
                connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]
        return connection

    def _pop(self) -> PoolProxiedConnection | None:
        while True:
            try:
                owner, connection = self._connections.pop()
            except IndexError:
                return None
            if owner == os.getpid():
                return connection
            self._inherited.append(connection)


@lru_cache(maxsize=256)
def _takes_gzip(accepted: str) -> bool:
    return parse_accept_header(accepted)["gzip"] > 0


@lru_cache(maxsize=256)
def _is_trusted(host: str, trusted: tuple[str, ...]) -> bool:
    return host_is_trusted(host, trusted)


def _close(connection: PoolProxiedConnection) -> None:
    # Not through the pool, which would log that it cannot roll back.
    with contextlib.suppress(Exception):
        connection.dbapi_connection.close()  # type: ignore[union-attr]


def _compress(body: bytes) -> bytes | None:
    # Level 6 takes half as long again, for 3 % fewer bytes of 10,000 projects.
    return gzip.compress(body, 5, mtime=0) if len(body) >= SMALLEST_COMPRESSED else None
