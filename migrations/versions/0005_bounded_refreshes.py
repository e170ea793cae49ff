"""Limits on the number and size of refreshes, and indexes for their queries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEPT = 1000
FAILURES_NAMED = 20
REASON_KEPT = 500
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
INDEXES = {
    "ix_refresh_job_created_at": ["created_at"],
    "ix_refresh_job_status_completed_at": ["status", "completed_at"],
}

refresh_job = sa.table(
    "refresh_job",
    sa.column("id", sa.String),
    sa.column("status", sa.String),
    sa.column("created_at", sa.DateTime()),
    sa.column("started_at", sa.DateTime()),
    sa.column("completed_at", sa.DateTime()),
    sa.column("failures", sa.JSON(none_as_null=True)),
    sa.column("failed_repositories", sa.Integer),
    sa.column("first_release", sa.Boolean),
)


def upgrade() -> None:
    """Add what is missing, and delete only what every refresh would delete."""
    inspector = sa.inspect(op.get_bind())
    columns = {column["name"] for column in inspector.get_columns("refresh_job")}
    if "failed_repositories" not in columns:
        op.add_column("refresh_job", failed_repositories())
    if "first_release" not in columns:
        op.add_column("refresh_job", first_release())
    date_refreshes()
    present = {index["name"] for index in inspector.get_indexes("refresh_job")}
    for name, indexed in INDEXES.items():
        if name not in present:
            op.create_index(name, "refresh_job", indexed)
    delete_oldest()
    shorten_failures()


def downgrade() -> None:
    """Refuse."""
    raise CommandError("this migration cannot be undone without losing messages: restore a backup")


def failed_repositories() -> sa.Column[Any]:
    """Return the column with the number of a refresh's failures, of which not all are kept."""
    return sa.Column(
        "failed_repositories", sa.Integer(), nullable=False, server_default=sa.text("0")
    )


def first_release() -> sa.Column[Any]:
    """Return the column that marks refreshes of the first release."""
    return sa.Column("first_release", sa.Boolean(), nullable=False, server_default=sa.false())


def date_refreshes() -> None:
    """Mark the refreshes of the first release, and date them, so that an index orders them all."""
    dated = sa.func.coalesce(refresh_job.c.started_at, LONG_AGO)
    op.execute(
        refresh_job.update()
        .where(refresh_job.c.created_at.is_(None))
        .values(created_at=dated, first_release=sa.true())
    )


def delete_oldest() -> None:
    """Keep the newest refreshes, what is under way, and the last completed one."""
    newest = sa.select(refresh_job.c.id).order_by(refresh_job.c.created_at.desc()).limit(KEPT)
    last_completed = (
        sa.select(refresh_job.c.id)
        .where(refresh_job.c.status == "completed", refresh_job.c.completed_at.is_not(None))
        .order_by(refresh_job.c.completed_at.desc())
        .limit(1)
    )
    op.execute(
        refresh_job.delete().where(
            refresh_job.c.status.in_(["completed", "failed"]),
            refresh_job.c.id.not_in(newest),
            refresh_job.c.id.not_in(last_completed),
        )
    )


def shorten_failures() -> None:
    """Keep the first failures of each refresh, and count them all."""
    rows = op.get_bind().execute(
        sa.select(refresh_job.c.id, refresh_job.c.failures).where(
            refresh_job.c.failures.is_not(None), refresh_job.c.failed_repositories == 0
        )
    )
    for refresh_id, failures in rows.all():
        kept = [
            {**failure, "reason": (failure["reason"] or "")[:REASON_KEPT]}
            for failure in failures[:FAILURES_NAMED]
        ]
        op.execute(
            refresh_job.update()
            .where(refresh_job.c.id == refresh_id)
            .values(failures=kept, failed_repositories=len(failures))
        )
