"""The name that a project's figures were measured under, and whether languages are missing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the missing columns; every row is kept."""
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("project")}
    with op.batch_alter_table("project") as batch:
        for column in new_columns():
            if column.name not in there:
                batch.add_column(column)


def downgrade() -> None:
    """Refuse."""
    raise CommandError("this migration cannot be undone without losing figures: restore a backup")


def new_columns() -> list[sa.Column[object]]:
    """Return the new columns of a project."""
    return [
        sa.Column("measured_name", sa.Text()),
        sa.Column("measured_url", sa.Text()),
        sa.Column("recheck_head", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("lacks_languages", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]
