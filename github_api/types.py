"""The answers of GitHub's API as plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from errors import GitHubUnavailable

UNREADABLE = "GitHub's answer could not be read"
OTHER = "Other"
"""The languages beyond the first MAX_LANGUAGES, added up."""

MAX_LANGUAGES = 100
MAX_LANGUAGE_NAME = 100
MAX_NAME = 255
_MAX_ID = 2**63 - 1
_MAX_SIZE = 2**53


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The limits of retrying: the attempts of one request, all others in seconds.

    deadline is for a whole session and checked between reads, read_timeout for a single read,
    max_wait for all waiting for rate limits in a session, backoff the first pause after a failure,
    which doubles each time.
    """

    deadline: float = 300
    read_timeout: float = 15
    max_wait: float = 60
    attempts: int = 5
    backoff: float = 1


@dataclass(frozen=True, slots=True)
class Quota:
    """GitHub's hourly quota as of the last answer; resets_at is in UTC."""

    limit: int
    remaining: int
    resets_at: datetime


@dataclass(frozen=True)
class Access:
    """The headers of one answer: the token's scopes, GitHub's time, the quota.

    scopes is None for a fine-grained token; without a token it is empty.
    """

    scopes: tuple[str, ...] | None
    date: datetime | None
    quota: Quota | None


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository as listed: times in UTC, listed_at by GitHub's clock, size_kb its size.

    Its name is without the owner for the token's user, and `owner/name` for all other owners.
    """

    github_id: int
    name: str
    full_name: str
    clone_url: str
    html_url: str
    private: bool
    archived: bool
    default_branch: str | None
    pushed_at: datetime | None
    size_kb: int
    owner: str = ""
    fork: bool = False
    language: str | None = field(default=None, compare=False)
    owner_id: int | None = field(default=None, compare=False)
    listed_at: datetime | None = field(default=None, compare=False)

    @classmethod
    def from_github(cls, entry: object, listed_at: datetime | None = None) -> Repository:
        """Parse a repository from GitHub's JSON.

        Raises GitHubUnavailable without an id, a name and a clone URL; any other field that is
        missing or malformed counts as unknown, and the repository as private.
        """
        if not isinstance(entry, dict):
            raise GitHubUnavailable(UNREADABLE)
        github_id = entry.get("id")
        if type(github_id) is not int or not 0 < github_id <= _MAX_ID:
            raise GitHubUnavailable(UNREADABLE)
        name, clone_url = _text(entry.get("name")), _text(entry.get("clone_url"))
        if not name or not clone_url:
            raise GitHubUnavailable(UNREADABLE)
        return cls(
            github_id=github_id,
            name=shorten(name, MAX_NAME),
            full_name=_text(entry.get("full_name")) or name,
            clone_url=clone_url,
            html_url=_text(entry.get("html_url")) or "",
            private=entry.get("private") is not False,
            archived=entry.get("archived") is True,
            default_branch=_text(entry.get("default_branch")) or None,
            pushed_at=_timestamp(entry.get("pushed_at")),
            size_kb=_size(entry.get("size")),
            owner=_owner(entry),
            fork=entry.get("fork") is True,
            language=shorten(_text(entry.get("language")) or "", MAX_LANGUAGE_NAME) or None,
            owner_id=_owner_id(entry),
            listed_at=listed_at,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self) | {
            name: value.isoformat() if (value := getattr(self, name)) else None
            for name in ("pushed_at", "listed_at")
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Repository:
        """Parse what to_json of this release or the one before returned."""
        return cls(
            **dict(fields)
            | {
                name: datetime.fromisoformat(value) if (value := fields.get(name)) else None
                for name in ("pushed_at", "listed_at")
            }
        )


@dataclass(frozen=True)
class Selection:
    """The chosen repositories: patterns in lower case; owners None is the token's user."""

    owners: tuple[str, ...] | None = None
    forks: bool = False
    archived: bool = True
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None

    def chooses(self, repository: Repository) -> bool:
        """Return whether a repository is chosen, whoever its owner is."""
        name = repository.full_name.lower()
        return (
            (self.forks or not repository.fork)
            and (self.archived or not repository.archived)
            and (self.include is None or any(fnmatchcase(name, each) for each in self.include))
            and not any(fnmatchcase(name, each) for each in self.exclude or ())
        )


@dataclass(frozen=True)
class User:
    """The token's user."""

    login: str
    user_id: int


@dataclass(frozen=True)
class Listing:
    """The chosen repositories, and how many were listed to choose from.

    sees_private is False for a token without that scope, and without a token. user is the token's.
    """

    repositories: list[Repository]
    listed: int
    sees_private: bool
    user: User | None = None


def read_languages(answer: object) -> dict[str, int]:
    """Parse the bytes of each language, as many as limit_languages keeps.

    Raises GitHubUnavailable for a malformed answer.
    """
    if not isinstance(answer, dict) or not all(
        type(size) is int and size >= 0 for size in answer.values()
    ):
        raise GitHubUnavailable(UNREADABLE)
    sizes: dict[str, int] = {}
    for language, size in answer.items():
        name = shorten(_text(language) or "", MAX_LANGUAGE_NAME)
        sizes[name] = sizes.get(name, 0) + size
    return limit_languages(sizes)


def limit_languages(languages: Mapping[str, int]) -> dict[str, int]:
    """Return the largest MAX_LANGUAGES, with the sum of the rest under OTHER."""
    sizes = dict(languages)
    if len(sizes) <= MAX_LANGUAGES:
        return sizes
    other = sizes.pop(OTHER, 0)
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name))
    kept = {name: sizes[name] for name in ordered[:MAX_LANGUAGES]}
    return kept | {OTHER: other + sum(sizes[name] for name in ordered[MAX_LANGUAGES:])}


def shorten(text: str, length: int) -> str:
    """Shorten a text to the length of a column; different texts stay different."""
    if len(text) <= length:
        return text
    mark = "~" + hashlib.sha256(text.encode()).hexdigest()[:8]
    return text[: length - len(mark)] + mark


def _text(value: object) -> str | None:
    """Return a text that can be stored, None for anything else.

    A database stores neither NUL nor lone surrogates.
    """
    if not isinstance(value, str):
        return None
    return value.replace("\0", "").encode("utf-8", "replace").decode()


def _owner(entry: Mapping[str, Any]) -> str:
    owner = entry.get("owner")
    login = _text(owner.get("login")) if isinstance(owner, dict) else None
    return login or (_text(entry.get("full_name")) or "").rpartition("/")[0]


def _owner_id(entry: Mapping[str, Any]) -> int | None:
    owner = entry.get("owner")
    found = owner.get("id") if isinstance(owner, dict) else None
    return found if type(found) is int else None


def _timestamp(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        timestamp = datetime.fromisoformat(value)
        return timestamp.astimezone(UTC) if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _size(value: object) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < _MAX_SIZE else 0
