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
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import requests
from github import Auth, Github, GithubException
from github.Requester import Requester, RequestsResponse
from urllib3.exceptions import HTTPError

from errors import GitHubError, GitHubUnavailable, RateLimited, TokenRefused
from github_api.addresses import find_origin
from github_api.deadline import DeadlineAdapter, within
from github_api.rate_limit import limited_until, to_datetime
from github_api.types import UNREADABLE, Quota, RetryPolicy

PAGE_SIZE = 100
UNREACHABLE = "GitHub could not be reached"
TOO_SLOW = "GitHub took too long to answer"
REDIRECTED = "GitHub's API sent the request to another address; check GITHUB_API_URL"
TOKEN_REFUSED = "GitHub does not accept GITHUB_ACCESS_TOKEN: it may be expired or revoked"
TOKEN_MALFORMED = "GITHUB_ACCESS_TOKEN holds characters that no token of GitHub's has"

_MAX_REDIRECTS = 5
_MAX_CONNECTIONS = 64

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
        # Plain http is for loopback, where no proxy of the environment may be used.
        self._http.trust_env = urlsplit(base_url).scheme == "https"
        for scheme in ("https://", "http://"):
            self._http.mount(scheme, DeadlineAdapter(pool_maxsize=_MAX_CONNECTIONS))
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
        return Quota(limit, remaining, to_datetime(resets_at, datetime.now(UTC)))

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
        with within(connection.ends):
            yield Session(self._requester, connection, self._policy)

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

    Redirects are followed within that address only, so that the token is sent nowhere else.
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
