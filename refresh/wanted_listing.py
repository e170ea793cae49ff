"""The listing of a refresh of single repositories, each requested by GitHub's id."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from config import PrivateMode, Settings
from database.types import utc_now
from errors import GitHubError, GitHubUnavailable, RateLimited, RepositoryBlocked, RepositoryGone
from github_api import Repository
from github_api.addresses import noreply_patterns
from models import EVERYTHING
from refresh import projects, wanted

if TYPE_CHECKING:
    from github_api.source import GitHub

log = logging.getLogger(__name__)


def list_wanted(settings: Settings, github: GitHub, refresh_id: str, attempt: int) -> int:
    """Turn the repositories that are due into tasks, and return how many there are.

    Where GitHub does not answer, the requests are postponed; where it refuses the token, dropped.
    """
    marks = {
        github_id: row.mark
        for github_id, row in wanted.find_due().items()
        if github_id != EVERYTHING and row.mark is not None
    }
    found: list[Repository] = []
    gone: list[int] = []
    unseen: list[int] = []
    own_addresses: tuple[str, ...] = ()
    try:
        user = github.fetch_user()
        if user is not None:
            own_addresses = noreply_patterns(user, settings.github_api_url)
        for github_id in marks:
            try:
                repository = github.fetch_chosen(github_id)
            except (RepositoryGone, RepositoryBlocked):
                unseen.append(github_id)
                continue
            if repository is None or _is_hidden(settings, repository):
                gone.append(github_id)
            else:
                found.append(repository)
    except RateLimited as limited:
        wanted.postpone(marks, (limited.until - utc_now()).total_seconds())
        raise
    except GitHubUnavailable:
        wanted.postpone(marks, wanted.RETRY_AFTER)
        raise
    except GitHubError:
        wanted.drop(marks)
        raise
    count = projects.save_wanted(
        refresh_id,
        attempt,
        found,
        gone,
        unseen=unseen,
        own_addresses=own_addresses,
        quota=github.quota,
        marks=marks,
    )
    log.info("%d repositories to measure after GitHub's events", count)
    return count


def _is_hidden(settings: Settings, repository: Repository) -> bool:
    return repository.private and settings.private_repositories is PrivateMode.HIDE
