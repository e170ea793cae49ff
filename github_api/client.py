"""Requests to GitHub's API within limits: of time, of attempts, of waiting for a rate limit.

PyGithub prepares requests and reads the quota; sending, retrying and waiting are done here. Its own
retry sleeps for up to an hour inside a call, recognizes rate limits by the words of a 403 alone,
loses the headers that say until when, and logs paths, private names among them, at level INFO.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from io import BufferedReader, RawIOBase
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import requests
from github import Auth, Github, GithubException
from github.Requester import Requester, RequestsResponse
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from errors import GitHubError, GitHubUnavailable, RateLimited, TokenRefused
from github_api.addresses import find_origin
from github_api.types import UNREADABLE, Quota, RetryPolicy

PAGE_SIZE = 100
UNREACHABLE = "GitHub could not be reached"
TOO_SLOW = "GitHub took too long to answer"
REDIRECTED = "GitHub's API sent the request to another address; check GITHUB_API_URL"
TOKEN_REFUSED = "GitHub does not accept GITHUB_ACCESS_TOKEN: it may be expired or revoked"
TOKEN_MALFORMED = "GITHUB_ACCESS_TOKEN holds characters that no token of GitHub's has"

_MAX_REDIRECTS = 5
_MAX_CONNECTIONS = 64
# GitHub's advice for a secondary limit that comes without a time.
_UNSTATED_WAIT = timedelta(minutes=1)
# Later timestamps come from a wrong clock or header, and would overflow a datetime.
_FARTHEST = timedelta(days=30)

# The time of the monotonic clock at which this thread's session must have read its last byte.
_deadline: ContextVar[float] = ContextVar("deadline")

# It logs malformed headers with the whole URL, which may name a private repository.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class Refused(GitHubError):
    """A refusal (4xx) that concerns neither the token nor the quota."""

    def __init__(self, status: int) -> None:
        super().__init__(f"GitHub refused the request (status {status})")
        self.status = status


class Client:
    """A client for any number of threads; its connections are kept open between sessions."""

    def __init__(self, base_url: str, token: str | None, policy: RetryPolicy) -> None:
        self._base_url = base_url
        self._token = token
        self._policy = policy
        self._http = requests.Session()
        # A `.netrc` must not replace the token.
        self._http.auth = Requester.noopAuth
        # Plain http is for loopback, where a proxy of the environment has no business.
        self._http.trust_env = urlsplit(base_url).scheme == "https"
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, _DeadlineAdapter(pool_maxsize=_MAX_CONNECTIONS))
        self._requester = Github(
            auth=Auth.Token(token) if token else None,
            base_url=base_url,
            per_page=PAGE_SIZE,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        ).requester

    @property
    def quota(self) -> Quota | None:
        """Return the quota as of the last answer, None before the first one."""
        remaining, limit = self._requester.rate_limiting
        resets_at = self._requester.rate_limiting_resettime
        if limit < 0 or not resets_at:
            return None
        return Quota(limit, remaining, _to_datetime(resets_at, datetime.now(UTC)))

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session whose deadline starts now.

        Raises TokenRefused for a token that no HTTP header can hold.
        """
        if self._token and not (
            self._token.isascii() and self._token.isprintable() and " " not in self._token
        ):
            # The HTTP library would repeat the token in its error message.
            raise TokenRefused(TOKEN_MALFORMED)
        connection = _Connection(self._http, self._base_url, self._policy)
        token = _deadline.set(connection.ends)
        try:
            yield Session(self._requester, connection, self._policy)
        finally:
            _deadline.reset(token)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class Session:
    """Requests that share one deadline, made one after another in one thread."""

    def __init__(self, requester: Requester, connection: _Connection, policy: RetryPolicy) -> None:
        self._requester = requester
        self._connection = connection
        self._policy = policy
        self._wait_left = policy.max_wait

    def get(
        self, path: str, parameters: Mapping[str, str | int] | None = None
    ) -> tuple[dict[str, str], Any]:
        """Return the headers (names in lower case) and the JSON of an answer.

        Raises TokenRefused, RateLimited, GitHubUnavailable, and Refused for any other 4xx.
        """
        for failures in range(self._policy.attempts):
            error: GitHubError
            try:
                return self._ask(path, dict(parameters or {}))
            except RateLimited as limited:
                error = limited
                # A reset is given in whole seconds, and may happen late in its second.
                left = (limited.until - datetime.now(UTC)).total_seconds()
                pause = max(0.0, left) + self._policy.backoff
                if pause > self._wait_left:
                    break
                self._wait_left -= pause
            except GitHubUnavailable as unavailable:
                error = unavailable
                pause = self._policy.backoff * 2**failures
            if failures + 1 == self._policy.attempts or pause >= self._connection.left():
                break
            time.sleep(pause)
        # The causes contain URLs with names, which must not be logged.
        raise error from None

    def _ask(self, path: str, parameters: dict[str, Any]) -> tuple[dict[str, str], Any]:
        status, headers, body = self._send(path, parameters)
        if status == 401:
            raise TokenRefused(TOKEN_REFUSED)
        if status >= 500:
            raise GitHubUnavailable(f"GitHub answered with an error (status {status})")
        if status >= 400:
            until = limited_until(status, headers, body, datetime.now(UTC))
            raise RateLimited(until) if until else Refused(status)
        try:
            return headers, json.loads(body)
        except (ValueError, RecursionError):
            raise GitHubUnavailable(UNREADABLE) from None

    def _send(self, path: str, parameters: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        try:
            connection = cast(Any, self._connection)
            return self._requester.requestJson("GET", path, parameters, cnx=connection)
        # By class: a job's timeout and a request to stop are exceptions too, and must pass.
        except (GithubException, HTTPError, HTTPException, OSError) as fault:
            late = isinstance(fault, requests.Timeout) or not self._connection.left()
            raise GitHubUnavailable(TOO_SLOW if late else UNREACHABLE) from None
        except (ValueError, RuntimeError):
            raise GitHubUnavailable(UNREADABLE) from None


class _Connection:
    """A connection for PyGithub's requester: GETs to the API's own address, until a deadline.

    Redirects are followed within that address alone, so that the token goes nowhere else.
    """

    def __init__(self, http: requests.Session, base_url: str, policy: RetryPolicy) -> None:
        self.ends = time.monotonic() + policy.deadline
        self._http = http
        self._origin = find_origin(base_url)
        self._root = urljoin(base_url, "/").removesuffix("/")
        self._read_timeout = policy.read_timeout

    def left(self) -> float:
        """Return the seconds that are left."""
        return max(0.0, self.ends - time.monotonic())

    def request(
        self, verb: str, url: str, input: object, headers: dict[str, str], stream: bool
    ) -> None:
        """Accept the next request; the requester reads its answer next."""
        # Joined as text: a path that begins with two slashes would name another host.
        self._request = (self._root + url, headers)

    def getresponse(self) -> RequestsResponse:
        """Send the request, follow redirects, and read the answer."""
        url, headers = self._request
        for _ in range(_MAX_REDIRECTS + 1):
            if not (left := self.left()):
                raise GitHubUnavailable(TOO_SLOW)
            timeout = min(self._read_timeout, left)
            response = self._http.get(url, headers=headers, timeout=timeout, allow_redirects=False)
            if not response.is_redirect:
                # JSON is UTF-8; guessing the encoding of a page takes longer than fetching it.
                response.encoding = "utf-8"
                return RequestsResponse(response)
            url = urljoin(url, response.headers["location"])
            if find_origin(url) != self._origin:
                break
        raise GitHubUnavailable(REDIRECTED)


class _DeadlineReader(RawIOBase):
    """A socket's bytes until the session's deadline.

    A socket's timeout limits a single read, and an answer sent in small pieces never reaches it; so
    the clock is checked before each read, of the headers too.
    """

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


class _DeadlineAdapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        secure = pool.scheme == "https"
        pool.ConnectionCls = _DeadlineHTTPSConnection if secure else _DeadlineHTTPConnection
        return pool


def limited_until(
    status: int, headers: Mapping[str, str], body: str, now: datetime
) -> datetime | None:
    """Return the time until which an answer says that the quota is used up, or None.

    Header names are in lower case; `now` and the returned time are aware.
    """
    if status not in (403, 429):
        return None
    after = _retry_after(headers.get("retry-after", ""), now)
    if after is not None:
        return after
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return _to_datetime(int(reset[:20]), now)
    if status == 429 or Requester.isRateLimitError(_message(body)):
        return now + _UNSTATED_WAIT
    return None


def _retry_after(value: str, now: datetime) -> datetime | None:
    if value.strip().isdecimal():
        return _to_datetime(now.timestamp() + int(value.strip()[:20]), now)
    try:
        return _to_datetime(parsedate_to_datetime(value).timestamp(), now)
    except (ValueError, OverflowError):
        return None


def _to_datetime(epoch: float, now: datetime) -> datetime:
    farthest = (now + _FARTHEST).timestamp()
    return datetime.fromtimestamp(min(max(epoch, 0), farthest), UTC)


def _message(body: str) -> str:
    try:
        message = json.loads(body)["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return message if isinstance(message, str) else ""
