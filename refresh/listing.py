"""The listing of a refresh: fetched completely, compared with the rows, and saved as tasks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import measure
from config import PrivateMode, Settings
from errors import GitHubError, Interrupted, Superseded, TokenMissing
from github_api import Listing, Repository
from github_api.addresses import noreply_patterns
from models import RefreshKind
from refresh import listing_claim, projects, store, wanted
from refresh.figures import LastMeasurement
from refresh.measuring import measure_options
from refresh.wanted_listing import list_wanted

if TYPE_CHECKING:
    from github_api.source import GitHub

log = logging.getLogger(__name__)

NOTHING_LISTED = "GitHub lists no repository of this owner: nothing was changed"
NOTHING_CHOSEN = (
    "the settings choose none of the repositories that GitHub lists: nothing was changed"
)


def list_repositories(settings: Settings, github: GitHub, refresh_id: str) -> int | None:
    """List the repositories of a refresh, turn them into tasks, and return their number.

    Returns ``None`` where another process has the listing, or where it failed and the refresh has
    ended as failed. Raises Interrupted, after releasing the listing, when this process is asked to
    stop.
    """
    claimed = listing_claim.claim(refresh_id)
    if claimed is None:
        return None
    try:
        if claimed.kind is RefreshKind.SINGLE:
            return list_wanted(settings, github, refresh_id, claimed.attempt)
        return _list(settings, github, refresh_id, claimed.attempt, claimed.forced)
    except Superseded:
        return None
    except Interrupted:
        listing_claim.release(refresh_id, claimed.attempt)
        raise
    except (GitHubError, TokenMissing) as error:
        log.error("the refresh has failed: %s", error)
        store.fail(refresh_id, str(error))
        return None
    except Exception as error:
        log.exception("the refresh has failed")
        store.fail(refresh_id, f"an unexpected fault in the listing ({type(error).__name__})")
        return None


def _list(settings: Settings, github: GitHub, refresh_id: str, attempt: int, forced: bool) -> int:
    options = measure_options(settings)
    marks = wanted.find_marks()
    listing, listed, gone = _fetch(github, settings.private_repositories)
    counter = measure.best_counter(options)
    own_addresses: tuple[str, ...] = ()
    if listing.user is not None:
        own_addresses = noreply_patterns(listing.user, settings.github_api_url)
    unseen = None
    if not listing.sees_private:
        has_token = settings.github_access_token is not None
        unseen = projects.NO_SCOPE if has_token else projects.NO_TOKEN
    count, total = projects.save_listing(
        refresh_id,
        attempt,
        listed,
        gone,
        unseen=None if settings.private_repositories is PrivateMode.HIDE else unseen,
        choose=partial(
            choose,
            listed,
            fingerprint=measure.fingerprint(
                counter, measure_options(settings, own_addresses=own_addresses)
            ),
            forced=forced,
        ),
        own_addresses=own_addresses,
        quota=github.quota,
        marks=marks,
    )
    if unseen is not None:
        log.warning("%s", unseen)
    log.info("%d repositories listed, %d to measure", total, count)
    return count


def _fetch(github: GitHub, mode: PrivateMode) -> tuple[Listing, list[Repository], list[int]]:
    """Return a listing, which of it is to be measured, and the row ids of what is gone."""
    listing = github.fetch_repositories()
    if not listing.repositories:
        raise GitHubError(NOTHING_CHOSEN if listing.listed else NOTHING_LISTED)
    listed = _eligible(listing, mode)
    gone = projects.find_unlisted(listed, mode, listing.sees_private)
    if gone:
        # A repository deleted between two pages moves the next one to the page before. Only what a
        # second listing does not contain either is gone.
        listed = _union(listed, _eligible(github.fetch_repositories(), mode))
        gone = projects.find_unlisted(listed, mode, listing.sees_private)
    return listing, listed, gone


def _eligible(listing: Listing, mode: PrivateMode) -> list[Repository]:
    return [
        repository
        for repository in listing.repositories
        if not (repository.private and mode is PrivateMode.HIDE)
    ]


def _union(first: list[Repository], second: list[Repository]) -> list[Repository]:
    """Add to the second listing what only the first contains, unless its name was reassigned."""
    ids = {each.github_id for each in second}
    names = {each.name for each in second}
    kept = [each for each in first if each.github_id not in ids and each.name not in names]
    return [*kept, *second]


def choose(
    listed: Iterable[Repository],
    known: Mapping[int, LastMeasurement],
    fingerprint: str,
    forced: bool,
) -> list[Repository]:
    """Return the repositories to measure, the largest first.

    The largest go first because the one that starts last decides when the refresh ends. A
    repository is skipped when its last measurement succeeded and nothing has changed since.
    """
    chosen = [
        repository
        for repository in listed
        if forced or not _stands(repository, known.get(repository.github_id), fingerprint)
    ]
    return sorted(chosen, key=lambda repository: (-repository.size_kb, repository.name))


def _stands(repository: Repository, known: LastMeasurement | None, fingerprint: str) -> bool:
    return known is not None and not known.stale and known.covers(repository, fingerprint)
