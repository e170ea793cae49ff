"""Which repositories there are, and their facts, as GitHub tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from requests.utils import parse_header_links

from errors import (
    GitHubError,
    GitHubUnavailable,
    RepositoryBlocked,
    RepositoryGone,
    TokenMissing,
    TokenRefused,
)
from github_client import PAGE_SIZE, UNREADABLE, Bounds, Client, Conversation, Quota, Refused

if TYPE_CHECKING:
    from config import Settings

__all__ = ["GitHub", "Listing", "Quota", "Repository"]

# The oldest first: a repository made while the pages are read then comes last, and moves no other.
_LISTING: Mapping[str, str | int] = {
    "affiliation": "owner",
    "sort": "created",
    "direction": "asc",
    "per_page": PAGE_SIZE,
}
_MAY_NOT_LIST = (
    "GITHUB_ACCESS_TOKEN may not list repositories: it needs the `repo` scope, and where an "
    "organization asks for it, single sign-on"
)
_NO_API = "GitHub's API is not found; check GITHUB_API_URL"
_GONE = "GitHub no longer has it, or does not show it to this token"
_BLOCKED = "GitHub gives no access to it"
_MAX_ID = 2**63 - 1
_MAX_SIZE = 2**53


@dataclass(frozen=True, slots=True)
class Repository:
    """Hold what a listing tells of one repository; pushed_at is in UTC, size_kb GitHub's size."""

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

    @classmethod
    def from_github(cls, entry: object) -> Repository:
        """Read a repository as GitHub describes it.

        Raises GitHubUnavailable without an id, a name and somewhere to clone from; whatever else
        is missing or odd is taken as unknown, and as private.
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
            name=name,
            full_name=_text(entry.get("full_name")) or name,
            clone_url=clone_url,
            html_url=_text(entry.get("html_url")) or "",
            private=entry.get("private") is not False,
            archived=entry.get("archived") is True,
            default_branch=_text(entry.get("default_branch")) or None,
            pushed_at=_instant(entry.get("pushed_at")),
            size_kb=_size(entry.get("size")),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the facts in types that JSON has."""
        pushed_at = self.pushed_at.isoformat() if self.pushed_at else None
        return asdict(self) | {"pushed_at": pushed_at}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Repository:
        """Read what to_json returned."""
        pushed_at = facts["pushed_at"]
        instant = datetime.fromisoformat(pushed_at) if pushed_at else None
        return cls(**(dict(facts) | {"pushed_at": instant}))


@dataclass(frozen=True)
class Listing:
    """Hold the user's repositories; sees_private is False for a token without that scope."""

    repositories: list[Repository]
    sees_private: bool


class GitHub:
    """Ask GitHub for repositories, from any number of threads.

    All times are in seconds: deadline bounds one method call as a whole, read_timeout one silence
    of the server, max_wait the waiting for rate limits in one call. Every method raises
    TokenRefused, RateLimited or GitHubUnavailable, in words fit for the public.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        deadline: float = 300,
        read_timeout: float = 15,
        max_wait: float = 60,
        tries: int = 5,
        backoff: float = 1,
    ) -> None:
        """Open no connection yet. Raises TokenMissing without a token."""
        if not settings.github_access_token:
            raise TokenMissing
        bounds = Bounds(deadline, read_timeout, max_wait, tries, backoff)
        self._client = Client(settings.github_api_url, settings.github_access_token, bounds)

    @property
    def quota(self) -> Quota | None:
        """Return the quota as last seen, None before the first answer."""
        return self._client.quota

    def close(self) -> None:
        """Close the connections that are kept for the next call."""
        self._client.close()

    def fetch_repositories(self) -> Listing:
        """List the user's own repositories that are not forks: all of them, or raise."""
        try:
            with self._client.conversation() as talk:
                return _read_pages(talk)
        except Refused as refused:
            raise _listing_refused(refused) from None

    def fetch_languages(self, repository: str | int) -> dict[str, int]:
        """Return the bytes of each language of a repository, named by its full name or its id.

        The id outlives renames. Raises RepositoryGone and RepositoryBlocked too.
        """
        languages = self._fetch(f"{_path(repository)}/languages")
        if not isinstance(languages, dict) or not all(
            type(size) is int and size >= 0 for size in languages.values()
        ):
            raise GitHubUnavailable(UNREADABLE)
        return {_text(language) or "": size for language, size in languages.items()}

    def fetch_repository(self, github_id: int) -> Repository:
        """Return one repository by its id, whatever it is called now.

        Raises RepositoryGone and RepositoryBlocked too.
        """
        return Repository.from_github(self._fetch(_path(github_id)))

    def _fetch(self, path: str) -> Any:
        try:
            with self._client.conversation() as talk:
                return talk.get(path)[1]
        except Refused as refused:
            raise _repository_refused(refused) from None


def _read_pages(talk: Conversation) -> Listing:
    found: dict[int, Repository] = {}
    headers, entries = talk.get("/user/repos", _LISTING)
    sees_private = _sees_private(headers)
    _read_page(entries, found)
    seen = set()
    while following := _next_page(headers):
        if following in seen:
            raise GitHubUnavailable(UNREADABLE)
        seen.add(following)
        headers, entries = talk.get(following)
        _read_page(entries, found)
    return Listing(list(found.values()), sees_private)


def _read_page(entries: object, found: dict[int, Repository]) -> None:
    if not isinstance(entries, list):
        raise GitHubUnavailable(UNREADABLE)
    for entry in entries:
        repository = Repository.from_github(entry)
        if entry.get("fork") is not True:
            found[repository.github_id] = repository


def _next_page(headers: Mapping[str, str]) -> str | None:
    links = parse_header_links(headers.get("link", ""))
    return next((link["url"] for link in links if link.get("rel") == "next"), None)


def _sees_private(headers: Mapping[str, str]) -> bool:
    # Tokens of the fine-grained kind have no scopes, and answers to them no such header.
    scopes = headers.get("x-oauth-scopes")
    return scopes is None or "repo" in (scope.strip() for scope in scopes.split(","))


def _listing_refused(refused: Refused) -> GitHubError:
    if refused.status == 403:
        return TokenRefused(_MAY_NOT_LIST)
    return GitHubUnavailable(_NO_API if refused.status == 404 else str(refused))


def _repository_refused(refused: Refused) -> GitHubError:
    if refused.status in (404, 410):
        return RepositoryGone(_GONE)
    if refused.status in (403, 451):
        return RepositoryBlocked(_BLOCKED)
    return GitHubUnavailable(str(refused))


def _path(repository: str | int) -> str:
    if isinstance(repository, int):
        return f"/repositories/{repository}"
    return f"/repos/{quote(repository, safe='/')}"


def _text(value: object) -> str | None:
    """Return a text that can be stored, None for anything else; half a surrogate pair cannot."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _size(value: object) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < _MAX_SIZE else 0
