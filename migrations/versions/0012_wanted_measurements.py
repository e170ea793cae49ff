"""Requests of GitHub's events to measure repositories, and the refreshes for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is missing; every refresh so far was a full one."""
    inspector = sa.inspect(op.get_bind())
    columns = {column["name"] for column in inspector.get_columns("refresh_job")}
    if "kind" not in columns:
        kind = sa.Column("kind", sa.String(10), nullable=False, server_default=sa.text("'full'"))
        op.add_column("refresh_job", kind)
    if "wanted_measurement" not in inspector.get_table_names():
        op.create_table(
            "wanted_measurement",
            sa.Column("github_id", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("mark", sa.BigInteger()),
            sa.Column("forced", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("not_before", sa.DateTime()),
            sa.PrimaryKeyConstraint("github_id"),
        )


def downgrade() -> None:
    """Refuse."""
    raise CommandError("this migration cannot be undone without losing figures: restore a backup")
