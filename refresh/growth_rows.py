"""The rows of growth: how they are counted, and their update by a push."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

import measure
from config import GrowthMode
from models import Growth, Project


@dataclass(frozen=True)
class Way:
    """The periods by which growth is measured, and the fingerprint of its rows."""

    by: measure.By
    fingerprint: str


def find_way(mode: GrowthMode, counter: str, options: measure.Options) -> Way | None:
    """Return how growth is measured with a counter; None where it is off or not by cloc."""
    if mode is GrowthMode.OFF or not counter.startswith("cloc"):
        return None
    # The authors make no difference to lines of code.
    fingerprint = measure.fingerprint(counter, replace(options, author_patterns=None))
    by: measure.By = "year" if mode is GrowthMode.YEAR else "month"
    return Way(by, f"{fingerprint}-{mode}")


def month_of(period: str, now: datetime) -> str:
    """Return the month at whose end a period ends; the current one ends now."""
    this_month = f"{now:%Y-%m}"
    return period if len(period) == len(this_month) else min(f"{period}-12", this_month)


def add_push(
    session: Session, row: Project, figures: measure.Figures, way: Way, now: datetime
) -> None:
    """Complete a project's growth for its new head, if it was complete for the one before.

    Where the push may have changed more than the current period, nothing changes, and the project
    lacks growth.
    """
    if figures.since is None or figures.advance is None or row.growth_sha != figures.since:
        return
    if row.growth_fingerprint != way.fingerprint or figures.head_sha == figures.since:
        return
    rows = select(Growth).where(Growth.project_id == row.id)
    last = session.scalar(rows.order_by(Growth.month.desc()).limit(1))
    # The rows may be of a later head, which the clone that they come from has found.
    if last is None or last.sha != figures.since:
        return
    current = f"{now:%Y-%m}"
    period = last.month[:4] if way.by == "year" else last.month
    if not measure.changes_current_alone(period, figures.advance, way.by, now):
        return
    if current.startswith(period):
        session.delete(last)
        session.flush()
    elif month_of(period, now) != last.month:
        return  # in its year this was the current month, and is to be December now
    session.add(
        Growth(
            project_id=row.id,
            month=current,
            sha=figures.head_sha,
            loc=figures.count.loc,
            languages=figures.count.languages,
        )
    )
    row.growth_sha = figures.head_sha
    row.growth_not_before = None
