"""Asking GitHub's API within bounds: of time, of tries, of waiting for a quota to come back.

PyGithub prepares the requests and keeps the books (authentication, base URL, quota); sending,
trying again and waiting are done here. Its own retry looks for rate limits in the words of a
403 only, ends in an exception without the headers that say until when, cannot keep to an overall
deadline, and logs the paths, private names among them, at level INFO.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

import requests
from github import Auth, Github, GithubException
from github.Requester import Requester
from urllib3.exceptions import HTTPError

from errors import GitHubError, GitHubUnavailable, RateLimited, TokenRefused
from github_connection import TOO_SLOW, Connection

PAGE_SIZE = 100
UNREACHABLE = "GitHub could not be reached"
UNREADABLE = "GitHub's answer could not be read"
TOKEN_REFUSED = "GitHub does not accept GITHUB_ACCESS_TOKEN: it may be expired or revoked"
TOKEN_MALFORMED = "GITHUB_ACCESS_TOKEN holds characters that no token of GitHub's has"

# GitHub's advice for a secondary limit that comes without a time.
_UNSTATED_WAIT = timedelta(minutes=1)
# Later instants come from a broken clock or header, and would overflow a datetime.
_FARTHEST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Say how long to try: all in seconds, apart from tries (of one request, the first included).

    deadline is for a whole conversation, read_timeout for one silence of the server, max_wait for
    all waiting for rate limits in a conversation, backoff the first pause after a failure, which
    doubles each time.
    """

    deadline: float = 300
    read_timeout: float = 15
    max_wait: float = 60
    tries: int = 5
    backoff: float = 1


@dataclass(frozen=True, slots=True)
class Quota:
    """Hold what GitHub last said of the hourly quota; resets_at is in UTC."""

    limit: int
    remaining: int
    resets_at: datetime


class Refused(GitHubError):
    """Hold the status of a refusal (4xx) that is neither of the token nor of the quota."""

    def __init__(self, status: int) -> None:
        super().__init__(f"GitHub refused the request (status {status})")
        self.status = status


class Conversation:
    """Ask one thing after another within one deadline, in one thread."""

    def __init__(self, base_url: str, token: str, bounds: Bounds) -> None:
        self.connection = Connection(base_url, bounds.read_timeout)
        self.quota: Quota | None = None
        self._bounds = bounds
        self._patience = bounds.max_wait
        self._requester = Github(
            auth=Auth.Token(token),
            base_url=base_url,
            per_page=PAGE_SIZE,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        ).requester

    @contextmanager
    def within_deadline(self) -> Iterator[None]:
        """Start the clock for what is asked inside."""
        self._patience = self._bounds.max_wait
        with self.connection.within(self._bounds.deadline):
            yield

    def get(
        self, path: str, parameters: Mapping[str, str | int] | None = None
    ) -> tuple[dict[str, str], Any]:
        """Return the headers (names in lower case) and the JSON of an answer.

        Raises TokenRefused, RateLimited, GitHubUnavailable, and Refused for any other 4xx.
        """
        for failures in range(self._bounds.tries):
            error: GitHubError
            try:
                return self._ask(path, dict(parameters or {}))
            except RateLimited as limited:
                error = limited
                pause = self._until(limited.until)
                if pause > self._patience:
                    break
                self._patience -= pause
            except GitHubUnavailable as unavailable:
                error = unavailable
                pause = self._bounds.backoff * 2**failures
            if failures + 1 == self._bounds.tries or pause >= self.connection.left():
                break
            time.sleep(pause)
        # The causes hold URLs, and with them names: they are not to be printed.
        raise error from None

    def _until(self, instant: datetime) -> float:
        # The instant is a whole second, and it is not said where in it the limit ends.
        return max(0.0, (instant - datetime.now(UTC)).total_seconds()) + self._bounds.backoff

    def _ask(self, path: str, parameters: dict[str, Any]) -> tuple[dict[str, str], Any]:
        status, headers, body = self._send(path, parameters)
        self.quota = _quota(self._requester) or self.quota
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
            return self._requester.requestJson("GET", path, parameters, cnx=self.connection)
        # By name: a job's timeout and a request to stop are exceptions too, and must pass.
        except (GithubException, HTTPError, HTTPException, OSError) as fault:
            late = isinstance(fault, requests.Timeout) or not self.connection.left()
            raise GitHubUnavailable(TOO_SLOW if late else UNREACHABLE) from None
        except (ValueError, RuntimeError):
            raise GitHubUnavailable(UNREADABLE) from None


class Client:
    """Lend conversations to any number of threads, each to one at a time."""

    def __init__(self, base_url: str, token: str, bounds: Bounds) -> None:
        if not (token.isascii() and token.isprintable() and " " not in token):
            # The HTTP library would repeat it in its complaint.
            raise TokenRefused(TOKEN_MALFORMED)
        self.quota: Quota | None = None
        self._base_url = base_url
        self._token = token
        self._bounds = bounds
        self._idle: list[Conversation] = []

    @contextmanager
    def conversation(self) -> Iterator[Conversation]:
        """Lend a conversation whose deadline starts now."""
        try:
            talk = self._idle.pop()
        except IndexError:
            talk = Conversation(self._base_url, self._token, self._bounds)
        try:
            with talk.within_deadline():
                yield talk
        finally:
            self.quota = talk.quota or self.quota
            if talk.connection.is_cut:
                talk.connection.close()
            else:
                self._idle.append(talk)

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().connection.close()


def limited_until(
    status: int, headers: Mapping[str, str], body: str, now: datetime
) -> datetime | None:
    """Return until when an answer says the quota is used up, None when it says no such thing.

    Header names are in lower case; now is aware, and so is the answer.
    """
    if status not in (403, 429):
        return None
    after = _retry_after(headers.get("retry-after", ""), now)
    if after is not None:
        return after
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return _instant(int(reset[:20]), now)
    if status == 429 or Requester.isRateLimitError(_message(body)):
        return now + _UNSTATED_WAIT
    return None


def _retry_after(value: str, now: datetime) -> datetime | None:
    if value.strip().isdecimal():
        return _instant(now.timestamp() + int(value.strip()[:20]), now)
    try:
        return _instant(parsedate_to_datetime(value).timestamp(), now)
    except (ValueError, OverflowError):
        return None


def _instant(epoch: float, now: datetime) -> datetime:
    farthest = (now + _FARTHEST).timestamp()
    return datetime.fromtimestamp(min(max(epoch, 0), farthest), UTC)


def _message(body: str) -> str:
    try:
        message = json.loads(body)["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return message if isinstance(message, str) else ""


def _quota(requester: Requester) -> Quota | None:
    remaining, limit = requester.rate_limiting
    if limit < 0 or not requester.rate_limiting_resettime:
        return None
    resets_at = _instant(requester.rate_limiting_resettime, datetime.now(UTC))
    return Quota(limit, remaining, resets_at)
