"""Updating the rows of projects from a listing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.orm import Session

from config import PrivateMode
from database.transaction import in_chunks, run_in_transaction
from database.types import db_now
from github_api import Quota, Repository
from models import Project, RefreshJob, RefreshTask, TaskState
from refresh import listing_claim, wanted
from refresh.figures import LastMeasurement

# Columns, not whole rows: several copies of 10,000 repositories are in memory.
FACTS = (
    Project.id,
    Project.github_id,
    Project.name,
    Project.owner,
    Project.url,
    Project.private,
    Project.archived,
    Project.repository_size_kb,
)
KNOWN = (
    Project.pushed_at,
    Project.default_branch,
    Project.fingerprint,
    Project.head_sha,
    Project.measured_name,
    Project.measured_url,
    Project.stale_reason,
    Project.recheck_head,
    Project.lacks_languages,
)
NO_SCOPE = "the token lacks the `repo` scope and does not show private repositories"
NOT_SHOWN = "GitHub no longer has it, or does not show it to this token"
NO_TOKEN = "private repositories cannot be seen without GITHUB_ACCESS_TOKEN"


def find_unlisted(listed: Iterable[Repository], mode: PrivateMode, sees_private: bool) -> list[int]:
    """Return the row ids of projects that a listing does not contain, by GitHub's id or by name."""
    repositories = list(listed)
    ids = {repository.github_id for repository in repositories}
    names = {repository.name for repository in repositories}

    # Repositories that the token cannot see may exist. It is not known whether a row of the first
    # release is private.
    spared = not sees_private and mode is not PrivateMode.HIDE

    def find(session: Session) -> list[int]:
        rows = session.execute(select(Project.id, Project.github_id, Project.name, Project.private))
        return [
            row.id
            for row in rows
            if (row.github_id not in ids if row.github_id is not None else row.name not in names)
            and not (spared and (row.private or row.github_id is None))
        ]

    return run_in_transaction(find)


def save_listing(
    refresh_id: str,
    attempt: int,
    listed: Sequence[Repository],
    gone: Iterable[int],
    *,
    unseen: str | None,
    choose: Callable[[dict[int, LastMeasurement]], list[Repository]],
    own_addresses: Sequence[str],
    quota: Quota | None,
    marks: wanted.Marks,
) -> tuple[int, int]:
    """Turn a complete listing into rows and tasks, in one transaction.

    Projects take over the listing's facts, projects that are gone are deleted, and each repository
    that ``choose`` picks becomes a task. ``unseen`` is why private ones are not listed, None where
    they are; ``own_addresses`` are noted for the tasks. ``marks`` is what was wanted before the
    listing: what is wanted since then has changed under it, and is left to the refresh that
    follows. Returns how many tasks there are and how many repositories.
    Raises Superseded when another process has taken the listing over.
    """

    def write(session: Session) -> tuple[int, int]:
        listing_claim.hold(session, refresh_id, attempt)
        changed = wanted.find_changed(session, marks)
        current = [each for each in listed if each.github_id not in changed]
        for chunk in in_chunks(sorted(gone)):
            session.execute(delete(Project).where(Project.id.in_(chunk)))
        recheck(session, [each.github_id for each in current if each.github_id in marks])
        rows = session.execute(select(*FACTS, *KNOWN)).all()
        _upsert_repositories(session, current, rows)
        if unseen is not None:
            session.execute(
                update(Project).where(Project.private.is_(True)).values(stale_reason=unseen)
            )
        chosen = [each for each in choose(_known(rows)) if each.github_id not in changed]
        _plan(session, refresh_id, chosen, len(listed), own_addresses, quota)
        wanted.settle(session, marks)
        return len(chosen), len(listed)

    return run_in_transaction(write)


def save_wanted(
    refresh_id: str,
    attempt: int,
    found: Sequence[Repository],
    gone: Iterable[int],
    *,
    unseen: Iterable[int],
    own_addresses: Sequence[str],
    quota: Quota | None,
    marks: wanted.Marks,
) -> int:
    """Turn the repositories that are wanted into rows and tasks, in one transaction.

    ``gone`` are the ids of those that are not to be measured any more, ``unseen`` of those that
    GitHub does not show; ``own_addresses`` are noted for the tasks. What was marked again since
    ``marks`` were read is left to the next refresh. Returns how many tasks there are.
    Raises Superseded when another process has taken the listing over.
    """

    def write(session: Session) -> int:
        listing_claim.hold(session, refresh_id, attempt)
        changed = wanted.find_changed(session, marks)
        current = [each for each in found if each.github_id not in changed]
        dropped = set(gone) - changed
        session.execute(delete(Project).where(Project.github_id.in_(dropped)))
        session.execute(
            update(Project)
            .where(Project.github_id.in_(set(unseen) - changed))
            .values(stale_reason=NOT_SHOWN)
        )
        recheck(session, [each.github_id for each in current])
        ids = {each.github_id for each in current}
        names = {each.name for each in current}
        concerned = or_(Project.github_id.in_(ids), Project.name.in_(names))
        rows = session.execute(select(*FACTS).where(concerned)).all()
        _upsert_repositories(session, current, rows)
        chosen = sorted(current, key=lambda each: (-each.size_kb, each.name))
        _plan(session, refresh_id, chosen, len(chosen), own_addresses, quota)
        wanted.settle(session, marks)
        return len(chosen)

    return run_in_transaction(write)


def recheck(session: Session, github_ids: Sequence[int]) -> None:
    """Have git asked for the heads of repositories, whatever GitHub says of their last push."""
    for chunk in in_chunks(github_ids):
        session.execute(
            update(Project).where(Project.github_id.in_(chunk)).values(recheck_head=True)
        )


def _plan(
    session: Session,
    refresh_id: str,
    chosen: Sequence[Repository],
    total: int,
    own_addresses: Sequence[str],
    quota: Quota | None,
) -> None:
    """Add a task for each chosen repository, and note that the listing is done."""
    _add_tasks(session, refresh_id, chosen)
    session.execute(
        update(RefreshJob)
        .where(RefreshJob.id == refresh_id)
        .values(
            total_repositories=total,
            repositories_processed=total - len(chosen),
            planned_at=db_now(),
            own_addresses=list(own_addresses),
            **_told(quota),
        )
    )


def _told(quota: Quota | None) -> dict[str, Any]:
    if quota is None:
        return {}
    return {"rate_limit_remaining": quota.remaining, "rate_limit_reset_at": quota.resets_at}


def _upsert_repositories(
    session: Session, listed: Sequence[Repository], rows: Sequence[Any]
) -> None:
    by_id = {row.github_id: row for row in rows if row.github_id is not None}
    by_name = {row.name: row for row in rows if row.github_id is None}
    matched = [by_id.get(each.github_id) or by_name.get(each.name) for each in listed]
    _free_names(session, rows, list(zip(listed, matched, strict=True)))
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for repository, found in zip(listed, matched, strict=True):
        facts = _facts(repository)
        if found is None:
            new.append(facts | {"empty": True})
        elif any(getattr(found, name) != value for name, value in facts.items()):
            changed.append(facts | {"id": found.id})
    for chunk in in_chunks(new):
        session.execute(insert(Project), chunk)
    for chunk in in_chunks(changed):
        session.execute(update(Project), chunk)


def _facts(repository: Repository) -> dict[str, Any]:
    return {
        "github_id": repository.github_id,
        "name": repository.name,
        "owner": repository.owner or None,
        "url": repository.html_url or None,
        "private": repository.private,
        "archived": repository.archived,
        "repository_size_kb": float(repository.size_kb),
    }


def _free_names(
    session: Session,
    rows: Iterable[Any],
    matched: Sequence[tuple[Repository, Any]],
) -> None:
    """Make room for names that change hands, since no two rows may bear one name at any time.

    A row that is not listed itself loses to the repository that bears its name now.
    """
    names = {repository.name for repository, _ in matched}
    listed = {known.id for _, known in matched if known is not None}
    losers = [row.id for row in rows if row.id not in listed and row.name in names]
    for chunk in in_chunks(losers):
        session.execute(delete(Project).where(Project.id.in_(chunk)))
    renamed = [
        {"id": known.id, "name": f"renamed:{known.id}"}
        for repository, known in matched
        if known is not None and known.name != repository.name
    ]
    for chunk in in_chunks(renamed):
        session.execute(update(Project), chunk)


def _add_tasks(session: Session, refresh_id: str, chosen: Sequence[Repository]) -> None:
    session.execute(delete(RefreshTask).where(RefreshTask.refresh_id == refresh_id))
    tasks = [
        {
            "refresh_id": refresh_id,
            "github_id": repository.github_id,
            "position": position,
            "name": repository.name,
            "private": repository.private,
            "facts": repository.to_json(),
            "state": TaskState.QUEUED,
        }
        for position, repository in enumerate(chosen)
    ]
    for chunk in in_chunks(tasks):
        session.execute(insert(RefreshTask), chunk)


def _known(rows: Iterable[Any]) -> dict[int, LastMeasurement]:
    return {
        row.github_id: LastMeasurement(
            row.pushed_at,
            row.default_branch,
            row.fingerprint,
            row.head_sha,
            row.measured_name,
            row.measured_url,
            stale=row.stale_reason is not None,
            recheck_head=row.recheck_head,
            lacks_languages=row.lacks_languages,
        )
        for row in rows
        if row.github_id is not None
    }
