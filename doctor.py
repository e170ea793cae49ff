"""The checks of `flask doctor`: each part that a refresh needs, and what to do where one fails.

A check changes nothing, and its text holds no secret.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flask import Flask
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from rq import Worker
from sqlalchemy import make_url, select
from sqlalchemy.exc import SQLAlchemyError

import github_api
import measure
from config import PrivateMode, Settings
from database.engine import db
from database.schema import is_current
from database.types import db_now, utc_now
from errors import CommandError, GitHubError, RateLimited, StartError, TokenMissing, TokenRefused
from measure.cloc import ClocFailed, find_cloc
from measure.command import run
from refresh.connection import fail_fast_options
from refresh.measuring import measure_options

MAX_SKEW = timedelta(seconds=30)
ONE_TRY = github_api.RetryPolicy(deadline=20, read_timeout=10, max_wait=0, attempts=1)


class CheckFailed(Exception):
    """One part fails its check; the message says why and what to do."""


@dataclass(frozen=True)
class Finding:
    """The result of one check; `text` says what to do where it is not ok."""

    name: str
    ok: bool
    text: str


def examine(app: Flask) -> Iterator[Finding]:
    """Check one part after another, within the application's context."""
    settings: Settings = app.config["SETTINGS"]
    yield _look("git", lambda: _git(settings))
    yield _look("cloc", lambda: _cloc(settings))
    yield _look("folder", lambda: _folder(settings))
    yield _look("database", lambda: _database(app, settings))
    yield _look("database's clock", _database_clock)
    yield _look("Redis", lambda: _redis(settings))
    yield _look("workers", lambda: _workers(settings))
    yield from _github(settings)


def _look(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except CheckFailed as failed:
        return Finding(name, False, str(failed))


def _git(settings: Settings) -> str:
    git = shutil.which("git", path=settings.search_path)
    if git is None:
        raise CheckFailed(
            "git is not installed: install it, no repository can be measured without it"
        )
    try:
        answer = run(
            [git, "--version"], cwd=Path("/"), env={"PATH": settings.search_path}, timeout=30
        )
    except CommandError as error:
        raise CheckFailed(f"git does not run: {error}") from None
    return answer.stdout.decode(errors="replace").strip()


def _cloc(settings: Settings) -> str:
    try:
        version = find_cloc(settings.cloc_path, settings.search_path).version()
    except ClocFailed as error:
        instead = measure.best_counter(measure_options(settings)).split()[0]
        raise CheckFailed(
            f"{error}: install cloc or set CLOC_PATH; until then lines are counted by {instead}"
        ) from None
    return f"cloc {version}"


def _folder(settings: Settings) -> str:
    """Check the folder for temporary files, where clones are made."""
    try:
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x" * 4096)
            file.flush()
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free // 2**20
    except OSError as error:
        reason = error.strerror or "no folder can be used"
        raise CheckFailed(
            f"no temporary file can be written: {reason}; set TMPDIR to a folder"
        ) from None
    if free < settings.max_repo_mb:
        raise CheckFailed(
            f"{folder} has {free} MB free, and one repository may take {settings.max_repo_mb}: "
            "free some, set TMPDIR to another folder or lower MAX_REPO_MB"
        )
    return f"{folder} is writable, {free} MB free"


def _database(app: Flask, settings: Settings) -> str:
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return "there is none yet; the first start makes it"
    try:
        if is_current(app):
            return f"{url.get_backend_name()} answers, its schema is current"
    except StartError as error:
        raise CheckFailed(str(error)) from None
    raise CheckFailed("its schema is not the current one: run flask --app app upgrade-database")


def _database_clock() -> str:
    if db.engine.dialect.name == "sqlite":
        return "this machine's own"
    try:
        with db.engine.connect() as connection:
            there: datetime = connection.scalars(select(db_now())).one()
    except SQLAlchemyError:
        raise CheckFailed("unknown while the database does not answer") from None
    return _compare_clocks("the database's", there)


def _compare_clocks(whose: str, there: datetime) -> str:
    skew = (utc_now() - there).total_seconds()
    if abs(skew) > MAX_SKEW.total_seconds():
        direction = "ahead of" if skew > 0 else "behind"
        raise CheckFailed(
            f"this machine's clock is {abs(skew):.0f} s {direction} {whose}: "
            "have both set by NTP (timedatectl set-ntp true)"
        )
    return f"within {MAX_SKEW.seconds} s of this machine's"


def _redis(settings: Settings) -> str:
    if settings.redis_url is None:
        return "REDIS_URL is not set: refreshes run in the process that is asked"
    try:
        with _connect(settings.redis_url) as connection:
            version = connection.info("server")["redis_version"]
    except AuthenticationError:
        raise CheckFailed("Redis refuses the name or password of REDIS_URL: correct it") from None
    except RedisError:
        raise CheckFailed("Redis does not answer: start it, or correct REDIS_URL") from None
    return f"Redis {version} answers"


def _workers(settings: Settings) -> str:
    if settings.redis_url is None:
        return "none are needed without Redis"
    try:
        with _connect(settings.redis_url) as connection:
            count = Worker.count(connection=connection)
    except RedisError:
        raise CheckFailed("unknown while Redis does not answer") from None
    if count == 0:
        raise CheckFailed(
            "no worker listens, so that refreshes stay queued: start python worker.py"
        )
    return f"{count} at work or waiting"


def _connect(url: str) -> Redis:
    return Redis.from_url(url, **fail_fast_options(url))


def _github(settings: Settings) -> Iterator[Finding]:
    """Check the token, GitHub's clock and the quota with one request."""
    if not settings.knows_what_to_list:
        yield Finding("token", False, str(TokenMissing()))
        return
    with closing(github_api.connect(settings, ONE_TRY)) as github:
        try:
            access = github.fetch_access()
        except RateLimited as error:
            yield Finding("quota", False, f"{error}: wait, or use another token")
            return
        except TokenRefused as error:
            yield Finding("token", False, f"{error}; set a new one")
            return
        except GitHubError as error:
            yield Finding("GitHub", False, f"{error}; check GITHUB_API_URL and the network")
            return
    yield _look("token", lambda: _token(settings, access))
    yield _look("GitHub's clock", lambda: _github_clock(access))
    yield _look("quota", lambda: _quota(access))


def _token(settings: Settings, access: github_api.Access) -> str:
    if settings.github_access_token is None:
        return "GITHUB_ACCESS_TOKEN is not set: only public repositories are measured"
    if access.scopes is None:
        return "accepted; a fine-grained one needs read access to contents and metadata"
    if "repo" in access.scopes or settings.private_repositories is PrivateMode.HIDE:
        return f"accepted, scopes: {', '.join(access.scopes) or 'none'}"
    raise CheckFailed(
        "accepted, but without the `repo` scope private repositories are missing: "
        "make a token with it, or set PRIVATE_REPOSITORIES=hide"
    )


def _github_clock(access: github_api.Access) -> str:
    if access.date is None:
        return "GitHub does not say what time it is"
    return _compare_clocks("GitHub's", access.date)


def _quota(access: github_api.Access) -> str:
    quota = access.quota
    if quota is None:
        return "GitHub names no limit"
    left = f"{quota.remaining} of {quota.limit} requests left until {quota.resets_at:%H:%M} UTC"
    if quota.remaining < quota.limit / 20:
        raise CheckFailed(f"{left}: wait, or use another token")
    return left
