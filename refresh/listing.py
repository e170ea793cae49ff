"""The listing of a refresh: fetched wholly, compared with the rows, and saved as tasks."""

from __future__ import annotations

import logging
from functools import partial

import measure
from config import PrivateMode, Settings
from errors import GitHubError, Interrupted, Superseded
from github_source import GitHub, Listing, Repository
from refresh import catalog, ledger, plan
from refresh.work import measure_options

log = logging.getLogger(__name__)


def carry_out(settings: Settings, refresh_id: str) -> int | None:
    """List the repositories of a refresh, turn them into tasks, and give how many tasks.

    Gives ``None`` where there is nothing to go on with: another process has the listing, or it
    failed, and then the refresh has ended in words. Raises Interrupted, after handing the listing
    back, when this process is asked to stop.
    """
    attempt = ledger.claim_listing(refresh_id)
    if attempt is None:
        return None
    try:
        return _list(settings, refresh_id, attempt)
    except Superseded:
        return None
    except Interrupted:
        ledger.release_listing(refresh_id, attempt)
        raise
    except GitHubError as error:
        log.error("the refresh has failed: %s", error)
        ledger.fail(refresh_id, str(error))
        return None
    except Exception as error:
        log.exception("the refresh has failed")
        ledger.fail(refresh_id, f"an unexpected fault in the listing ({type(error).__name__})")
        return None


def _list(settings: Settings, refresh_id: str, attempt: int) -> int:
    github = GitHub(settings)
    listing = github.fetch_repositories()
    if not listing.repositories:
        raise GitHubError("GitHub lists no repository of this token's user: nothing was changed")
    mode = settings.private_repositories
    listed = _eligible(listing, mode)
    gone = catalog.find_unlisted(listed, mode, listing.sees_private)
    if gone:
        # A repository deleted between two pages shifts the next one out of sight. Only what a
        # second listing does not hold either is gone.
        listed = _union(listed, _eligible(github.fetch_repositories(), mode))
        gone = catalog.find_unlisted(listed, mode, listing.sees_private)
    refresh = ledger.find_refresh(refresh_id)
    options = measure_options(settings)
    count, total = catalog.save_listing(
        refresh_id,
        attempt,
        listed,
        gone,
        sees_private=listing.sees_private or mode is PrivateMode.HIDE,
        choose=partial(
            plan.choose,
            listed,
            fingerprint=measure.fingerprint(measure.best_counter(options), options),
            forced=refresh is not None and refresh.forced,
        ),
        quota=github.quota,
    )
    if not listing.sees_private:
        log.warning("GITHUB_ACCESS_TOKEN: %s", catalog.NO_SCOPE)
    log.info("%d repositories listed, %d to measure", total, count)
    return count


def _eligible(listing: Listing, mode: PrivateMode) -> list[Repository]:
    return [
        repository
        for repository in listing.repositories
        if not (repository.private and mode is PrivateMode.HIDE)
    ]


def _union(first: list[Repository], second: list[Repository]) -> list[Repository]:
    return list({each.github_id: each for each in [*first, *second]}.values())
