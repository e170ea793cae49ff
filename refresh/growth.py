"""The growth of projects, measured after a refresh, one project at a time, month by month.

A project lacks growth until its rows are complete for its head. A process claims one until a time,
which each saved month postpones; after that time another process may resume the work.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import measure
from config import GrowthMode, PrivateMode, Settings
from database.engine import is_unavailable
from database.transaction import run_in_transaction
from database.types import db_in, older_than, utc_now
from errors import Interrupted, MeasureError, Superseded
from measure.growth import Snapshot, measure_growth
from models import KNOWN_PUBLIC, Growth, Project
from refresh import growth_rows, measuring, store

log = logging.getLogger(__name__)

BACK_OFF = 3600.0
"""Seconds until a project without a measured month is tried again."""


@dataclass(frozen=True)
class Claim:
    """A project whose growth this process measures, and the head that lacks it."""

    project_id: int
    name: str
    private: bool
    clone_url: str
    size_kb: float
    head_sha: str
    growth_sha: str | None
    way: growth_rows.Way


def count_lacking(settings: Settings) -> int:
    """Return the number of projects whose growth may be measured now."""
    way = _todays_way(settings)
    if way is None:
        return 0
    query = select(func.count()).select_from(Project).where(*_lacking(settings, way.fingerprint))
    return run_in_transaction(lambda session: session.scalar(query)) or 0


def measure_all(settings: Settings) -> None:
    """Measure one project after the other until none lacks growth.

    Raises Interrupted when this process is asked to stop or a refresh begins.
    """
    while measure_next(settings):
        pass


def measure_next(settings: Settings) -> bool:
    """Measure the growth of the next project that lacks it, and return whether there was one.

    Raises Interrupted, after releasing the project.
    """
    claim = _claim_next(settings) if store.find_active() is None else None
    if claim is None:
        return False
    name = measuring.label(settings, claim)
    log.info("measuring the growth of %s", name)
    saved = _Saved()
    try:
        months = _measure_and_save(settings, claim, saved)
    except (Interrupted, KeyboardInterrupt):
        _hand_back(claim, 0.0)
        raise
    except Superseded as error:
        log.info("%s: growth not saved: %s", name, error)
    except MeasureError as error:
        log.warning("the growth of %s could not be measured: %s", name, error)
        _hand_back(claim, 0.0 if saved.months else BACK_OFF)
    except Exception as error:
        if isinstance(error, SQLAlchemyError) and is_unavailable(error):
            raise
        # An error of this program in one project must not stop the others; it is in the log.
        log.exception("%s: unexpected fault", name)
        _hand_back(claim, BACK_OFF)
    else:
        log.info("the growth of %s is complete: %d months, %d of them new", name, *months)
    return True


@dataclass
class _Saved:
    """The number of saved months."""

    months: int = 0


def _measure_and_save(settings: Settings, claim: Claim, saved: _Saved) -> tuple[int, int]:
    """Save each month as it is measured; return the number of months, and of new ones."""
    options = replace(measuring.measure_options(settings), cloning=None)
    source = measuring.clone_source(settings, claim.clone_url, claim.size_kb)
    lease = settings.clone_timeout + settings.measure_timeout + 60.0
    known = _find_known(claim)
    stored = {(snapshot.period, snapshot.commit) for snapshot in known}
    now = utc_now()
    months: list[str] = []
    last = None
    with closing(measure_growth(source, options, known, by=claim.way.by, now=now)) as found:
        for snapshot in found:
            if snapshot.commit == last:
                continue
            last = snapshot.commit
            months.append(growth_rows.month_of(snapshot.period, now))
            if (months[-1], last) not in stored:
                _save_month(claim, months[-1], snapshot, lease)
                saved.months += 1
                if store.find_active() is not None:
                    raise Interrupted("a refresh has begun")
    _finish(claim, months)
    return len(months), saved.months


def _todays_way(settings: Settings) -> growth_rows.Way | None:
    """Return how growth is measured now; None where it is off, or there is no cloc."""
    if settings.growth is GrowthMode.OFF:
        return None
    options = measuring.measure_options(settings)
    return growth_rows.find_way(settings.growth, measure.best_counter(options), options)


def _lacking(settings: Settings, fingerprint: str) -> Iterable[ColumnElement[bool]]:
    hidden = settings.private_repositories is PrivateMode.HIDE
    return (
        *(KNOWN_PUBLIC if hidden else ()),
        ~Project.empty,
        Project.head_sha.is_not(None),
        Project.measured_url.is_not(None),
        older_than(Project.growth_not_before, 0.0),
        or_(
            Project.growth_sha.is_(None),
            Project.growth_sha != Project.head_sha,
            Project.growth_fingerprint.is_(None),
            Project.growth_fingerprint != fingerprint,
        ),
    )


def _claim_next(settings: Settings) -> Claim | None:
    """Claim a project, and delete rows that were counted differently."""
    way = _todays_way(settings)
    if way is None:
        return None
    fingerprint = way.fingerprint
    lacking = tuple(_lacking(settings, fingerprint))
    lease = settings.clone_timeout + settings.measure_timeout + 60.0

    def claim(session: Session) -> Claim | None:
        row = session.scalar(
            select(Project)
            .where(*lacking)
            .order_by(Project.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None or row.head_sha is None or row.measured_url is None:
            return None
        taken = session.execute(
            update(Project)
            .where(Project.id == row.id, older_than(Project.growth_not_before, 0.0))
            .values(growth_not_before=db_in(lease))
            .execution_options(synchronize_session=False)
        )
        if taken.rowcount != 1:  # type: ignore[attr-defined]
            return None
        if row.growth_fingerprint != fingerprint:
            session.execute(delete(Growth).where(Growth.project_id == row.id))
            row.growth_sha = None
            row.growth_fingerprint = fingerprint
        size_kb = row.repository_size_kb or 0.0
        return Claim(
            row.id,
            row.name,
            row.private,
            row.measured_url,
            size_kb,
            row.head_sha,
            row.growth_sha,
            way,
        )

    return run_in_transaction(claim)


def _find_known(claim: Claim) -> list[Snapshot]:
    query = select(Growth.month, Growth.sha, Growth.languages).where(
        Growth.project_id == claim.project_id
    )
    return [
        Snapshot(month, sha, languages)
        for month, sha, languages in run_in_transaction(
            lambda session: session.execute(query).all()
        )
    ]


def _save_month(claim: Claim, month: str, snapshot: Snapshot, lease: float) -> None:
    def save(session: Session) -> None:
        _hold(session, claim, growth_not_before=db_in(lease))
        session.merge(
            Growth(
                project_id=claim.project_id,
                month=month,
                sha=snapshot.commit,
                loc=snapshot.loc,
                languages=snapshot.languages,
            )
        )

    run_in_transaction(save)


def _finish(claim: Claim, months: list[str]) -> None:
    """Mark a project's growth as complete, and delete months that its history no longer has."""

    def finish(session: Session) -> None:
        _hold(session, claim, growth_not_before=None, growth_sha=claim.head_sha)
        there = session.scalars(
            select(Growth.month).where(Growth.project_id == claim.project_id)
        ).all()
        for month in set(there).difference(months):
            session.execute(
                delete(Growth).where(Growth.project_id == claim.project_id, Growth.month == month)
            )

    run_in_transaction(finish)


def _hand_back(claim: Claim, pause: float) -> None:
    """Allow the project to be claimed again after a pause in seconds."""
    run_in_transaction(
        lambda session: session.execute(
            update(Project)
            .where(Project.id == claim.project_id)
            .values(growth_not_before=db_in(pause))
        )
    )


def _hold(session: Session, claim: Claim, **values: object) -> None:
    """Update a claimed project.

    Raises Superseded where it is gone or counted differently now, or another process claimed it.
    """
    held = session.execute(
        update(Project)
        .where(
            Project.id == claim.project_id,
            Project.growth_fingerprint == claim.way.fingerprint,
            or_(
                Project.growth_sha.is_not_distinct_from(claim.growth_sha),
                Project.growth_sha == claim.head_sha,  # a commit that is tried again
            ),
        )
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if held.rowcount != 1:  # type: ignore[attr-defined]
        raise Superseded("the project is gone, or its growth has changed meanwhile")
