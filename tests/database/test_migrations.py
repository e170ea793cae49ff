"""A database of any earlier release is migrated to the current schema with every row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import IntegrityError

from config import PrivateMode
from database.schema import MIGRATIONS, migrate_to, read_revisions, upgrade_database
from models import ACTIVE, ActivityDay, Project, RefreshJob, RefreshStatus, db, recent_jobs
from tests.support.databases import JOBS, PROJECTS, SCALES, make_first_release, opened

ROOT = Path(__file__).parents[2]
UPGRADE = """
import sys
from database.schema import upgrade_database
from tests.support.databases import opened
with opened(sys.argv[1]) as app:
    upgrade_database(app)
"""
# Imported before the fork, so that all three reach the database at once.
UPGRADE_AT_ONCE = """
import multiprocessing, sys
import alembic.command
from database.schema import upgrade_database
from tests.support.databases import opened

def upgrade():
    with opened(sys.argv[1]) as app:
        upgrade_database(app)

fork = multiprocessing.get_context("fork")
processes = [fork.Process(target=upgrade) for _ in range(3)]
for process in processes:
    process.start()
for process in processes:
    process.join()
print([process.exitcode for process in processes])
"""


pytestmark = pytest.mark.dialect


@pytest.fixture
def database_url(empty_database_url):
    return empty_database_url


@pytest.fixture(params=SCALES)
def first_release(request, database_url):
    make_first_release(database_url, request.param)
    return database_url


def differences() -> list:
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), db.metadata)


HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()


def revisions() -> list:
    return list(db.session.scalars(text("SELECT version_num FROM alembic_version")))


def assert_rows_kept() -> None:
    expected = [
        (id_, name, None if minutes is None else round(minutes), loc, commits, days, churn)
        for id_, name, minutes, loc, commits, days, _, churn, _, _ in PROJECTS
    ]
    projects = db.session.scalars(select(Project).order_by(Project.id)).all()
    assert [
        (p.id, p.name, p.time_spent_min, p.loc, p.commit_count, p.active_days, p.code_churn)
        for p in projects
    ] == expected
    assert projects[0].last_commit_date == datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
    assert [p.repository_size_kb for p in projects] == [12.0, None, 3.0]
    assert db.session.scalars(select(RefreshJob.id).order_by(RefreshJob.id)).all() == [
        job[0] for job in JOBS
    ]


def test_the_revisions_are_those_that_alembic_finds():
    scripts = ScriptDirectory(str(MIGRATIONS))
    revisions, head = read_revisions()
    assert revisions == {script.revision for script in scripts.walk_revisions()}
    assert head == scripts.get_current_head()


def test_alembic_is_loaded_only_where_there_is_something_to_migrate(tmp_path):
    url = f"sqlite:///{tmp_path}/tracker.sqlite"
    loaded = f"{UPGRADE}\nprint('alembic' in sys.modules)"
    said = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", loaded, url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert said == ["True\n", "False\n"]


def test_an_empty_database_gets_the_current_schema(database_url):
    with opened(database_url) as app:
        upgrade_database(app)
        assert differences() == []
        assert revisions() == [HEAD]


def test_a_first_release_is_brought_up_with_every_row(first_release):
    with opened(first_release) as app:
        upgrade_database(app)
        assert differences() == []
        assert_rows_kept()


def test_a_database_of_todays_create_all_is_taken_as_it_is(database_url):
    with opened(database_url) as app:
        db.create_all()
        db.session.add(Project(name="new", github_id=1))
        db.session.add(RefreshJob(id="under way", status=RefreshStatus.RUNNING))
        db.session.commit()
        upgrade_database(app)
        assert differences() == []
        assert revisions() == [HEAD]
        assert db.session.scalars(select(Project.name)).all() == ["new"]
        # Nothing had to be changed, so nothing was interrupted.
        assert db.session.scalars(select(RefreshJob.status)).all() == ["running"]


def test_a_first_release_on_which_todays_create_all_was_run(first_release):
    with opened(first_release) as app:
        db.create_all()
        upgrade_database(app)
        assert differences() == []
        assert_rows_kept()


def test_a_second_upgrade_changes_nothing(first_release):
    with opened(first_release) as app:
        upgrade_database(app)
        db.session.add(RefreshJob(id="under way", status=RefreshStatus.RUNNING))
        db.session.commit()
        upgrade_database(app)
        under_way = db.session.get_one(RefreshJob, "under way")
        assert under_way.status == RefreshStatus.RUNNING
        db.session.delete(under_way)
        assert_rows_kept()


def test_refreshes_of_the_first_release_are_over(first_release):
    with opened(first_release) as app:
        upgrade_database(app)
        jobs = {job.id: job for job in db.session.scalars(recent_jobs())}
        assert [jobs[f"job-{n}"].status for n in range(1, 7)] == ["failed"] * 5 + ["completed"]
        assert jobs["job-1"].error_message == "interrupted by an upgrade"
        assert jobs["job-1"].completed_at is not None
        assert jobs["job-2"].repositories_processed == 0
        assert not db.session.scalars(select(RefreshJob).where(RefreshJob.status.in_(ACTIVE))).all()
        # The latest first; the one that never started last.
        assert [job.id for job in db.session.scalars(recent_jobs())] == [
            "job-6",
            "job-5",
            "job-4",
            "job-2",
            "job-1",
            "job-3",
        ]


def test_messages_of_the_first_release_that_may_hold_a_secret_are_withheld(first_release):
    with opened(first_release) as app:
        upgrade_database(app)
        leaky, harmless = (db.session.get_one(RefreshJob, f"job-{n}") for n in (5, 4))
        assert leaky.error_message == (
            "the message of an earlier release is not shown: it may not be safe to show"
        )
        assert harmless.explain(PrivateMode.SHOW) == "rate limited"
        # It is not known whether it names a private repository.
        assert harmless.explain(PrivateMode.COUNT) == (
            "the message of an earlier release is not shown"
        )


def test_only_one_refresh_can_be_active_after_the_upgrade(first_release):
    with opened(first_release) as app:
        upgrade_database(app)
        db.session.add(RefreshJob(id="one", status=RefreshStatus.QUEUED))
        db.session.commit()
        db.session.add(RefreshJob(id="two", status=RefreshStatus.RUNNING))
        with pytest.raises(IntegrityError):
            db.session.commit()


def test_projects_can_be_added_after_the_upgrade(first_release):
    with opened(first_release) as app:
        upgrade_database(app)
        db.session.add(Project(name="new"))
        db.session.commit()
        assert db.session.scalar(select(func.count(Project.id))) == len(PROJECTS) + 1


def test_figures_beyond_32_bits_fit_after_the_upgrade(first_release):
    with opened(first_release) as app:
        upgrade_database(app)
        project = db.session.get_one(Project, 1)
        project.loc = project.code_churn = project.github_id = 3_000_000_000
        db.session.commit()
        db.session.expire_all()
        assert (project.loc, project.code_churn) == (3_000_000_000, 3_000_000_000)


def test_days_stay_with_their_project_when_its_table_is_rebuilt(database_url):
    make_first_release(database_url, "small")
    with opened(database_url) as app:
        db.create_all()
        day = datetime(2024, 1, 1, tzinfo=UTC).date()
        db.session.add(ActivityDay(project_id=1, day=day, commits=1, additions=2, deletions=3))
        db.session.commit()
        upgrade_database(app)
        assert db.session.get_one(ActivityDay, (1, day)).additions == 2


def test_an_upgrade_that_fails_leaves_everything_as_it_was(database_url):
    make_first_release(database_url, "small")
    with opened(database_url) as app:
        with db.engine.begin() as connection:
            # Something that today's unique name does not allow.
            connection.exec_driver_sql("ALTER TABLE project RENAME TO old")
            connection.exec_driver_sql("CREATE TABLE project AS SELECT * FROM old")
            connection.exec_driver_sql("INSERT INTO project SELECT * FROM old")
            connection.exec_driver_sql("DROP TABLE old")
        before = {column["name"] for column in inspect(db.engine).get_columns("project")}
        with pytest.raises(IntegrityError):
            upgrade_database(app)
        after = inspect(db.engine)
        assert {column["name"] for column in after.get_columns("project")} == before
        assert set(after.get_table_names()) == {"project", "refresh_job"}
        if db.engine.dialect.name == "sqlite":
            assert db.session.scalar(text("PRAGMA foreign_keys")) == 1


@pytest.mark.parametrize(
    "left_by", [pytest.param("nobody", marks=pytest.mark.long), "first release"]
)
def test_several_processes_can_upgrade_at_once(database_url, left_by):
    if left_by == "first release":
        make_first_release(database_url, "small")
    command = [sys.executable, "-W", "error", "-c", UPGRADE_AT_ONCE, database_url]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.stdout == "[0, 0, 0]\n", done.stderr
    with opened(database_url):
        assert differences() == []
        assert revisions() == [HEAD]
        if left_by == "first release":
            assert_rows_kept()


def test_the_command_upgrades_too(empty_sqlite_url, tmp_path):
    make_first_release(empty_sqlite_url, "small")
    (tmp_path / "tiny.py").write_text(
        "import cli\n"
        "from tests.support.databases import make_app\n"
        f"app = make_app({empty_sqlite_url!r})\n"
        "cli.register(app)\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "flask", "--app", "tiny", "upgrade-database"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    with opened(empty_sqlite_url):
        assert differences() == []
        assert_rows_kept()


def test_refreshes_of_an_earlier_release_are_bounded(empty_database_url):
    with opened(empty_database_url) as app:
        migrate_to("0002")
        failures = [
            {"name": f"repo{number}", "private": False, "reason": "r" * 900} for number in range(30)
        ]
        insert = text(
            "INSERT INTO refresh_job (id, status, created_at, completed_at, error_message,"
            " failures, repositories_processed, total_repositories)"
            " VALUES (:id, :status, :at, :at, :message, :failures, 30, 31)"
        )
        newest = datetime(2026, 1, 1)
        rows = [
            {
                "id": f"{number:04}",
                "status": "completed" if number in (0, 1100) else "failed",
                "at": f"{newest - timedelta(minutes=number)}.000000",
                "message": "rate limited" if number else None,
                "failures": None if number else json.dumps(failures),
            }
            for number in range(1200)
        ]
        db.session.execute(insert, rows)
        db.session.commit()

        upgrade_database(app)

        assert db.session.scalar(select(func.count(RefreshJob.id))) == 1000
        first = db.session.get_one(RefreshJob, "0000")
        assert (first.failed_repositories, len(first.failures or ())) == (30, 20)
        message = first.explain(PrivateMode.SHOW) or ""
        assert message.startswith("30 of 31 repositories could not be measured")
        assert message.endswith("and 10 more")
        assert len(message) < 11_000
        # Only messages of the first release may name a private repository.
        assert db.session.get_one(RefreshJob, "0001").explain(PrivateMode.HIDE) == "rate limited"
