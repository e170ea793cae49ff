"""The checks of the settings' texts.

Each takes text and returns the setting's value, or raises ValueError whose message is the text's
fault as the rest of a sentence ("is not a whole number"). Where the text may be secret, the message
holds nothing of it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

HOME = Path(__file__).resolve().parent.parent
DEFAULT_PORTS = {"http": 80, "https": 443}
POSTGRESQL_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg2")

Word = TypeVar("Word", bound=StrEnum)


def shorten(text: str) -> str:
    """Quote a value for a message, cut to 60 characters."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return the check for a whole number between two bounds, both included."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise ValueError("is not a whole number")
        number = int(text)
        if not least <= number <= most:
            raise ValueError(f"is too {'small' if number < least else 'large'}")
        return number

    return parse


def hours(text: str) -> float:
    """Read a number of hours, at most a year's."""
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", text):
        raise ValueError("is not a plain number of hours")
    if float(text) > 8760:
        raise ValueError("is more than a year")
    return float(text)


def token(text: str) -> str:
    """Accept one word that can be sent in an HTTP header."""
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("holds a space or a character outside ASCII")
    return text


def _split(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """Split a URL; raise ValueError, never with the URL's text, where a part is unusable."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("has a host or port that cannot be read") from None
    if parts.scheme not in schemes:
        raise ValueError("does not start with " + " or ".join(f"{name}://" for name in schemes))
    if parts.scheme != "unix" and not parts.hostname:
        raise ValueError("names no host")
    if port == 0:
        raise ValueError("names port 0")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def api_url(text: str) -> str:
    """Check the address of GitHub's API and drop the slash at its end."""
    parts = _split(text, ("https", "http"))
    if "@" in parts.netloc:
        raise ValueError("holds a user name or password")
    if "?" in text or "#" in text:
        raise ValueError("holds a query or a fragment")
    if re.search(r"[\s\\]", text):
        raise ValueError("holds a space or a backslash")
    # Every request carries the token.
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ValueError("is plain http to another host, which would show the token to the network")
    return text.rstrip("/")


def database_url(text: str) -> str:
    """Return the address of a PostgreSQL or SQLite database in SQLAlchemy's form."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in (*POSTGRESQL_SCHEMES, "sqlite"):
        raise ValueError("does not start with postgresql:// or sqlite:///")
    # SQLAlchemy 2.1 reads a bare postgresql:// as psycopg 3 and refuses postgres://.
    driver = "sqlite" if scheme == "sqlite" else "postgresql+psycopg2"
    try:
        url = make_url(f"{driver}://{rest}")
    except (ArgumentError, ValueError):
        raise ValueError("has a host or port that cannot be read") from None
    if driver == "sqlite":
        return _sqlite_url(url, f"sqlite://{rest}")
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError("has a port that is not between 1 and 65535")
    if not url.database:
        raise ValueError("names no database after the host")
    return f"{driver}://{rest}"


def _sqlite_url(url: URL, text: str) -> str:
    """Make the path absolute, beside app.py: Flask-SQLAlchemy would start from `instance/`."""
    if url.host:
        raise ValueError("names a host, where a file needs three slashes")
    if url.database in (None, "", ":memory:") or str(url.database).startswith("file:"):
        return text
    path = HOME / str(url.database)
    folder = ascii(str(path.parent))
    if path.is_dir():
        raise ValueError("names a folder")
    if not path.parent.is_dir():
        raise ValueError(f"names a file in the folder {folder}, which is not there")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"names a file in the folder {folder}, which cannot be written to")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise ValueError(f"names a file in the folder {folder} that cannot be written to")
    return url.set(database=str(path)).render_as_string(hide_password=False)


def redis_url(text: str) -> str:
    """Check the address of a Redis server."""
    parts = _split(text, ("redis", "rediss", "unix"))
    if parts.scheme == "unix" and not parts.path.strip("/"):
        raise ValueError("names no socket")
    if parts.scheme != "unix" and not re.fullmatch(r"/?|/[0-9]{1,6}", parts.path):
        raise ValueError("has a database after the host that is not a number")
    return text


def executable(text: str) -> str:
    """Return the absolute path of an executable file."""
    # Programs run in a clone's folder, so a relative path has to be resolved here.
    path = os.path.abspath(text)  # noqa: PTH100 - resolve() would follow links that wrappers rely on
    if not Path(path).is_file():
        raise ValueError("is not a file")
    if not os.access(path, os.X_OK):
        raise ValueError("is not executable")
    return path


def printable(text: str) -> str:
    """Accept any text; that it is printable is checked for every variable."""
    return text


def _names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


def origins(text: str) -> tuple[str, ...]:
    """Read a list of exact origins, each once, in the order given."""
    found = tuple(dict.fromkeys(_origin(entry) for entry in _names(text)))
    if not found:
        raise ValueError("names no origin")
    return found


def _origin(entry: str) -> str:
    """Return an origin as browsers send it: lower case, without the scheme's default port."""
    # Flask-CORS takes an entry with brackets, stars and the like as an unanchored pattern.
    match = re.fullmatch(
        r"(https?)://([a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?", entry.lower()
    )
    if not match:
        raise ValueError(f"has the entry {shorten(entry)}, which is not one exact origin")
    scheme, host = match[1], match[2]
    port = int((match[4] or f":{DEFAULT_PORTS[scheme]}")[1:])
    if not 0 < port < 65536:
        raise ValueError(f"has the entry {shorten(entry)} with an impossible port")
    return f"{scheme}://{host}" if port == DEFAULT_PORTS[scheme] else f"{scheme}://{host}:{port}"


def listen_address(text: str) -> str:
    """Check an address to listen on: an IP address or a host name, without a port."""
    address = text.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return _host_name(text)


def host_names(text: str) -> tuple[str, ...]:
    """Read a list of host names, each once, in lower case; a leading dot allows subdomains."""
    found = tuple(
        dict.fromkeys(
            "." * name.startswith(".") + _host_name(name.removeprefix(".")) for name in _names(text)
        )
    )
    if not found:
        raise ValueError("names no host")
    return found


def _host_name(text: str) -> str:
    name = text.lower()
    if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?", name) or ".." in name:
        raise ValueError(f"has the entry {shorten(text)}, which is not a host name")
    return name


def folder_names(text: str) -> tuple[str, ...]:
    """Read a list of plain folder names, each once, sorted."""
    names = _names(text)
    for name in names:
        # Only one of the three counters knows wildcards: the figures would depend on the counter.
        if name in (".", "..") or re.search(r"[/\\*?\[\]]", name):
            raise ValueError(f"has the entry {shorten(name)}, which is not the name of one folder")
    return tuple(sorted(set(names)))


def boolean(text: str) -> bool:
    """Read true or false, in any case of letters."""
    if text.lower() not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return text.lower() == "true"


def one_of(words: type[Word]) -> Callable[[str], Word]:
    """Return the check for one of several words, in any case of letters."""

    def parse(text: str) -> Word:
        try:
            return words(text.lower())
        except ValueError:
            raise ValueError("is not one of the words known here") from None

    return parse


def owners(text: str) -> tuple[str, ...]:
    """Read a list of users and organizations of GitHub, each once, in the order given."""
    names = tuple({name.lower(): name for name in reversed(_names(text))}.values())[::-1]
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", name):
            raise ValueError(f"has the entry {shorten(name)}, which is no name of an owner")
    return names


def address_patterns(text: str) -> tuple[str, ...]:
    """Read a list of patterns of e-mail addresses, in lower case, each once."""
    patterns = tuple(dict.fromkeys(name.lower() for name in _names(text)))
    for pattern in patterns:
        if not re.fullmatch(r"[^\s@<>]*[@*][^\s@<>]*", pattern):
            raise ValueError("has an entry that is neither an address nor a pattern of addresses")
    return patterns


def repository_patterns(text: str) -> tuple[str, ...]:
    """Read a list of patterns over `owner/name`, in lower case: GitHub's names have no case."""
    patterns = tuple(dict.fromkeys(name.lower() for name in _names(text)))
    for pattern in patterns:
        if not re.fullmatch(r"[\w.*?\[\]!-]+/[\w.*?\[\]!-]+", pattern):
            raise ValueError(f"has the entry {shorten(pattern)}, which is no pattern of owner/name")
    return patterns
