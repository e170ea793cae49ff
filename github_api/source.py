"""Repositories and their languages, fetched from GitHub's API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from requests.utils import parse_header_links

from errors import (
    GitHubError,
    GitHubUnavailable,
    RateLimited,
    RepositoryBlocked,
    RepositoryGone,
    TokenMissing,
    TokenRefused,
)
from github_api.client import PAGE_SIZE, Client, Refused, Session
from github_api.types import (
    MAX_NAME,
    UNREADABLE,
    Access,
    Listing,
    Quota,
    Repository,
    RetryPolicy,
    Selection,
    User,
    read_languages,
    shorten,
)

# The oldest first: a repository created meanwhile comes last, and moves no other to another page.
_IN_ORDER: Mapping[str, str | int] = {
    "sort": "created",
    "direction": "asc",
    "per_page": PAGE_SIZE,
}
_LISTINGS = 3
_CHANGING = "GitHub lists two repositories under one name: they may be being renamed; try again"
_MAY_NOT_LIST = (
    "GITHUB_ACCESS_TOKEN may not list repositories: it needs the `repo` scope, and where an "
    "organization asks for it, single sign-on"
)
_NO_OWNER = "GITHUB_OWNERS: GitHub knows no user or organization {}"
_NO_API = "GitHub's API is not found; check GITHUB_API_URL"
_GONE = "GitHub no longer has it, or does not show it to this token"
_BLOCKED = "GitHub gives no access to it"
_EMPTY = 409  # GitHub's status for "Git Repository is empty."


class GitHub:
    """A client of GitHub's API for any number of threads; close it at the end.

    Every method raises TokenRefused, RateLimited or GitHubUnavailable, with messages safe to show,
    and TokenMissing where there is neither a token nor owners. After a RateLimited no single
    repository is requested until that time.
    """

    def __init__(
        self, api_url: str, token: str | None, policy: RetryPolicy, selection: Selection
    ) -> None:
        self._client = Client(api_url, token, policy)
        self.has_token = token is not None
        self._selection = selection
        self._limited_until: datetime | None = None
        self._own: tuple[str, User | None] | None = None

    @property
    def quota(self) -> Quota | None:
        """Return the quota as of the last answer, None before the first one."""
        return self._client.quota

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch_repositories(self) -> Listing:
        """Return all repositories that the settings choose; raise rather than return a part."""
        if not self.has_token and not self._selection.owners:
            raise TokenMissing
        try:
            for _ in range(_LISTINGS):
                with self._client.session() as session:
                    listing = self._list(session)
                # After a rename between two pages one name is listed twice.
                names = Counter(repository.name for repository in listing.repositories)
                if len(names) == len(listing.repositories):
                    return listing
        except Refused as refused:
            raise _listing_refused(refused) from None
        raise GitHubUnavailable(_CHANGING)

    def _list(self, session: Session) -> Listing:
        """List each owner's repositories, and choose."""
        if not self._selection.owners:
            pages = [(_read_pages(session, "/user/repos", {"affiliation": "owner"}), True)]
            user = _find_owner(pages[0][0][0])
        else:
            own, user = _fetch_user(session) if self.has_token else (None, None)
            pages = [self._list_owner(session, owner, own) for owner in self._selection.owners]
        found = {
            repository.github_id: repository if is_own else _under_its_owner(repository)
            for (repositories, _), is_own in pages
            for repository in repositories
        }
        return Listing(
            [each for each in found.values() if self._selection.chooses(each)],
            listed=len(found),
            sees_private=self.has_token and all(sees for (_, sees), _ in pages),
            user=user,
        )

    def _list_owner(
        self, session: Session, owner: str, own: str | None
    ) -> tuple[tuple[list[Repository], bool], bool]:
        if own is not None and owner.lower() == own.lower():
            return _read_pages(session, "/user/repos", {"affiliation": "owner"}), True
        name = quote(owner)
        try:
            if self.has_token:
                # An organization's own listing has the private ones that the token may see.
                _, facts = session.get(f"/users/{name}")
                if isinstance(facts, dict) and facts.get("type") == "Organization":
                    return _read_pages(session, f"/orgs/{name}/repos", {"type": "all"}), False
            return _read_pages(session, f"/users/{name}/repos", {"type": "owner"}), False
        except Refused as refused:
            if refused.status != 404:
                raise
            raise GitHubError(_NO_OWNER.format(owner)) from None

    def fetch_access(self) -> Access:
        """Request the token's user, or without a token the quota."""
        try:
            with self._client.session() as session:
                headers, _ = session.get("/user" if self.has_token else "/rate_limit")
        except Refused as refused:
            raise _listing_refused(refused) from None
        scopes = headers.get("x-oauth-scopes", None if self.has_token else "")
        names = None if scopes is None else tuple(filter(None, map(str.strip, scopes.split(","))))
        return Access(names, _date(headers), self.quota)

    def fetch_languages(self, repository: str | int) -> dict[str, int]:
        """Return the bytes of each language of a repository, named by its full name or its id.

        The id survives renames. Raises RepositoryGone and RepositoryBlocked too.
        """
        return read_languages(self._fetch(f"{_path(repository)}/languages"))

    def fetch_repository(self, github_id: int) -> Repository:
        """Return one repository by its id, whatever its name is now.

        Raises RepositoryGone and RepositoryBlocked too.
        """
        return Repository.from_github(self._fetch(_path(github_id)))

    def has_commits(self, github_id: int) -> bool:
        """Return whether GitHub has a commit on a repository's default branch.

        Raises RepositoryGone and RepositoryBlocked too.
        """
        try:
            return bool(self._ask(f"{_path(github_id)}/commits", {"per_page": 1})[1])
        except Refused as refused:
            if refused.status == _EMPTY:
                return False
            raise _repository_refused(refused) from None

    def fetch_chosen(self, github_id: int) -> Repository | None:
        """Return one repository as a listing would contain it, None where none would.

        Raises RepositoryGone and RepositoryBlocked too.
        """
        own = self._fetch_own()[0]
        headers, entry = self._fetch_answer(_path(github_id))
        repository = Repository.from_github(entry, _date(headers))
        owner = repository.owner.lower()
        is_own = owner == own
        owners = self._selection.owners
        is_listed = is_own if not owners else owner in (each.lower() for each in owners)
        # A listing does not contain what others share with the token's user.
        is_shown = is_own or not repository.private or _is_of_organization(entry)
        if not is_listed or not is_shown or not self._selection.chooses(repository):
            return None
        return repository if is_own else _under_its_owner(repository)

    def fetch_user(self) -> User | None:
        """Return the token's user, None without a token and where GitHub's answer has no id."""
        return self._fetch_own()[1]

    def _fetch_own(self) -> tuple[str | None, User | None]:
        """Return the login of the token's user in lower case and the user, requested once."""
        if self.has_token and self._own is None:
            login, user = _read_user(self._fetch("/user"))
            self._own = (login.lower(), user)
        return self._own or (None, None)

    def _fetch(self, path: str) -> Any:
        return self._fetch_answer(path)[1]

    def _fetch_answer(self, path: str) -> tuple[Mapping[str, str], Any]:
        try:
            return self._ask(path)
        except Refused as refused:
            raise _repository_refused(refused) from None

    def _ask(
        self, path: str, parameters: Mapping[str, str | int] | None = None
    ) -> tuple[Mapping[str, str], Any]:
        if self._limited_until is not None and self._limited_until > datetime.now(UTC):
            raise RateLimited(self._limited_until)
        try:
            with self._client.session() as session:
                return session.get(path, parameters)
        except RateLimited as limited:
            self._limited_until = limited.until
            raise


def _fetch_user(session: Session) -> tuple[str, User | None]:
    """Return the login of the token's user, and the user where GitHub's answer has the id."""
    return _read_user(session.get("/user")[1])


def _read_user(facts: Any) -> tuple[str, User | None]:
    facts = facts if isinstance(facts, dict) else {}
    login, user_id = facts.get("login"), facts.get("id")
    if not isinstance(login, str):
        raise GitHubUnavailable(UNREADABLE)
    return login, User(login, user_id) if type(user_id) is int else None


def _find_owner(own: Iterable[Repository]) -> User | None:
    """Return the one owner of repositories that all belong to the token's user."""
    found = ((each.owner, each.owner_id) for each in own)
    return next((User(login, user_id) for login, user_id in found if login and user_id), None)


def _is_of_organization(entry: Any) -> bool:
    owner = entry.get("owner")
    return isinstance(owner, dict) and owner.get("type") == "Organization"


def _under_its_owner(repository: Repository) -> Repository:
    return replace(repository, name=shorten(repository.full_name, MAX_NAME))


def _read_pages(
    session: Session, path: str, parameters: Mapping[str, str | int]
) -> tuple[list[Repository], bool]:
    """Return the repositories of all pages of a listing, and whether it has private ones."""
    found: list[Repository] = []
    headers, entries = session.get(path, {**_IN_ORDER, **parameters})
    sees_private = _sees_private(headers)
    found += _read_page(headers, entries)
    seen = set()
    while following := _next_page(headers):
        if following in seen:
            raise GitHubUnavailable(UNREADABLE)
        seen.add(following)
        headers, entries = session.get(following)
        found += _read_page(headers, entries)
    return found, sees_private


def _read_page(headers: Mapping[str, str], entries: object) -> list[Repository]:
    if not isinstance(entries, list):
        raise GitHubUnavailable(UNREADABLE)
    listed_at = _date(headers)
    return [Repository.from_github(entry, listed_at) for entry in entries]


def _next_page(headers: Mapping[str, str]) -> str | None:
    links = parse_header_links(headers.get("link", ""))
    return next((link["url"] for link in links if link.get("rel") == "next"), None)


def _date(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        return None


def _sees_private(headers: Mapping[str, str]) -> bool:
    # Answers to fine-grained tokens have no header with scopes.
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
