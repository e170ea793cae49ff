"""The figures of projects: the last measurement, and saving a new one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import SQLColumnExpression, delete, func, insert, select
from sqlalchemy.orm import Session

from database.transaction import in_chunks, run_in_transaction
from database.types import utc_now
from errors import Superseded, TokenRefused
from github_api import OTHER, Repository, limit_languages
from measure import Count, Day, Figures, History, whole_minutes
from models import ActivityDay, FileCounts, Growth, Project
from refresh import growth_rows

# The time after which a push's second is over by any clock of GitHub's machines.
PUSH_SETTLES = timedelta(seconds=5)


@dataclass(frozen=True)
class LastMeasurement:
    """The last measurement of a repository; all None where there was none."""

    pushed_at: datetime | None = None
    default_branch: str | None = None
    fingerprint: str | None = None
    head_sha: str | None = None
    name: str | None = None
    clone_url: str | None = None
    loc_source: str | None = None
    stale: bool = False
    recheck_head: bool = False
    lacks_languages: bool = False

    def covers(self, repository: Repository, fingerprint: str) -> bool:
        """Return whether the figures are those of the repository as it is listed now.

        They are if the fingerprint is the same, and neither the push time nor the default branch,
        the name or the clone address has changed.
        """
        return (
            not self.recheck_head
            and self.fingerprint == fingerprint
            and self.pushed_at == repository.pushed_at
            and self.default_branch == repository.default_branch
            and self.name == repository.full_name
            and self.clone_url == repository.clone_url
        )


@dataclass(frozen=True)
class Measured:
    """The result of a measurement: figures, languages and their fingerprint.

    ``figures`` is None where the head has not changed, ``languages`` where they were not fetched,
    ``lacking`` says why they could not be, ``refused`` whether the token was refused. ``uncounted``
    says why the lines of code stay those of the last count, and is None where they are those of
    ``figures``. ``found_at`` is the repository as it was cloned, which differs from the listing's
    when it was renamed since. ``growth`` is how growth is measured, None where it is not.
    """

    fingerprint: str
    figures: Figures | None
    languages: dict[str, int] | None
    found_at: Repository
    lacking: str | None = None
    uncounted: str | None = None
    refused: TokenRefused | None = None
    growth: growth_rows.Way | None = None


def find_last_measurement(github_id: int) -> LastMeasurement:
    """Return the last measurement of a repository."""

    def find(session: Session) -> LastMeasurement:
        row = session.scalar(select(Project).where(Project.github_id == github_id))
        if row is None or row.empty:
            return LastMeasurement()
        return LastMeasurement(
            row.pushed_at,
            row.default_branch,
            row.fingerprint,
            row.head_sha,
            row.measured_name,
            row.measured_url,
            row.loc_source,
            stale=row.stale_reason is not None,
            recheck_head=row.recheck_head,
            lacks_languages=row.lacks_languages,
        )

    return run_in_transaction(find)


def find_file_counts(github_id: int, head_sha: str, fingerprint: str) -> bytes | None:
    """Return the counts of a commit's files, if their fingerprint is this one."""
    query = (
        select(FileCounts.counts)
        .join(Project)
        .where(
            Project.github_id == github_id,
            FileCounts.head_sha == head_sha,
            FileCounts.fingerprint == fingerprint,
        )
    )
    return run_in_transaction(lambda session: session.scalar(query))


def save_measured(session: Session, repository: Repository, measured: Measured) -> None:
    """Write the figures of one measurement.

    An increment is added to the stored sums; raises Superseded when they no longer end at the
    commit that it starts from.
    """
    row = _row_of(session, repository)
    if measured.figures is not None:
        _save_history(session, row, measured.figures)
        if measured.uncounted is None:
            _save_count(row, measured.figures.count)
            if measured.growth is not None:
                growth_rows.add_push(session, row, measured.figures, measured.growth, utc_now())
        _save_file_counts(session, row, measured)
    if measured.languages is not None:
        row.languages = measured.languages
        row.primary_language = _most_bytes(measured.languages) or repository.language
    row.fingerprint = measured.fingerprint
    row.stale_reason = "; ".join(filter(None, (measured.uncounted, measured.lacking))) or None
    # Where the lines must be counted again, fetching only the languages is not enough.
    row.lacks_languages = measured.lacking is not None and measured.uncounted is None
    row.empty = False
    _note_state(row, repository, measured.found_at)


def save_failure(session: Session, repository: Repository, reason: str) -> None:
    """Save why a repository could not be measured; its last good figures stay."""
    row = _row_of(session, repository)
    row.stale_reason = reason
    row.lacks_languages = False
    row.empty = False


def save_empty(session: Session, repository: Repository, fingerprint: str) -> None:
    """Save that a repository has no commit, so that it is skipped until it is pushed to."""
    row = _row_of(session, repository)
    for table in (ActivityDay, FileCounts, Growth):
        session.execute(delete(table).where(table.project_id == row.id))
    row.growth_sha = None
    row.empty = True
    row.fingerprint = fingerprint
    row.head_sha = None
    row.stale_reason = None
    row.lacks_languages = False
    _note_state(row, repository, repository)


def _note_state(row: Project, listed: Repository, found_at: Repository) -> None:
    """Save the state in which a repository was measured, for LastMeasurement.covers."""
    row.pushed_at = listed.pushed_at
    row.default_branch = listed.default_branch
    row.recheck_head = _may_miss_a_push(listed, row.empty)
    row.measured_name = found_at.full_name
    row.measured_url = found_at.clone_url
    row.measured_at = utc_now()


def _may_miss_a_push(listed: Repository, empty: bool) -> bool:
    """Return whether a later push may go unnoticed because pushed_at does not change.

    pushed_at has whole seconds. Both times are GitHub's; the measurement begins after the listing.
    """
    if listed.pushed_at is None:
        return not empty
    return listed.listed_at is None or listed.listed_at - listed.pushed_at < PUSH_SETTLES


def _row_of(session: Session, repository: Repository) -> Project:
    row = session.scalar(
        select(Project).where(Project.github_id == repository.github_id).with_for_update()
    )
    if row is None:
        raise Superseded("this repository's row is gone")
    return row


def _save_history(session: Session, row: Project, figures: Figures) -> None:
    history, own = figures.history, figures.history.own
    if figures.since is None:
        session.execute(delete(ActivityDay).where(ActivityDay.project_id == row.id))
        row.commit_count = row.code_churn = row.bot_commits = 0
        row.first_commit_date = row.last_commit_date = None
        row.own_commits = row.own_churn = None if own is None else 0
        if row.head_sha != figures.head_sha == row.growth_sha:
            # Some of its rows may be those of a head in between.
            row.growth_sha = None
    elif row.head_sha != figures.since:
        raise Superseded("the figures to add to have changed")
    row.commit_count = (row.commit_count or 0) + history.commits
    row.code_churn = (row.code_churn or 0) + history.churn
    row.bot_commits = (row.bot_commits or 0) + history.bot_commits
    if own is not None:
        row.own_commits = (row.own_commits or 0) + own.commits
        row.own_churn = (row.own_churn or 0) + own.churn
    timestamps = [row.first_commit_date, row.last_commit_date]
    timestamps += [history.first_commit, history.last_commit]
    dated = [timestamp for timestamp in timestamps if timestamp is not None]
    row.first_commit_date = min(dated, default=None)
    row.last_commit_date = max(dated, default=None)
    _add_days(session, row, history)
    row.active_days = _count_days(session, row, ActivityDay.commits)
    row.own_active_days = (
        None if own is None else _count_days(session, row, ActivityDay.own_commits)
    )
    row.time_spent_min = _minutes(row)
    row.head_sha = figures.head_sha


def _count_days(session: Session, row: Project, commits: SQLColumnExpression[int | None]) -> int:
    days = select(func.count()).select_from(ActivityDay)
    return session.scalar(days.where(ActivityDay.project_id == row.id, commits > 0)) or 0


def _save_count(row: Project, count: Count) -> None:
    row.loc = count.loc
    row.languages_loc = limit_languages(count.languages)
    row.loc_source = count.source
    row.not_counted = [asdict(left_out) for left_out in count.not_counted]
    row.excluded_files = count.excluded_files


def _save_file_counts(session: Session, row: Project, measured: Measured) -> None:
    figures = measured.figures
    if figures is None or figures.file_counts is None or measured.uncounted is not None:
        session.execute(delete(FileCounts).where(FileCounts.project_id == row.id))
        return
    session.merge(
        FileCounts(
            project_id=row.id,
            head_sha=figures.head_sha,
            fingerprint=measured.fingerprint,
            counts=figures.file_counts,
        )
    )


def _add_days(session: Session, row: Project, history: History) -> None:
    there = {
        day.day: day
        for chunk in in_chunks(sorted(history.days))
        for day in session.scalars(
            select(ActivityDay).where(ActivityDay.project_id == row.id, ActivityDay.day.in_(chunk))
        )
    }
    new = []
    for each in history.days:
        values = _values(history, each)
        if each in there:
            day = there[each]
            for name, value in values.items():
                if value is not None:
                    setattr(day, name, (getattr(day, name) or 0) + value)
        else:
            new.append({"project_id": row.id, "day": each, **values})
    for chunk in in_chunks(new):
        session.execute(insert(ActivityDay), chunk)


def _values(history: History, day: date) -> dict[str, int | None]:
    """Return a day's columns."""
    values: dict[str, int | None] = asdict(history.days[day])
    own = None if history.own is None else asdict(history.own.days.get(day, Day(0, 0, 0)))
    return values | {f"own_{name}": None if own is None else own[name] for name in values}


def _minutes(row: Project) -> int | None:
    if row.first_commit_date is None or row.last_commit_date is None:
        return 0 if row.commit_count else None
    return whole_minutes(row.first_commit_date, row.last_commit_date)


def _most_bytes(languages: dict[str, int]) -> str | None:
    named = [name for name in languages if name != OTHER or len(languages) == 1]
    return min(named, key=lambda name: (-languages[name], name), default=None)
