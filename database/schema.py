"""The way from whatever schema a database has to today's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import Migrate

from database.engine import db

MIGRATIONS: Final = str(Path(__file__).resolve().parent.parent / "migrations")

migrate = Migrate(db=db, directory=MIGRATIONS)


def upgrade_database(app: Flask) -> None:
    """Bring the database of an app, to which `migrate` is bound, to today's schema.

    Several processes may do so at once: one works, the others wait for it.
    """
    config = Config()
    config.set_main_option("script_location", MIGRATIONS.replace("%", "%%"))
    with app.app_context():
        if not _is_current(config):
            command.upgrade(config, "head")


def _is_current(config: Config) -> bool:
    head = ScriptDirectory.from_config(config).get_current_head()
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() == head
