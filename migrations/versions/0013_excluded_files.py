"""The files of a project that are left out as generated."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; so far none was left out."""
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("project")}
    if "excluded_files" not in columns:
        op.add_column("project", sa.Column("excluded_files", sa.BigInteger()))


def downgrade() -> None:
    """Refuse."""
    raise CommandError("this migration cannot be undone without losing figures: restore a backup")
