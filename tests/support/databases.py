"""A minimal application with a database, and databases of the first release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

import models
from database import schema
from database.engine import engine_options

SCALES = {
    # What the first release's create_all may have made: its models are not known to the letter.
    "small": {"name": "VARCHAR(100) NOT NULL", "minutes": "INTEGER", "size": "FLOAT"},
    "wide": {"name": "VARCHAR(255)", "minutes": "FLOAT", "size": "INTEGER"},
}

PROJECTS = [
    # id, name, minutes, loc, commits, active days, last commit, churn, language, size
    (1, "alpha", 90, 1200, 40, 7, "2024-02-29 23:59:59.123456", 9000, "Python", 12),
    (2, "beta", None, None, None, None, None, None, None, None),
    (5, "gamma", 0, 2_000_000_000, 1, 1, "2019-01-01 00:00:00.000000", 2_000_000_000, "C", 3),
]

JOBS = [
    # id, status, started, completed, message, processed, total
    ("job-1", "running", "2024-01-01 10:00:00.000000", None, None, 2, 9),
    ("job-2", "running", "2024-01-02 10:00:00.000000", None, None, None, None),
    ("job-3", None, None, None, None, None, None),
    ("job-4", "failed", "2024-01-03 10:00:00.000000", None, "rate limited", 0, 9),
    (
        "job-5",
        "failed",
        "2024-01-04 10:00:00.000000",
        "2024-01-04 10:01:00.000000",
        "fatal: https://ghp_abcdefgh@github.com/me/secret not found",
        0,
        9,
    ),
    ("job-6", "completed", "2024-01-05 10:00:00.000000", "2024-01-05 10:09:00.000000", None, 9, 9),
]


def make_app(url: str) -> Flask:
    """Make an application that has a database and nothing else."""
    url = url.replace("postgres://", "postgresql+psycopg2://", 1)
    app = Flask("database")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url)
    models.db.init_app(app)
    return app


@contextmanager
def opened(url: str) -> Iterator[Flask]:
    """Work in the context of such an application, and close its connections afterwards."""
    app = make_app(url)
    with app.app_context():
        try:
            yield app
        finally:
            models.db.session.remove()
            models.db.engine.dispose()


def migrate_database(url: str) -> None:
    """Migrate a database to the current schema and close every connection to it."""
    with opened(url) as app:
        schema.upgrade_database(app)


def first_release_tables(url: str, scale: str) -> list[str]:
    """Return the first release's tables as its create_all made them."""
    sqlite = make_url(url).get_backend_name() == "sqlite"
    types = SCALES[scale]
    key = "INTEGER NOT NULL" if sqlite else "SERIAL NOT NULL"
    moment = "DATETIME" if sqlite else "TIMESTAMP WITHOUT TIME ZONE"
    return [
        f"""CREATE TABLE project (
            id {key}, name {types["name"]}, time_spent_min {types["minutes"]}, loc INTEGER,
            commit_count INTEGER, active_days INTEGER, last_commit_date {moment},
            code_churn INTEGER, primary_language VARCHAR(100), repository_size_kb {types["size"]},
            PRIMARY KEY (id), UNIQUE (name))""",
        f"""CREATE TABLE refresh_job (
            id VARCHAR(36) NOT NULL, status VARCHAR(50), started_at {moment},
            completed_at {moment}, error_message TEXT, repositories_processed INTEGER,
            total_repositories INTEGER, PRIMARY KEY (id))""",
    ]


def make_first_release(url: str, scale: str) -> None:
    """Fill a database as the first release did."""
    url = url.replace("postgres://", "postgresql+psycopg2://", 1)
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in first_release_tables(url, scale):
            connection.exec_driver_sql(statement)
        mark = "?" if engine.dialect.name == "sqlite" else "%s"
        for table, rows in (("project", PROJECTS), ("refresh_job", JOBS)):
            for row in rows:
                marks = ", ".join([mark] * len(row))
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", row)
