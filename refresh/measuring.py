"""A task of a refresh: one repository is measured, and its figures are saved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

import measure
from config import PrivateMode, Settings
from database.engine import is_unavailable
from database.types import utc_now
from errors import (
    EmptyRepository,
    GitHubError,
    Interrupted,
    MeasureError,
    RateLimited,
    RepositoryTooLarge,
    Superseded,
    TokenRefused,
)
from github_api import Repository
from github_api.addresses import find_origin, may_have_token
from measure import Figures
from refresh import figures, growth_rows, store, tasks
from refresh.tasks import Task

if TYPE_CHECKING:
    from github_api.source import GitHub

log = logging.getLogger(__name__)

Save = Callable[[Session], None]
T = TypeVar("T")

EMPTIED = "it had commits, and now git's host shows none of them"


def measure_options(
    settings: Settings,
    counting: measure.Limit | None = None,
    own_addresses: Sequence[str] = (),
) -> measure.Options:
    """Return the options of measuring from the settings, with the limits of one process.

    ``own_addresses`` are patterns of the noreply addresses of the token's user.
    """
    patterns = tuple(dict.fromkeys((*(settings.author_emails or ()), *own_addresses)))
    return measure.Options(
        exclude_dirs=frozenset(settings.exclude_dirs),
        exclude_generated=settings.exclude_generated,
        clone_timeout=settings.clone_timeout,
        measure_timeout=settings.measure_timeout,
        memory_mb=settings.measure_memory_mb,
        max_repo_mb=settings.max_repo_mb,
        cloc_path=settings.cloc_path,
        preload_cloc=settings.preload_cloc,
        search_path=settings.search_path,
        cloning=measure.Limit("clone", settings.fetch_concurrency),
        counting=counting,
        author_patterns=patterns or None,
    )


class Named(Protocol):
    """A repository with its name."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def private(self) -> bool:
        """Return whether it is private."""


def label(settings: Settings, repository: Named) -> str:
    """Return a repository's name for the log, a placeholder where private names are not shown."""
    if repository.private and settings.private_repositories is not PrivateMode.SHOW:
        return "a private repository"
    return repository.name


def measure_and_save(
    settings: Settings, counting: measure.Limit, github: GitHub, task: Task
) -> str | None:
    """Measure a claimed repository and save the result; return why it failed, or ``None``.

    A refused token ends the whole refresh, after what has been measured is saved. Raises
    Interrupted, after releasing the task, when this process is asked to stop, and Superseded,
    with nothing written, when another process has taken over the task.
    """
    reason: str | None = None
    refused: TokenRefused | None = None
    try:
        reason, save, refused = _measure_in_words(settings, counting, github, task)
    except Interrupted:
        tasks.release(task)
        raise
    except TokenRefused as error:
        _end_refused(task, error)
    except JobTimeoutException:
        # RQ's timeout of the job; programs have limits of their own, far below it.
        reason = "it took longer than one repository may"
        save = partial(_save_failure, task.repository, reason)
    except Exception as error:
        # An error of this program in one repository must not stop the others; it is in the log.
        log.exception("%s: unexpected fault", label(settings, task.repository))
        reason = f"an unexpected fault ({type(error).__name__})"
        save = partial(_save_failure, task.repository, reason)
    reason = _finish(settings, task, reason, save)
    if refused is not None:
        _end_refused(task, refused)
    return reason


def _end_refused(task: Task, error: TokenRefused) -> NoReturn:
    store.fail(task.refresh_id, str(error))
    raise Superseded(str(error)) from error


def _finish(settings: Settings, task: Task, reason: str | None, save: Save) -> str | None:
    """Record a task's end; figures that the database refuses are a failure of the repository."""
    try:
        tasks.finish(task, reason, save)
    except SQLAlchemyError as error:
        if is_unavailable(error):
            raise
        log.exception("%s: its figures cannot be saved", label(settings, task.repository))
        reason = f"an unexpected fault ({type(error).__name__})"
        tasks.finish(task, reason, partial(_save_failure, task.repository, reason))
    return reason


def _measure_in_words(
    settings: Settings, counting: measure.Limit, github: GitHub, task: Task
) -> tuple[str | None, Save, TokenRefused | None]:
    """Return why the repository failed, what to save, and the refusal of the token if any."""
    repository = task.repository
    options = measure_options(settings, counting, task.own_addresses)
    try:
        measured, reason = _measure(settings, github, options, task)
    except EmptyRepository:
        return None, partial(_save_empty, repository, _todays_fingerprint(options)), None
    except TokenRefused:
        raise
    except (MeasureError, GitHubError) as error:
        return str(error), partial(_save_failure, repository, str(error)), None
    return reason, partial(_save_measured, repository, measured), measured.refused


def _measure(
    settings: Settings, github: GitHub, options: measure.Options, task: Task
) -> tuple[figures.Measured, str | None]:
    """Return what was measured, and why the repository counts as failed all the same, or None."""
    repository = task.repository
    if repository.size_kb > settings.max_repo_mb * 1024:
        raise RepositoryTooLarge(
            f"it is larger than MAX_REPO_MB ({settings.max_repo_mb} MB) and is not cloned"
        )
    last = figures.find_last_measurement(repository.github_id)
    fingerprint = _todays_fingerprint(options)
    since = None
    if last.fingerprint == fingerprint and last.default_branch == repository.default_branch:
        since = last.head_sha
    if task.forced:
        since = None
    may_stand = since is not None and (not last.stale or last.lacks_languages)
    if may_stand and last.covers(repository, fingerprint):
        languages = _fetch_languages(github, task) if last.lacks_languages else None
        return _put_together(task, fingerprint, None, languages, repository)
    counts = None
    if since is not None:
        counts = figures.find_file_counts(repository.github_id, since, fingerprint)

    def ask(at: Repository) -> Figures | None:
        source = _source(settings, at)
        if since is not None and may_stand:
            if last.pushed_at != repository.pushed_at:
                return measure.measure_push(source, options, since, counts)
            if measure.remote_head(source, options) == since:
                return None
        return measure.measure(source, options, since, counts)

    with ThreadPoolExecutor(1, thread_name_prefix="languages") as pool:
        asked = pool.submit(_fetch_languages, github, task)
        try:
            found_at, found = _ask_where_it_is(github, repository, ask)
        except EmptyRepository as error:
            # A repository that had commits counts as empty only if GitHub's API agrees.
            if last.head_sha and github.has_commits(repository.github_id):
                raise MeasureError(EMPTIED) from error
            raise
        answer = asked.result()
    if found is None:
        # Pushed to another branch, renamed, or not changed at all.
        may_lack = isinstance(answer, GitHubError) and not last.lacks_languages
        return _put_together(task, fingerprint, None, None if may_lack else answer, found_at)
    _log_fallback(settings, repository, found)
    made_with = measure.fingerprint(found.count.counter, options)
    measured, reason = _put_together(task, made_with, found, answer, found_at)
    if not found.count.cloc_failed or last.loc_source != "cloc":
        way = growth_rows.find_way(settings.growth, found.count.counter, options)
        return replace(measured, growth=way), reason
    # What another counter says is no figure to put in the place of cloc's. The history is good,
    # and the next refresh adds to it what is new, and counts again.
    uncounted = f"its lines could not be counted: {found.count.reason}"
    kept = replace(measured, fingerprint=fingerprint, uncounted=uncounted)
    return kept, "; ".join(filter(None, (uncounted, reason)))


def _fetch_languages(github: GitHub, task: Task) -> dict[str, int] | GitHubError:
    """Fetch a repository's languages, or return why they cannot be fetched.

    Without a token GitHub answers 60 requests an hour, too few for a request per repository.
    """
    if not github.has_token:
        return {}
    if task.limited_until is not None and task.limited_until > utc_now():
        return RateLimited(task.limited_until)
    try:
        return github.fetch_languages(task.repository.github_id)
    except GitHubError as error:
        return error


def _put_together(
    task: Task,
    fingerprint: str,
    found: Figures | None,
    languages: dict[str, int] | GitHubError | None,
    found_at: Repository,
) -> tuple[figures.Measured, str | None]:
    """Return what was measured, and why the repository counts as failed all the same, or None.

    An exhausted quota is not a failure: the next refresh fetches the languages only.
    """
    if not isinstance(languages, GitHubError):
        return figures.Measured(fingerprint, found, languages, found_at), None
    lacking = f"its languages could not be had: {languages}"
    refused = languages if isinstance(languages, TokenRefused) else None
    measured = figures.Measured(fingerprint, found, None, found_at, lacking, refused=refused)
    if isinstance(languages, RateLimited):
        store.note_rate_limit(task.refresh_id, languages.until)
        return measured, None
    return measured, lacking


def _ask_where_it_is(
    github: GitHub, repository: Repository, ask: Callable[[Repository], T]
) -> tuple[Repository, T]:
    """Run git on a repository; where that fails, check whether it has moved meanwhile.

    Returns the repository as it was found, with the result.
    """
    try:
        return repository, ask(repository)
    except EmptyRepository:
        raise
    except MeasureError:
        try:
            today = github.fetch_repository(repository.github_id)
        except RateLimited:
            today = repository
        if today.clone_url == repository.clone_url:
            raise
    return today, ask(today)


def _source(settings: Settings, repository: Repository) -> measure.Source:
    return clone_source(settings, repository.clone_url, repository.size_kb)


def clone_source(settings: Settings, url: str, size_kb: float) -> measure.Source:
    """Return the source to clone; the token is sent to the API's own scheme, host and port only.

    Raises MeasureError for anything but an http(s) URL, such as a local folder.
    """
    if find_origin(url) is None:
        raise MeasureError("GitHub gives no http(s) address to clone it from")
    trusted = may_have_token(url, settings.github_api_url)
    return measure.Source(
        url,
        token=settings.github_access_token if trusted else None,
        size_mb=size_kb / 1024,
    )


def _todays_fingerprint(options: measure.Options) -> str:
    return measure.fingerprint(measure.best_counter(options), options)


def _log_fallback(settings: Settings, repository: Repository, found: Figures) -> None:
    count = found.count
    if count.reason is not None:
        name = label(settings, repository)
        log.warning("%s: lines counted by %s: %s", name, count.source, count.reason)


def _save_measured(repository: Repository, measured: figures.Measured, session: Session) -> None:
    figures.save_measured(session, repository, measured)


def _save_failure(repository: Repository, reason: str, session: Session) -> None:
    figures.save_failure(session, repository, reason)


def _save_empty(repository: Repository, fingerprint: str, session: Session) -> None:
    figures.save_empty(session, repository, fingerprint)
