"""The migration from whatever schema a database has to the current one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import Migrate
from sqlalchemy.exc import DBAPIError

from database.engine import db, is_unavailable
from errors import StartError

MIGRATIONS: Final = str(Path(__file__).resolve().parent.parent / "migrations")

migrate = Migrate(db=db, directory=MIGRATIONS)


def upgrade_database(app: Flask) -> None:
    """Migrate the database of an app, to which `migrate` is bound, to the current schema.

    Several processes may do so at once: one works, the others wait for it. Raises StartError where
    the database cannot be used, or a newer release has migrated it.
    """
    config = Config()
    config.set_main_option("script_location", MIGRATIONS.replace("%", "%%"))
    with app.app_context():
        try:
            if not _is_current(config):
                command.upgrade(config, "head")
        except DBAPIError as error:
            if not is_unavailable(error) and not _is_forbidden(error):
                raise
            raise StartError(_explain(error)) from error


def _is_current(config: Config) -> bool:
    scripts = ScriptDirectory.from_config(config)
    with db.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in {each.revision for each in scripts.walk_revisions()}:
        raise StartError(
            f"the database has the schema of a newer release ({current}): install that release, "
            "or restore a backup from before it"
        )
    return current == scripts.get_current_head()


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
