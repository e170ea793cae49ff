"""Large figures, GitHub's ids, days of activity, and refreshes made of tasks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAMES = {
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
}
COUNTS = ("time_spent_min", "loc", "commit_count", "active_days", "code_churn")
ACTIVE = "status IN ('queued', 'running')"
INTERRUPTED = "interrupted by an upgrade"
WITHHELD = "the message of an earlier release is not shown: it may not be safe to show"
# Paths, URLs, tracebacks, SQL and tokens: the first release stored the texts of exceptions.
UNFIT = re.compile(r"[/\\\n]|Traceback|\[SQL|gh[a-z]_\w|github_pat_|[0-9a-f]{40}")

project = sa.table("project", sa.column("id"), sa.column("name"), *map(sa.column, COUNTS))
refresh_job = sa.table(
    "refresh_job",
    *map(
        sa.column,
        ("id", "status", "error_message", "repositories_processed", "total_repositories"),
    ),
    sa.column("completed_at", sa.DateTime()),
)


def upgrade() -> None:
    """Migrate what has not been migrated, and keep every row."""
    if "github_id" not in columns("project"):
        widen_project()
    if "slot" not in columns("refresh_job"):
        withhold_messages()
        widen_refresh_job()
    if "one_active_refresh" not in indexes("refresh_job"):
        allow_one_active_refresh()
    tables = sa.inspect(op.get_bind()).get_table_names()
    if "activity_day" not in tables:
        create_activity_day()
    if "refresh_task" not in tables:
        create_refresh_task()
    if "ix_refresh_task_refresh_id_state_position" not in indexes("refresh_task"):
        op.create_index(
            "ix_refresh_task_refresh_id_state_position",
            "refresh_task",
            ["refresh_id", "state", "position"],
        )


def downgrade() -> None:
    """Refuse."""
    raise CommandError("this migration cannot be undone without losing figures: restore a backup")


def columns(table: str) -> dict[str, Any]:
    """Return a table's present columns."""
    return {column["name"]: column for column in sa.inspect(op.get_bind()).get_columns(table)}


def indexes(table: str) -> set[str | None]:
    """Return the names of a table's present indexes."""
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def widen_project() -> None:
    """Migrate the first release's table of projects."""
    # A cast to an integer truncates on one engine and rounds on the other.
    rounded = {name: sa.func.round(project.c[name]) for name in COUNTS}
    op.execute(project.update().values(rounded))
    op.execute(
        project.update()
        .where(project.c.name.is_(None))
        .values(name=sa.literal("project ") + sa.cast(project.c.id, sa.String))
    )
    inspector = sa.inspect(op.get_bind())
    for index in inspector.get_indexes("project"):
        if "duplicates_constraint" not in index:
            op.drop_index(index["name"], "project")
    unique = [
        constraint["column_names"] for constraint in inspector.get_unique_constraints("project")
    ]
    old = columns("project")
    with op.batch_alter_table("project", naming_convention=NAMES) as batch:
        for name in COUNTS:
            batch.alter_column(name, existing_type=old[name]["type"], type_=sa.BigInteger())
        alter = {
            "name": (sa.String(255), False),
            "primary_language": (sa.String(100), True),
            "repository_size_kb": (sa.Double(), True),
        }
        for name, (type_, nullable) in alter.items():
            batch.alter_column(
                name, existing_type=old[name]["type"], type_=type_, nullable=nullable
            )
        if ["name"] not in unique:
            batch.create_unique_constraint("project_name_key", ["name"])
        for column in project_columns():
            batch.add_column(column)
        batch.create_unique_constraint("project_github_id_key", ["github_id"])
    number_on_from_the_last_project()


def number_on_from_the_last_project() -> None:
    """Set PostgreSQL's sequence to the last row: in a restored table it may still be at 1."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('project', 'id'), max(id)) FROM project "
            "HAVING max(id) IS NOT NULL"
        )


def project_columns() -> list[sa.Column[Any]]:
    """Return the new columns of a project."""
    return [
        sa.Column("github_id", sa.BigInteger()),
        sa.Column("first_commit_date", sa.DateTime()),
        sa.Column("languages", sa.JSON()),
        sa.Column("url", sa.Text()),
        sa.Column("private", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("empty", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("default_branch", sa.Text()),
        sa.Column("pushed_at", sa.DateTime()),
        sa.Column("loc_source", sa.String(20)),
        sa.Column("head_sha", sa.String(64)),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("measured_at", sa.DateTime()),
        sa.Column("stale_reason", sa.Text()),
    ]


def withhold_messages() -> None:
    """Replace the messages of old refreshes that may hold a path, a URL or a token."""
    query = sa.select(refresh_job.c.id, refresh_job.c.error_message).where(
        refresh_job.c.error_message.is_not(None)
    )
    for job_id, message in op.get_bind().execute(query).all():
        if UNFIT.search(message):
            op.execute(
                refresh_job.update()
                .where(refresh_job.c.id == job_id)
                .values(error_message=WITHHELD)
            )


def widen_refresh_job() -> None:
    """Migrate the first release's table of refreshes."""
    end_refreshes(
        sa.func.coalesce(refresh_job.c.status, "").not_in(
            ["queued", "running", "completed", "failed"]
        )
    )
    counters = ("repositories_processed", "total_repositories")
    op.execute(
        refresh_job.update().values({n: sa.func.coalesce(refresh_job.c[n], 0) for n in counters})
    )
    old = columns("refresh_job")
    with op.batch_alter_table("refresh_job", naming_convention=NAMES) as batch:
        batch.alter_column(
            "status", existing_type=old["status"]["type"], type_=sa.String(20), nullable=False
        )
        batch.alter_column(
            "error_message", existing_type=old["error_message"]["type"], type_=sa.Text()
        )
        for name in counters:
            batch.alter_column(
                name,
                existing_type=old[name]["type"],
                nullable=False,
                server_default=sa.text("0"),
            )
        for column in refresh_job_columns():
            batch.add_column(column)


def refresh_job_columns() -> list[sa.Column[Any]]:
    """Return the new columns of a refresh."""
    return [
        sa.Column("slot", sa.SmallInteger(), nullable=False, server_default=sa.text("1")),
        sa.Column("created_at", sa.DateTime()),
        sa.Column("forced", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("heartbeat_at", sa.DateTime()),
        sa.Column("failures", sa.JSON()),
        sa.Column("rate_limit_remaining", sa.Integer()),
        sa.Column("rate_limit_reset_at", sa.DateTime()),
        sa.Column("planned_at", sa.DateTime()),
    ]


def allow_one_active_refresh() -> None:
    """End the active refreshes, of which there may be several, and allow only one."""
    end_refreshes(refresh_job.c.status.in_(["queued", "running"]))
    op.create_index(
        "one_active_refresh",
        "refresh_job",
        ["slot"],
        unique=True,
        sqlite_where=sa.text(ACTIVE),
        postgresql_where=sa.text(ACTIVE),
    )


def end_refreshes(which: sa.ColumnElement[bool]) -> None:
    """Mark refreshes as failed, keeping their messages."""
    now = sa.literal(datetime.now(UTC).replace(tzinfo=None), sa.DateTime())
    op.execute(
        refresh_job.update()
        .where(which)
        .values(
            status="failed",
            completed_at=sa.func.coalesce(refresh_job.c.completed_at, now),
            error_message=sa.func.coalesce(refresh_job.c.error_message, INTERRUPTED),
        )
    )


def create_activity_day() -> None:
    """Make the table of what was committed on each day."""
    op.create_table(
        "activity_day",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("commits", sa.BigInteger(), nullable=False),
        sa.Column("additions", sa.BigInteger(), nullable=False),
        sa.Column("deletions", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name="activity_day_project_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "day", name="activity_day_pkey"),
    )


def create_refresh_task() -> None:
    """Make the table of tasks."""
    op.create_table(
        "refresh_task",
        sa.Column("refresh_id", sa.String(36), nullable=False),
        sa.Column("github_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("deaths", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("heartbeat_at", sa.DateTime()),
        sa.Column("reason", sa.Text()),
        sa.ForeignKeyConstraint(
            ["refresh_id"],
            ["refresh_job.id"],
            name="refresh_task_refresh_id_fkey",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("refresh_id", "github_id", name="refresh_task_pkey"),
    )
