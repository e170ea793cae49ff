"""The tables of the first release, unless its create_all has made them already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the missing tables."""
    tables = sa.inspect(op.get_bind()).get_table_names()
    if "refresh_job" not in tables:
        create_refresh_job()
    if "project" not in tables:
        create_project()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("project")
    op.drop_table("refresh_job")


def create_refresh_job() -> None:
    """Make the table of refreshes."""
    op.create_table(
        "refresh_job",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("status", sa.String(20)),
        sa.Column("started_at", sa.DateTime()),
        sa.Column("completed_at", sa.DateTime()),
        sa.Column("error_message", sa.Text()),
        sa.Column("repositories_processed", sa.Integer()),
        sa.Column("total_repositories", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="refresh_job_pkey"),
    )


def create_project() -> None:
    """Make the table of projects."""
    op.create_table(
        "project",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("time_spent_min", sa.Integer()),
        sa.Column("loc", sa.Integer()),
        sa.Column("commit_count", sa.Integer()),
        sa.Column("active_days", sa.Integer()),
        sa.Column("last_commit_date", sa.DateTime()),
        sa.Column("code_churn", sa.Integer()),
        sa.Column("primary_language", sa.String(100)),
        sa.Column("repository_size_kb", sa.Float()),
        sa.PrimaryKeyConstraint("id", name="project_pkey"),
        sa.UniqueConstraint("name", name="project_name_key"),
    )
