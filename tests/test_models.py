"""Stored values are read unchanged on both engines, and have the clients' form."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone

import orjson
import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from config import PrivateMode
from figures.projects import counted, fetch_projects, find_visible, visible
from models import (
    ActivityDay,
    Project,
    RefreshJob,
    RefreshStatus,
    RefreshTask,
    db,
    recent_jobs,
)
from tests.support.databases import opened

SHOW, COUNT, HIDE = PrivateMode.SHOW, PrivateMode.COUNT, PrivateMode.HIDE
MOMENT = datetime(2026, 8, 20, 7, 23, 30, 999999, tzinfo=UTC)


pytestmark = pytest.mark.dialect


@pytest.fixture
def tables(database_url):
    with opened(database_url) as app:
        yield app


def store(*rows):
    db.session.add_all(rows)
    db.session.commit()
    db.session.expire_all()


def shown(name):
    return json.loads(orjson.dumps(find_visible(name, SHOW)))


def found(name, mode):
    project = find_visible(name, mode)
    return project and project["name"]


def named(conditions):
    return {row["name"] for row in fetch_projects(conditions, fields=["name"])}


def names(query):
    return [project.name for project in db.session.scalars(query)]


def test_a_project_looks_as_clients_know_it(tables):
    project = Project(
        github_id=2**40,
        name="redis-py",
        owner="redis",
        time_spent_min=123,
        loc=3_000_000_000,
        commit_count=2549,
        active_days=767,
        first_commit_date=datetime(2012, 2, 12, 13, 40, 11, tzinfo=timezone(timedelta(hours=1))),
        last_commit_date=MOMENT,
        code_churn=2**60,
        own_commits=2000,
        own_active_days=700,
        own_churn=2**59,
        bot_commits=11,
        primary_language="Python",
        repository_size_kb=12.5,
        languages={"Python": 10, "C": 2},
        languages_loc={"Python": 2_999_999_990, "C": 10},
        url="https://github.com/redis/redis-py",
        loc_source="cloc",
        not_counted=[{"reason": "cannot be read", "files": 1, "paths": ["a.c"]}],
        excluded_files=3,
        head_sha="a" * 40,
        measured_at=MOMENT,
        stale_reason="the clone took too long",
    )
    store(project)
    assert shown(project.name) == {
        "name": "redis-py",
        "owner": "redis",
        "time_spent": "123m",
        "time_spent_minutes": 123,
        "loc": 3_000_000_000,
        "commits": 2549,
        "active_days": 767,
        "last_finished": "2026-08-20T07:23:30Z",
        "first_commit": "2012-02-12T12:40:11Z",
        "code_churn": 2**60,
        "own_commits": 2000,
        "own_active_days": 700,
        "own_churn": 2**59,
        "bot_commits": 11,
        "primary_language": "Python",
        "repository_size_kb": 12.5,
        "url": "https://github.com/redis/redis-py",
        "private": False,
        "archived": False,
        "languages": {"Python": 10, "C": 2},
        "languages_loc": {"Python": 2_999_999_990, "C": 10},
        "loc_source": "cloc",
        "not_counted": [{"reason": "cannot be read", "files": 1, "paths": ["a.c"]}],
        "excluded_files": 3,
        "head_sha": "a" * 40,
        "measured_at": "2026-08-20T07:23:30Z",
        "stale": True,
        "stale_reason": "the clone took too long",
    }


def test_a_project_without_figures(tables):
    project = Project(name="old")
    store(project)
    answer = shown(project.name)
    assert {name: value for name, value in answer.items() if value is None} == dict.fromkeys(
        (
            "owner",
            "last_finished",
            "first_commit",
            "own_commits",
            "own_active_days",
            "own_churn",
            "bot_commits",
            "url",
            "loc_source",
            "not_counted",
            "head_sha",
            "measured_at",
            "stale_reason",
        )
    )
    assert answer["time_spent"] == "0m"
    assert answer["primary_language"] == "Unknown"
    assert answer["languages"] == answer["languages_loc"] == {}
    assert [answer[n] for n in ("loc", "commits", "code_churn", "repository_size_kb")] == [0] * 4
    assert answer["stale"] is False


@pytest.mark.parametrize(
    "moment", [MOMENT, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)]
)
def test_timestamps_come_back_aware_and_in_utc(tables, moment):
    project = Project(name="a", pushed_at=moment)
    store(project)
    assert project.pushed_at == moment
    assert project.pushed_at.utcoffset() == timedelta(0)


def test_timestamps_can_be_compared_by_the_database(tables):
    store(Project(name="a", pushed_at=MOMENT))
    other = MOMENT.astimezone(timezone(timedelta(hours=-9)))
    assert names(select(Project).where(Project.pushed_at == other)) == ["a"]
    assert names(select(Project).where(Project.pushed_at < other)) == []


def test_a_naive_timestamp_is_refused(tables):
    db.session.add(Project(name="a", pushed_at=MOMENT.replace(tzinfo=None)))
    with pytest.raises(StatementError, match="without a time zone"):
        db.session.commit()


def test_text_that_an_engine_refuses_is_cleaned(tables):
    project = Project(
        name="a\0b\udc80",
        default_branch="ü\0\U0001f600",
        stale_reason="x" * 10_000,
        languages={"C\0": 1, "\ud800D": 2},
    )
    store(project)
    assert project.name == "ab"
    assert project.default_branch == "ü\U0001f600"
    assert project.stale_reason == "x" * 10_000
    assert project.languages == {"C": 1, "D": 2}


def test_no_structure_is_null_and_not_json(tables):
    store(Project(name="a", languages=None), Project(name="b"))
    query = text("SELECT count(*) FROM project WHERE languages IS NULL")
    assert db.session.scalar(query) == 2


@pytest.mark.parametrize(
    ("mode", "seen", "added_up"),
    [
        (SHOW, ["open", "secret", "unmatched"], {"open", "secret", "unmatched"}),
        (COUNT, ["open"], {"open", "secret", "unmatched"}),
        (HIDE, ["open"], {"open"}),
    ],
)
def test_who_is_named_and_who_is_counted(tables, mode, seen, added_up):
    store(
        Project(name="secret", github_id=1, private=True),
        Project(name="open", github_id=2),
        Project(name="empty", github_id=3, empty=True),
        Project(name="unmatched"),
    )
    assert sorted(named(visible(mode))) == seen
    assert named(counted(mode)) == added_up


def test_a_project_is_found_by_exactly_its_name(tables):
    store(Project(name="ab", github_id=1), Project(name="secret", github_id=2, private=True))
    assert found("ab", HIDE) == "ab"
    for name in ("AB", "a\0b", "ab\udc80", "", "a%", "secret", "x" * 100_000):
        assert found(name, HIDE) is None
    assert found("secret", SHOW) == "secret"


def test_days_go_with_their_project(tables):
    project = Project(name="a")
    store(project)
    day = ActivityDay(
        project_id=project.id, day=date(2024, 2, 29), commits=1, additions=2**40, deletions=0
    )
    store(day)
    assert day.additions == 2**40
    db.session.execute(delete(Project))
    db.session.commit()
    assert db.session.scalars(select(ActivityDay)).all() == []


def test_tasks_go_with_their_refresh(tables):
    store(RefreshJob(id="job", status=RefreshStatus.QUEUED))
    task = RefreshTask(refresh_id="job", github_id=2**40, position=0, name="a", facts={"b": [1]})
    store(task)
    assert (task.state, task.facts, task.attempt) == ("queued", {"b": [1]}, 0)
    db.session.execute(delete(RefreshJob))
    db.session.commit()
    assert db.session.scalars(select(RefreshTask)).all() == []


@pytest.mark.parametrize("second", [RefreshStatus.QUEUED, RefreshStatus.RUNNING])
def test_one_refresh_is_active_at_a_time(tables, second):
    store(
        RefreshJob(id="1", status=RefreshStatus.COMPLETED),
        RefreshJob(id="2", status=RefreshStatus.FAILED),
        RefreshJob(id="3", status=RefreshStatus.RUNNING),
    )
    db.session.add(RefreshJob(id="4", status=second))
    with pytest.raises(IntegrityError):
        db.session.commit()
    db.session.rollback()
    db.session.get_one(RefreshJob, "3").status = RefreshStatus.COMPLETED
    store(RefreshJob(id="4", status=second))


def test_a_refresh_looks_as_clients_know_it(tables):
    job = RefreshJob(
        id="5d0c2a4e-0000-4000-8000-000000000000",
        status=RefreshStatus.RUNNING,
        started_at=MOMENT,
        repositories_processed=1,
        total_repositories=3,
    )
    store(job)
    assert job.to_json(SHOW) == {
        "id": "5d0c2a4e-0000-4000-8000-000000000000",
        "kind": "full",
        "status": "running",
        "started_at": "2026-08-20T07:23:30Z",
        "completed_at": None,
        "error_message": None,
        "repositories_processed": 1,
        "total_repositories": 3,
        "progress": 33.3,
        "current": [],
        "failures": [],
    }


@pytest.mark.parametrize(
    ("status", "processed", "total", "progress"),
    [
        ("queued", 0, 0, 0.0),
        ("running", 1, 3, 33.3),
        ("running", 9999, 10000, 99.9),
        ("running", 3, 3, 99.9),
        ("failed", 3, 3, 99.9),
        ("completed", 0, 0, 100.0),
        ("completed", 2, 3, 100.0),
    ],
)
def test_progress(status, processed, total, progress):
    job = RefreshJob(status=status, repositories_processed=processed, total_repositories=total)
    assert job.progress == progress


def failed_job(**values):
    failures = [
        {"name": "a", "private": False, "reason": "it took too long"},
        {"name": "secret", "private": True, "reason": "connection lost during clone"},
    ]
    return RefreshJob(created_at=MOMENT, failures=failures, **{"total_repositories": 30, **values})


def test_the_repositories_that_failed_are_named():
    assert failed_job().explain(SHOW) == (
        "2 of 30 repositories could not be measured: "
        "a: it took too long; secret: connection lost during clone"
    )


@pytest.mark.parametrize("mode", [COUNT, HIDE])
def test_private_repositories_that_failed_are_not_named(tables, mode):
    store(Project(name="a", github_id=1))
    assert failed_job().explain(mode) == (
        "2 of 30 repositories could not be measured: "
        "a: it took too long; a private repository: connection lost during clone"
    )


def test_a_message_of_its_own_goes_before_the_failures():
    assert failed_job(error_message="rate limited").explain(COUNT) == "rate limited"


def test_the_latest_refreshes_come_first(tables):
    store(
        *(
            RefreshJob(id=f"{n:02}", status="failed", created_at=MOMENT + timedelta(seconds=n))
            for n in range(12)
        )
    )
    latest = [job.id for job in db.session.scalars(recent_jobs())]
    assert latest == [f"{n:02}" for n in range(11, 1, -1)]


def running_refresh():
    """Store a refresh under way: of each of two repositories one is private."""
    refresh = RefreshJob(id="a" * 36, status=RefreshStatus.RUNNING, total_repositories=5)
    store(
        Project(name="open", github_id=1),
        Project(name="hidden", github_id=2, private=True),
        Project(name="turned-private", github_id=3, private=True),
        refresh,
    )
    states = {"open": "running", "hidden": "running", "turned-private": "failed", "waits": "queued"}
    store(
        *(
            RefreshTask(
                refresh_id=refresh.id,
                github_id=number,
                position=number,
                name=name,
                private=name == "hidden",
                facts={},
                state=state,
                reason="too large" if state == "failed" else None,
            )
            for number, (name, state) in enumerate(states.items())
        )
    )
    return refresh


def test_a_refresh_tells_what_is_measured_now(tables):
    answer = running_refresh().to_json(SHOW)
    assert answer["current"] == ["hidden", "open"]
    assert answer["failures"] == [{"name": "turned-private", "reason": "too large"}]


@pytest.mark.parametrize("mode", [COUNT, HIDE])
def test_a_refresh_under_way_names_no_private_repository(tables, mode):
    answer = running_refresh().to_json(mode)
    assert answer["current"] == ["a private repository", "open"]
    assert answer["failures"] == [{"name": "a private repository", "reason": "too large"}]


def test_a_refresh_that_has_ended_measures_nothing(tables):
    refresh = running_refresh()
    refresh.status = RefreshStatus.COMPLETED
    refresh.failures = [{"name": "open", "private": False, "reason": "gone"}]
    store(refresh)
    answer = refresh.to_json(COUNT)
    assert answer["current"] == []
    assert answer["failures"] == [{"name": "open", "reason": "gone"}]
