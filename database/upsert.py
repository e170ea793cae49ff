"""INSERT ... ON CONFLICT DO UPDATE on both engines."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from sqlalchemy.orm import DeclarativeBase, Session


def upsert(
    session: Session,
    model: type[DeclarativeBase],
    key: str,
    values: Mapping[str, Any],
    changed: Mapping[str, Any],
) -> None:
    """Insert a row, or update the row with the same value in the column `key`."""
    # Only the engine's dialect is imported: PostgreSQL's takes a tenth of a start on SQLite.
    dialect = import_module(f"sqlalchemy.dialects.{session.get_bind().dialect.name}")
    session.execute(
        dialect.insert(model)
        .values(**values)
        .on_conflict_do_update(index_elements=[key], set_=changed)
    )
