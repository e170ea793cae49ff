"""GitHub's API: the listing of repositories, and single repositories.

Importing this package loads neither PyGithub nor requests: `connect` does, so that a process that
sends GitHub no request does not load them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from github_api.types import (
    OTHER,
    Access,
    Listing,
    Quota,
    Repository,
    RetryPolicy,
    Selection,
    User,
    limit_languages,
)

if TYPE_CHECKING:
    from config import Settings
    from github_api.source import GitHub

__all__ = [
    "OTHER",
    "Access",
    "Listing",
    "Quota",
    "Repository",
    "RetryPolicy",
    "Selection",
    "User",
    "connect",
    "limit_languages",
]


def connect(settings: Settings, policy: RetryPolicy | None = None) -> GitHub:
    """Return a client of GitHub's API for any number of threads; close it at the end.

    It opens no connection before the first request.
    """
    from github_api.source import GitHub

    selection = Selection(
        owners=settings.github_owners,
        forks=settings.include_forks,
        archived=settings.include_archived,
        include=settings.include_repositories,
        exclude=settings.exclude_repositories,
    )
    return GitHub(
        settings.github_api_url, settings.github_access_token, policy or RetryPolicy(), selection
    )
