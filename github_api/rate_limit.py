"""The rate limits of GitHub's answers: until when the quota is used up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from github.Requester import Requester

# GitHub's advice for a secondary limit that comes without a time.
_UNSTATED_WAIT = timedelta(minutes=1)
# Later timestamps come from a wrong clock or header, and would overflow a datetime.
_FARTHEST = timedelta(days=30)


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
        return to_datetime(int(reset[:20]), now)
    if status == 429 or Requester.isRateLimitError(_message(body)):
        return now + _UNSTATED_WAIT
    return None


def _retry_after(value: str, now: datetime) -> datetime | None:
    if value.strip().isdecimal():
        return to_datetime(now.timestamp() + int(value.strip()[:20]), now)
    try:
        return to_datetime(parsedate_to_datetime(value).timestamp(), now)
    except (ValueError, OverflowError):
        return None


def to_datetime(epoch: float, now: datetime) -> datetime:
    """Return the time of a timestamp, at most _FARTHEST from now."""
    farthest = (now + _FARTHEST).timestamp()
    return datetime.fromtimestamp(min(max(epoch, 0), farthest), UTC)


def _message(body: str) -> str:
    try:
        message = json.loads(body)["message"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return message if isinstance(message, str) else ""
