"""The state of refreshes on the page: how the last one ended, when the next one starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from config import Settings
from figures.rollup import last_completed
from models import ACTIVE, RefreshJob, RefreshKind, RefreshStatus, db, recent_jobs
from refresh.schedule import find_due
from web.charts.text import count

LISTED_SHORTLY = "GitHub is being asked which repositories there are."
HOW_TO_SET_TOKEN = (
    "Make a personal access token with the scope repo on GitHub, set the variable "
    "GITHUB_ACCESS_TOKEN to it, and start the service again."
)


@dataclass(frozen=True)
class Message:
    """A message on the page: a title, what to do, and which repositories failed."""

    title: str
    text: str = ""
    kind: str = ""
    failures: Sequence[dict[str, str]] = field(default=())
    more_failures: int = 0


@dataclass(frozen=True)
class RefreshState:
    """The refresh under way, if there is one, and the message about the last one."""

    active: dict[str, Any] | None
    refreshed_at: datetime | None
    next_at: datetime | None
    message: Message | None

    @property
    def listed(self) -> str:
        """Return the refresh progress as a sentence."""
        if self.active is None or not self.active["total_repositories"]:
            return LISTED_SHORTLY
        total = count(self.active["total_repositories"], "repository", "repositories")
        return f"{self.active['repositories_processed']:,} of {total}"


def read_state(settings: Settings, *, has_projects: bool) -> RefreshState:
    """Read the state of refreshes from the database."""
    last = db.session.scalars(recent_jobs(1)).first()
    active = last if last is not None and last.status in ACTIVE else None
    if active is None:
        # A project's own row says how the measurement of a single repository ended.
        last = db.session.scalars(recent_jobs(1, RefreshKind.FULL)).first()
    return RefreshState(
        active=None if active is None else active.to_json(settings.private_repositories),
        refreshed_at=last_completed(),
        next_at=None if active is not None else find_due(settings),
        message=_message(settings, last, has_projects=has_projects),
    )


def _message(settings: Settings, last: RefreshJob | None, *, has_projects: bool) -> Message | None:
    if not settings.knows_what_to_list:
        title = "These figures are not refreshed" if has_projects else "No GitHub token is set"
        return Message(title, HOW_TO_SET_TOKEN, "warning")
    if last is None:
        return None if has_projects else _nothing_yet()
    if last.status in ACTIVE:
        return None if has_projects else _first_refresh(settings)
    if last.status == RefreshStatus.FAILED:
        return _failed(settings, last, has_projects=has_projects)
    if last.failures:
        return _some_failed(settings, last)
    return None if has_projects else _nothing_listed()


def _nothing_yet() -> Message:
    return Message(
        "Nothing has been measured yet",
        "Start the first refresh with the button above, or with POST /api/refresh. The figures "
        "appear here as the repositories are measured.",
    )


def _first_refresh(settings: Settings) -> Message:
    text = "Nothing needs to be done: the figures appear here as the repositories are measured."
    if settings.redis_url is not None:
        text += " If this takes long, check that a worker (python worker.py) is running."
    return Message("The first refresh is under way", text)


def _nothing_listed() -> Message:
    return Message(
        "There is no repository to show",
        "The last refresh found no repository with a commit. Push a commit, or check that the "
        "token is the right account's and may read its repositories; then refresh again.",
    )


def _failed(settings: Settings, last: RefreshJob, *, has_projects: bool) -> Message:
    failures = last.to_json(settings.private_repositories)["failures"]
    kept = " The figures below are those of the previous refresh." if has_projects else ""
    advice = f"Fix what is named here, then refresh again.{kept}"
    if failures:
        return Message(
            "No repository could be measured",
            advice,
            "danger",
            failures,
            last.failed_repositories - len(failures),
        )
    reason = last.explain(settings.private_repositories) or "The reason is not known"
    return Message(
        "The last refresh failed",
        f"{reason[:1].upper()}{reason[1:].rstrip('.')}. {advice}",
        "danger",
    )


def _some_failed(settings: Settings, last: RefreshJob) -> Message:
    failures = last.to_json(settings.private_repositories)["failures"]
    failed = max(last.failed_repositories, len(failures))
    total = count(last.total_repositories, "repository", "repositories")
    return Message(
        f"{failed:,} of {total} could not be measured",
        "Earlier figures are kept, and the next refresh tries again.",
        "warning",
        failures,
        failed - len(failures),
    )
