"""The figures' revision, and the code lines of each language."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, with its one row, and the column."""
    inspector = sa.inspect(op.get_bind())
    if "languages_loc" not in {column["name"] for column in inspector.get_columns("project")}:
        op.add_column("project", sa.Column("languages_loc", sa.JSON()))
    if "revision" in inspector.get_table_names():
        return
    table = op.create_table(
        "revision",
        sa.Column("id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="revision_pkey"),
    )
    op.bulk_insert(table, [{"id": 1, "value": 0}])


def downgrade() -> None:
    """Refuse."""
    raise CommandError("this migration cannot be undone without losing figures: restore a backup")
