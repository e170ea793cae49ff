"""The tables: projects, their days and months, and refreshes with their tasks.

Every timestamp is UTC: aware in Python, without a zone in the database.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    Select,
    SmallInteger,
    Table,
    event,
    false,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from config import PrivateMode
from database.engine import Base
from database.engine import db as db
from database.revision import Revision as Revision
from database.types import CleanJSON, CleanText, UTCDateTime, db_now, to_iso_utc


class RefreshStatus(StrEnum):
    """The states of a refresh."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class RefreshKind(StrEnum):
    """What a refresh is about: everything, or the repositories of `wanted_measurement`."""

    FULL = "full"
    SINGLE = "single"


class TaskState(StrEnum):
    """The states of a task."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


ACTIVE = (RefreshStatus.QUEUED, RefreshStatus.RUNNING)

FAILURES_NAMED = 20
"""A refresh names this many repositories that failed, and counts the others."""

UNNAMED = "a private repository"


class Project(Base):
    """A repository's figures as they were last measured; NULL is a figure not known."""

    __tablename__ = "project"
    holds_figures = True

    id: Mapped[int] = mapped_column(primary_key=True)
    # GitHub's id outlives a rename. A row of the first release has none until it is matched.
    github_id: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    # Without the owner for the token's user, `owner/name` for all other owners.
    name: Mapped[str] = mapped_column(CleanText(255), unique=True)
    owner: Mapped[str | None] = mapped_column(CleanText)
    time_spent_min: Mapped[int | None] = mapped_column(BigInteger)
    loc: Mapped[int | None] = mapped_column(BigInteger)
    commit_count: Mapped[int | None] = mapped_column(BigInteger)
    active_days: Mapped[int | None] = mapped_column(BigInteger)
    first_commit_date: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_commit_date: Mapped[datetime | None] = mapped_column(UTCDateTime)
    code_churn: Mapped[int | None] = mapped_column(BigInteger)
    # NULL where it is not known whose commits are one's own; bots' are not among them.
    own_commits: Mapped[int | None] = mapped_column(BigInteger)
    own_active_days: Mapped[int | None] = mapped_column(BigInteger)
    own_churn: Mapped[int | None] = mapped_column(BigInteger)
    bot_commits: Mapped[int | None] = mapped_column(BigInteger)
    primary_language: Mapped[str | None] = mapped_column(CleanText(100))
    repository_size_kb: Mapped[float | None]
    languages: Mapped[dict[str, int] | None] = mapped_column(CleanJSON)
    # Code lines of each language as the counter named them; their sum is loc.
    languages_loc: Mapped[dict[str, int] | None] = mapped_column(CleanJSON)
    not_counted: Mapped[list[dict[str, Any]] | None] = mapped_column(CleanJSON)
    excluded_files: Mapped[int | None] = mapped_column(BigInteger)
    url: Mapped[str | None] = mapped_column(CleanText)
    private: Mapped[bool] = mapped_column(default=False, server_default=false())
    archived: Mapped[bool] = mapped_column(default=False, server_default=false())
    # A repository without a commit has a row, so that it is not cloned at every refresh, and is
    # in no answer.
    empty: Mapped[bool] = mapped_column(default=False, server_default=false())
    default_branch: Mapped[str | None] = mapped_column(CleanText)
    pushed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    loc_source: Mapped[str | None] = mapped_column(CleanText(20))
    head_sha: Mapped[str | None] = mapped_column(CleanText(64))
    fingerprint: Mapped[str | None] = mapped_column(CleanText(64))
    measured_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    stale_reason: Mapped[str | None] = mapped_column(CleanText)
    # The name that was cloned: names may be swapped between a listing and a clone.
    measured_name: Mapped[str | None] = mapped_column(CleanText)
    measured_url: Mapped[str | None] = mapped_column(CleanText)
    # Listed so soon after its push that pushed_at cannot tell a second push from it.
    recheck_head: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The figures are up to date, only the languages are to be fetched; stale_reason says why.
    lacks_languages: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The head whose growth is complete, and what its rows were counted with.
    growth_sha: Mapped[str | None] = mapped_column(CleanText(64))
    growth_fingerprint: Mapped[str | None] = mapped_column(CleanText(64))
    # No process measures its growth before this: another one does, or the last try failed.
    growth_not_before: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ActivityDay(Base):
    """What was committed to one project on one UTC day."""

    __tablename__ = "activity_day"
    holds_figures = True

    project_id: Mapped[int] = mapped_column(
        ForeignKey(Project.id, ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)
    commits: Mapped[int] = mapped_column(BigInteger)
    additions: Mapped[int] = mapped_column(BigInteger)
    deletions: Mapped[int] = mapped_column(BigInteger)
    own_commits: Mapped[int | None] = mapped_column(BigInteger)
    own_additions: Mapped[int | None] = mapped_column(BigInteger)
    own_deletions: Mapped[int | None] = mapped_column(BigInteger)


class Growth(Base):
    """The lines of one project at the end of a UTC month; one without commits has no row."""

    __tablename__ = "growth"
    holds_figures = True

    project_id: Mapped[int] = mapped_column(
        ForeignKey(Project.id, ondelete="CASCADE"), primary_key=True
    )
    month: Mapped[str] = mapped_column(CleanText(7), primary_key=True)
    sha: Mapped[str] = mapped_column(CleanText(64))
    loc: Mapped[int] = mapped_column(BigInteger)
    languages: Mapped[dict[str, int]] = mapped_column(CleanJSON)


class FileCounts(Base):
    """The counts of the files of a project's head, encoded by measure.stored_counts."""

    __tablename__ = "file_counts"

    project_id: Mapped[int] = mapped_column(
        ForeignKey(Project.id, ondelete="CASCADE"), primary_key=True
    )
    head_sha: Mapped[str] = mapped_column(CleanText(64))
    fingerprint: Mapped[str] = mapped_column(CleanText(64))
    counts: Mapped[bytes] = mapped_column(LargeBinary)


class RefreshJob(Base):
    """One refresh, from its request on."""

    __tablename__ = "refresh_job"
    __table_args__ = (
        # Two refreshes at once: only the database can forbid that. See _index_active_refreshes.
        Index("one_active_refresh", "slot", unique=True),
        Index("ix_refresh_job_created_at", "created_at"),
        Index("ix_refresh_job_status_completed_at", "status", "completed_at"),
    )

    id: Mapped[str] = mapped_column(CleanText(36), primary_key=True)
    status: Mapped[str] = mapped_column(CleanText(20))
    # Always 1. The index above needs a column that is equal in all active rows, and tools that
    # read a schema from SQLite do not see an index on an expression.
    slot: Mapped[int] = mapped_column(SmallInteger, default=1, server_default=text("1"))
    created_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=db_now())
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error_message: Mapped[str | None] = mapped_column(CleanText)
    repositories_processed: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    total_repositories: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    kind: Mapped[str] = mapped_column(
        CleanText(10), default=RefreshKind.FULL, server_default=text("'full'")
    )
    forced: Mapped[bool] = mapped_column(default=False, server_default=false())
    attempt: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    heartbeat_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The first FAILURES_NAMED by name, and how many there were.
    failures: Mapped[list[dict[str, Any]] | None] = mapped_column(CleanJSON)
    failed_repositories: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    # Written by the first release, whose messages may name a private repository.
    first_release: Mapped[bool] = mapped_column(default=False, server_default=false())
    rate_limit_remaining: Mapped[int | None]
    rate_limit_reset_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    planned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Patterns of the noreply addresses of the token's user; NULL before GitHub was asked.
    own_addresses: Mapped[list[str] | None] = mapped_column(CleanJSON)

    @property
    def progress(self) -> float:
        """Return the part that is done in percent, with one decimal; 100 only when completed."""
        if self.status == RefreshStatus.COMPLETED:
            return 100.0
        if not self.total_repositories:
            return 0.0
        tenths = self.repositories_processed * 1000 // self.total_repositories
        return min(tenths, 999) / 10

    def explain(self, private_mode: PrivateMode) -> str | None:
        """Return what went wrong, safe to show; None where nothing did."""
        show = private_mode is PrivateMode.SHOW
        if self.error_message and self.first_release and not show:
            return "the message of an earlier release is not shown"
        if self.error_message or not self.failures:
            return self.error_message
        told = self._name_tasks(show, self.failures)
        reasons = [f"{failure['name']}: {failure['reason']}" for failure in told]
        failed = max(self.failed_repositories or 0, len(reasons))
        total = max(self.total_repositories, failed)
        noun = "repository" if total == 1 else "repositories"
        if failed > len(reasons):
            reasons.append(f"and {failed - len(reasons)} more")
        return f"{failed} of {total} {noun} could not be measured: {'; '.join(reasons)}"

    def _name_tasks(self, show_all: bool, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return repositories and why they failed, named as far as they may be named now."""
        named = {task["name"] for task in tasks}
        if not show_all:
            # A repository that was public when it failed may be private now.
            names = [task["name"] for task in tasks if not task["private"]]
            named = set(
                db.session.scalars(
                    select(Project.name).where(Project.name.in_(names), *KNOWN_PUBLIC)
                )
            )
        return [
            {
                "name": task["name"] if task["name"] in named else UNNAMED,
                "reason": task["reason"],
            }
            for task in tasks
        ]

    def _fetch_tasks(self, state: TaskState) -> list[dict[str, Any]]:
        tasks = db.session.scalars(
            select(RefreshTask)
            .where(RefreshTask.refresh_id == self.id, RefreshTask.state == state)
            .order_by(RefreshTask.name)
            .limit(FAILURES_NAMED)
        )
        return [
            {"name": task.name, "private": task.private, "reason": task.reason or ""}
            for task in tasks
        ]

    def to_json(self, private_mode: PrivateMode) -> dict[str, Any]:
        """Return the refresh as clients see it, without private names unless these are shown."""
        show = private_mode is PrivateMode.SHOW
        running = self.status == RefreshStatus.RUNNING
        failures = self._fetch_tasks(TaskState.FAILED) if running else self.failures or []
        current = self._fetch_tasks(TaskState.RUNNING) if running else []
        return {
            "id": self.id,
            "kind": self.kind,
            "status": self.status,
            "started_at": to_iso_utc(self.started_at),
            "completed_at": to_iso_utc(self.completed_at),
            "error_message": self.explain(private_mode),
            "repositories_processed": self.repositories_processed,
            "total_repositories": self.total_repositories,
            "progress": self.progress,
            "current": [task["name"] for task in self._name_tasks(show, current)],
            "failures": self._name_tasks(show, failures),
        }


@event.listens_for(RefreshJob.__table__, "before_create")
def _index_active_refreshes(table: Table, connection: Connection, **_: Any) -> None:
    """Restrict the index to active refreshes before it is created.

    An index that is declared with a condition for each engine loads both dialects at import.
    """
    (index,) = (each for each in table.indexes if each.name == "one_active_refresh")
    condition = text("status IN ('queued', 'running')")
    index.dialect_kwargs[f"{connection.dialect.name}_where"] = condition


class RefreshTask(Base):
    """A task: one repository to measure, as GitHub listed it."""

    __tablename__ = "refresh_task"
    __table_args__ = (
        Index("ix_refresh_task_refresh_id_state_position", "refresh_id", "state", "position"),
    )

    refresh_id: Mapped[str] = mapped_column(
        ForeignKey(RefreshJob.id, ondelete="CASCADE"), primary_key=True
    )
    github_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    position: Mapped[int]
    name: Mapped[str] = mapped_column(CleanText(255))
    private: Mapped[bool] = mapped_column(default=False, server_default=false())
    facts: Mapped[dict[str, Any]] = mapped_column(CleanJSON)
    state: Mapped[str] = mapped_column(CleanText(10), default=TaskState.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    # How many processes crashed on it; a new attempt may also have another reason.
    crashes: Mapped[int] = mapped_column("deaths", default=0, server_default=text("0"))
    heartbeat_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reason: Mapped[str | None] = mapped_column(CleanText)


class WantedMeasurement(Base):
    """A request to measure a repository, or with `EVERYTHING` all of them, soon.

    `mark` is another number for each event, and NULL once the last one has been served. A
    repeated request is not served before `not_before`.
    """

    __tablename__ = "wanted_measurement"

    github_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    mark: Mapped[int | None] = mapped_column(BigInteger)
    forced: Mapped[bool] = mapped_column(default=False, server_default=false())
    not_before: Mapped[datetime | None] = mapped_column(UTCDateTime)


EVERYTHING = 0
"""In place of GitHub's id, which is never 0."""


# It is not known whether a row of the first release is private until it is matched.
KNOWN_PUBLIC = (~Project.private, Project.github_id.is_not(None))


def recent_jobs(limit: int = 10, *kinds: RefreshKind) -> Select[RefreshJob]:
    """Return the query for the latest refreshes, newest first, of all kinds or of these."""
    return (
        select(RefreshJob)
        .where(RefreshJob.kind.in_(kinds or tuple(RefreshKind)))
        .order_by(RefreshJob.created_at.desc(), RefreshJob.id)
        .limit(limit)
    )
