"""The owner of a project."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the next listing fills it."""
    columns = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("project")}
    if "owner" not in columns:
        op.add_column("project", sa.Column("owner", sa.Text()))


def downgrade() -> None:
    """Refuse."""
    raise CommandError("this migration cannot be undone without losing figures: restore a backup")
