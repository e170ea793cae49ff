"""Connections to Redis, for requests and for workers, and whether it answers."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from config import Settings


def fail_fast_options(url: str) -> dict[str, Any]:
    """Return the options of a connection for a request: a timeout of a second, no retries."""
    return {
        **_options(url, timeout=1.0, retry=Retry(NoBackoff(), 0)),
        "health_check_interval": 30,
    }


def connect_worker(url: str) -> Redis:
    """Open a connection for a worker, which retries during an outage of half a minute."""
    retry = Retry(ExponentialBackoff(cap=5, base=0.1), 12)
    return Redis.from_url(url, **_options(url, timeout=None, retry=retry))


def is_reachable(settings: Settings) -> bool:
    """Return whether Redis is configured and answers."""
    if settings.redis_url is None:
        return False
    try:
        with Redis.from_url(
            settings.redis_url, **fail_fast_options(settings.redis_url)
        ) as connection:
            return bool(connection.ping())
    except RedisError:
        return False


def _options(url: str, timeout: float | None, retry: Retry) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_connect_timeout": timeout or 5.0,
        "socket_timeout": timeout,
        "retry": retry,
        # Without these a connection begins with four commands more, and each job opens two.
        "protocol": 2,
        "driver_info": None,
    }
    if urlsplit(url).scheme == "rediss":
        # Heroku's Redis has a self-signed certificate.
        options["ssl_cert_reqs"] = ssl.CERT_NONE
        options["ssl_check_hostname"] = False
    return options
