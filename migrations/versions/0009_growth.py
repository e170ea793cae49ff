"""The lines of each month, and the counts of the files of each project's head."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is missing."""
    inspector = sa.inspect(op.get_bind())
    present = {column["name"] for column in inspector.get_columns("project")}
    for column in project_columns():
        if column.name not in present:
            op.add_column("project", column)
    tables = inspector.get_table_names()
    if "growth" not in tables:
        create_growth()
    if "file_counts" not in tables:
        create_file_counts()


def downgrade() -> None:
    """Refuse."""
    raise CommandError("this migration cannot be undone without losing figures: restore a backup")


def project_columns() -> list[sa.Column[Any]]:
    """Return the columns of a project about its growth."""
    return [
        sa.Column("growth_sha", sa.String(64)),
        sa.Column("growth_fingerprint", sa.String(64)),
        sa.Column("growth_not_before", sa.DateTime()),
    ]


def create_growth() -> None:
    """Make the table of the lines of each month."""
    op.create_table(
        "growth",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("sha", sa.String(64), nullable=False),
        sa.Column("loc", sa.BigInteger(), nullable=False),
        sa.Column("languages", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name="growth_project_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "month", name="growth_pkey"),
    )


def create_file_counts() -> None:
    """Make the table of the counts of files."""
    op.create_table(
        "file_counts",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("head_sha", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name="file_counts_project_id_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", name="file_counts_pkey"),
    )
