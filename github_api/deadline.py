"""HTTP connections that stop reading at a deadline.

A socket's timeout limits a single read, and an answer sent in small pieces never reaches it; so the
clock is checked before each read, of the headers too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from typing import Any, cast

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

_deadline: ContextVar[float] = ContextVar("deadline")


@contextmanager
def within(deadline: float) -> Iterator[None]:
    """Raise TimeoutError for reads of this thread in the block after a monotonic time."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class _DeadlineReader(RawIOBase):
    """A socket's bytes until the deadline."""

    def __init__(self, raw: RawIOBase) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if time.monotonic() > _deadline.get():
            raise TimeoutError
        return cast(int | None, self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineResponse(HTTPResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp = BufferedReader(_DeadlineReader(self.fp.detach()))


class _DeadlineHTTPConnection(HTTPConnection):
    response_class = _DeadlineResponse


class _DeadlineHTTPSConnection(HTTPSConnection):
    response_class = _DeadlineResponse


class DeadlineAdapter(HTTPAdapter):
    """An adapter of requests whose connections stop reading at the deadline of their thread."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the connection pool of an address."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        secure = pool.scheme == "https"
        pool.ConnectionCls = _DeadlineHTTPSConnection if secure else _DeadlineHTTPConnection
        return pool
