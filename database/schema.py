"""The migration of a database from any earlier schema to the current one.

Alembic is loaded only where there is something to migrate: it takes a tenth of a process's memory,
and almost every process finds its database migrated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flask import Flask
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from database.engine import db, is_unavailable
from errors import StartError

MIGRATIONS: Final = Path(__file__).resolve().parent.parent / "migrations"

_REVISION: Final = re.compile(r'^revision = "(.+)"$', re.MULTILINE)
_DOWN_REVISION: Final = re.compile(r'^down_revision = "(.+)"$', re.MULTILINE)


def upgrade_database(app: Flask) -> None:
    """Migrate the database of an app to the current schema.

    Several processes may call it at the same time: one migrates, the others wait. Raises StartError
    where the database cannot be used, or a newer release has migrated it.
    """
    with app.app_context(), _explaining():
        if not _is_current():
            migrate_to("head")


def is_current(app: Flask) -> bool:
    """Return whether the database of an app has the current schema. Raises StartError as above."""
    with app.app_context(), _explaining():
        return _is_current()


@contextmanager
def _explaining() -> Iterator[None]:
    """Turn the errors of a database that cannot be used into StartError."""
    try:
        yield
    except DBAPIError as error:
        if not is_unavailable(error) and not _is_forbidden(error):
            raise
        raise StartError(_explain(error)) from error


def migrate_to(revision: str) -> None:
    """Run the migrations up to a revision on the database of the current app."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, revision)


def read_revisions() -> tuple[frozenset[str], str]:
    """Return the revisions that the migrations lead to, and the last of them."""
    texts = [file.read_text("utf-8") for file in (MIGRATIONS / "versions").glob("*.py")]
    revisions = frozenset(found for each in texts for found in _REVISION.findall(each))
    (head,) = revisions.difference(*(_DOWN_REVISION.findall(each) for each in texts))
    return revisions, head


def _is_current() -> bool:
    revisions, head = read_revisions()
    current = _fetch_revision()
    if current is not None and current not in revisions:
        raise StartError(
            f"the database has the schema of a newer release ({current}): install that release, "
            "or restore a backup from before it"
        )
    return current == head


def _fetch_revision() -> str | None:
    with db.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        query = text("SELECT version_num FROM alembic_version")
        revision: str | None = connection.scalar(query)
        return revision


def _is_forbidden(error: DBAPIError) -> bool:
    return getattr(error.orig, "pgcode", None) == "42501"  # insufficient_privilege


def _explain(error: DBAPIError) -> str:
    url = db.engine.url
    reason = str(error.orig).strip().splitlines()[0]
    if url.get_backend_name() == "sqlite":
        return f"the database file {url.database} cannot be used: {reason}"
    if url.password:
        reason = reason.replace(url.password, "***")
    return f"the database of DATABASE_URL cannot be used: {reason}"
