"""GitHub's own addresses, which may be sent the token."""

from __future__ import annotations

from glob import escape
from urllib.parse import urlsplit

from github_api.types import User

_DEFAULT_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


def find_origin(url: str) -> Origin | None:
    """Return the scheme, host and port of an http(s) URL, None for anything else.

    None also for a URL with a user name or password, which would appear in an argv.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


def noreply_patterns(user: User, api_url: str) -> tuple[str, str]:
    """Return patterns, in lower case, of the noreply addresses that GitHub gives a user."""
    origin = find_origin(api_url)
    host = origin[1].removeprefix("api.") if origin else ""
    return (
        f"{escape(user.login.lower())}@users.noreply.{host}",
        # The login may be an earlier one of the user's.
        f"{user.user_id}+*@users.noreply.{host}",
    )


def may_have_token(clone_url: str, api_url: str) -> bool:
    """Return whether a clone URL has the API's own scheme, host and port.

    The host of https://api.github.com's repositories is github.com.
    """
    clone, api = find_origin(clone_url), find_origin(api_url)
    if clone is None or api is None:
        return False
    scheme, host, port = api
    return clone in (api, (scheme, host.removeprefix("api."), port))
