"""The authors of commits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0011"
down_revision = "0009"
branch_labels = None
depends_on = None

ADDED = {
    "project": ("own_commits", "own_active_days", "own_churn", "bot_commits"),
    "activity_day": ("own_commits", "own_additions", "own_deletions"),
}


def upgrade() -> None:
    """Add the columns; the next measurement of each project fills them."""
    for table, names in ADDED.items():
        for name in names:
            _add(table, sa.Column(name, sa.BigInteger()))
    _add("refresh_job", sa.Column("own_addresses", sa.JSON()))


def _add(table: str, column: sa.Column[object]) -> None:
    there = {each["name"] for each in sa.inspect(op.get_bind()).get_columns(table)}
    if column.name not in there:
        op.add_column(table, column)


def downgrade() -> None:
    """Refuse."""
    raise CommandError("this migration cannot be undone without losing figures: restore a backup")
