"""The scheduled refresh, whose due time is read from the database, not from a timer."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from config import Settings
from database.types import to_iso_utc
from models import RefreshStatus
from refresh import store

log = logging.getLogger(__name__)


class Schedule:
    """The schedule of this process, which starts with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._is_start = True
        self._announced: datetime | None = None

    def is_due(self) -> bool:
        """Return whether to start a refresh now, and log once when a later one is due.

        Without a completed refresh, one starts with the process, however an earlier one ended.
        """
        if self._settings.refresh_interval_hours == 0 or not self._settings.knows_what_to_list:
            return False
        if store.find_active() is not None:
            return False
        due = self._find_due()
        self._is_start = False
        if due is None or due <= store.fetch_time():
            return True
        if due != self._announced:
            log.info("the next scheduled refresh starts at %s", to_iso_utc(due))
            self._announced = due
        return False

    def _find_due(self) -> datetime | None:
        """Return when the next refresh is due, or None if it is due now."""
        if self._is_start and _find_end(RefreshStatus.COMPLETED) is None:
            return None
        return find_due(self._settings)


def find_due(settings: Settings) -> datetime | None:
    """Return when the next scheduled refresh is due, or None if it is not known."""
    if settings.refresh_interval_hours == 0 or not settings.knows_what_to_list:
        return None
    interval = timedelta(hours=settings.refresh_interval_hours)
    completed = _find_end(RefreshStatus.COMPLETED)
    failed = _find_end(RefreshStatus.FAILED)
    pause = min(interval, timedelta(seconds=store.RETRY_FAILED_AFTER))
    ends = [completed and completed + interval, failed and failed + pause]
    return max((end for end in ends if end is not None), default=None)


def _find_end(status: RefreshStatus) -> datetime | None:
    last = store.find_last(status)
    return None if last is None else last.completed_at
