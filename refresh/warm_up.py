"""A rehearsal of a repository's job, so that the processes forked from this one have it by heart.

SQLAlchemy compiles each statement when it first meets it. A process that is forked for one job
meets every statement for the first time, and would spend a third of its own time on that.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from errors import Superseded
from github_api import Repository
from measure import Count, Day, Figures, History
from models import Project, db
from refresh import figures, store, tasks

NOBODY = -1
"""An id that GitHub gives to no repository."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REPOSITORY = Repository(
    github_id=NOBODY,
    name="",
    full_name="",
    clone_url="",
    html_url="",
    private=True,
    archived=False,
    default_branch=None,
    pushed_at=None,
    size_kb=0,
)
_TASK = tasks.Task("", 0, forced=False, repository=_REPOSITORY)
_HISTORY = History(1, 0, 0, _EPOCH, _EPOCH, {_EPOCH.date(): Day(1, 0, 0)})
_FIGURES = Figures("", _HISTORY, Count(0, "", "", None, {}), since=None)
_MEASURED = figures.Measured("", _FIGURES, languages={}, found_at=_REPOSITORY)


def warm_up() -> None:
    """Run what a job runs, for a refresh that is not there, and leave nothing behind."""
    tasks.claim_next(_TASK.refresh_id)
    figures.find_last_measurement(NOBODY)
    with contextlib.suppress(Superseded):
        tasks.finish(_TASK, None, _save_nothing)
    store.close_if_done(_TASK.refresh_id)
    with Session(db.engine) as session:  # closed without a commit
        session.add(Project(github_id=NOBODY, name="", empty=True))
        session.flush()
        figures.save_measured(session, _REPOSITORY, _MEASURED)
        session.flush()


def _save_nothing(session: Session) -> None:
    del session
