"""The project's exceptions.

ProjectTrackerError
├── ConfigError                 a variable of the environment cannot be used
├── StartError                  this process cannot start: database, schema, folder or port
├── BadParameter                a parameter of a request cannot be used
├── Interrupted                 this process is asked to stop; the work itself did not fail
├── CommandError                a program failed
│   ├── CommandTimeout          … because it took too long
│   └── CommandOutOfMemory      … because it needed more memory than it may have
├── MeasureError                one repository could not be measured
│   ├── EmptyRepository         … because it holds no commit
│   └── RepositoryTooLarge      … because it is larger than MAX_REPO_MB or needs too much memory
├── GitHubError                 GitHub's API refused or failed to answer
│   ├── TokenRefused            401
│   ├── RateLimited             the quota is used up for some time
│   ├── GitHubUnavailable       server errors, no connection, or too slow
│   ├── RepositoryGone          404
│   └── RepositoryBlocked       403 or 451
└── RefreshError                a refresh could not be started or resumed
    ├── TokenMissing            neither GITHUB_ACCESS_TOKEN nor GITHUB_OWNERS is set
    ├── RefreshTooSoon          a forced refresh too soon after the last one
    ├── TokenWrong              the bearer token of REFRESH_TOKEN is missing or wrong
    ├── SignatureWrong          a webhook's signature is missing or wrong
    ├── OriginRefused           a page of an origin that is not listed asks for a change
    ├── QueueUnavailable        Redis did not answer
    └── Superseded              another process has taken over this work

The message of each of these, CommandError's and StartError's apart, is safe to show: it holds no
path, URL, token or name of a repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime


class ProjectTrackerError(Exception):
    """The base class of everything that this project raises."""


class ConfigError(ProjectTrackerError):
    """One line that names the variable, what is wrong with it and what would be right."""


class StartError(ProjectTrackerError):
    """One line for the log: what keeps this process from starting, and what to do.

    It may name files and addresses of this machine, and never holds a secret.
    """


class BadParameter(ProjectTrackerError):
    """A message that names the parameter, what is wrong with it and what would be right."""


class Interrupted(ProjectTrackerError):
    """The process was asked to stop in the middle of its work."""


class CommandError(ProjectTrackerError):
    """A failed program: its name, exit code (negative: the signal) and the end of its stderr.

    The output may hold paths and URLs: log it at level DEBUG only, or look for the cause in it.
    """

    def __init__(self, command: Sequence[str], code: int, output: str = "") -> None:
        super().__init__(f"{command[0]} failed with code {code}")
        self.command = tuple(command)
        self.code = code
        self.output = output


class CommandTimeout(CommandError):
    """A program, with all it had started, was ended because its time was up."""


class CommandOutOfMemory(CommandError):
    """A program needed more memory than its limit, or this machine, allows."""


class MeasureError(ProjectTrackerError):
    """One repository could not be measured; the message says why."""


class EmptyRepository(MeasureError):
    """A repository has no commit to measure."""


class RepositoryTooLarge(MeasureError):
    """A repository, or what measuring it takes, exceeds a limit of size or memory."""


class GitHubError(ProjectTrackerError):
    """GitHub's API refused or failed to answer; the message says what."""


class TokenRefused(GitHubError):
    """GitHub does not accept GITHUB_ACCESS_TOKEN."""


class RateLimited(GitHubError):
    """GitHub's quota is used up, until a time in UTC."""

    def __init__(self, until: datetime) -> None:
        self.until = until.astimezone(UTC)
        super().__init__(f"rate limited until {self.until:%Y-%m-%dT%H:%M:%SZ}")


class GitHubUnavailable(GitHubError):
    """GitHub could not be reached, kept failing, or took too long."""


class RepositoryGone(GitHubError):
    """GitHub no longer has a repository, or does not show it to this token."""


class RepositoryBlocked(GitHubError):
    """GitHub has the repository but gives no access to it."""


class RefreshError(ProjectTrackerError):
    """A refresh cannot start or go on; the message says why."""


class TokenMissing(RefreshError):
    """No setting says which repositories to measure; the message names the variables."""

    def __init__(self) -> None:
        super().__init__(
            "GITHUB_ACCESS_TOKEN is not set: create a personal access token with the `repo` scope "
            "on GitHub and set it to refresh, or name in GITHUB_OWNERS whose public repositories "
            "to measure"
        )


class RefreshTooSoon(RefreshError):
    """A forced refresh has to wait `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(f"{reason}: try again in {retry_after} s")
        self.retry_after = retry_after


class ExportError(ProjectTrackerError):
    """A site cannot be exported; the message says why."""


class QueueUnavailable(RefreshError):
    """Redis is not configured, or did not answer in time."""


class Superseded(RefreshError):
    """Another process has taken over this work, which must write nothing more."""


class TokenWrong(RefreshError):
    """A refresh was requested without the bearer token that REFRESH_TOKEN demands."""

    def __init__(self) -> None:
        super().__init__("this needs the header `Authorization: Bearer <REFRESH_TOKEN>`")


class SignatureWrong(RefreshError):
    """An event was not signed with GITHUB_WEBHOOK_SECRET."""

    def __init__(self) -> None:
        super().__init__(
            "this needs X-Hub-Signature-256, made with the secret that GITHUB_WEBHOOK_SECRET holds"
        )


class OriginRefused(RefreshError):
    """A page of an origin that is not listed requests a change."""

    def __init__(self) -> None:
        super().__init__("pages of this origin may not ask for this: see CORS_ORIGINS")
