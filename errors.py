"""The project's exceptions.

ProjectTrackerError
├── ConfigError                 a variable of the environment cannot be used
├── StartError                  this process cannot start: database, schema, folder or port
├── BadParameter                a parameter of a request cannot be used
├── Interrupted                 this process is asked to stop; nothing is wrong with the work itself
├── CommandError                a program failed
│   ├── CommandTimeout          … because it took too long
│   └── CommandOutOfMemory      … because it needed more memory than it may have
├── MeasureError                one repository could not be measured
│   ├── EmptyRepository         … because it holds no commit
│   └── RepositoryTooLarge      … because it is larger than MAX_REPO_MB or needs too much memory
├── GitHubError                 GitHub's API did not give what was asked
│   ├── TokenRefused            401
│   ├── RateLimited             the quota is used up for some time
│   ├── GitHubUnavailable       server errors, no connection, or too slow
│   ├── RepositoryGone          404
│   └── RepositoryBlocked       403 or 451
└── RefreshError                a refresh could not be started or carried on
    ├── TokenMissing            neither GITHUB_ACCESS_TOKEN nor GITHUB_OWNERS is set
    ├── RefreshTooSoon          a forced refresh too soon after the last one
    ├── TokenWrong              the bearer token of REFRESH_TOKEN is missing or wrong
    ├── SignatureWrong          a webhook's signature is missing or wrong
    ├── OriginRefused           a page of an origin that is not listed asks for a change
    ├── QueueUnavailable        Redis did not answer
    └── Superseded              another process has taken this piece of work over

The message of each of these, CommandError's and StartError's apart, is safe to show: it holds no
path, URL, token or name of a repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime


class ProjectTrackerError(Exception):
    """Stand for anything this project raises itself."""


class ConfigError(ProjectTrackerError):
    """Name the variable, what is wrong with it and what would be right, in one line."""


class StartError(ProjectTrackerError):
    """Say in one line, for the log, what keeps this process from starting and what to do.

    It may name files and addresses of this machine, and never holds a secret.
    """


class BadParameter(ProjectTrackerError):
    """Name the parameter of a request, what is wrong with it and what would be right."""


class Interrupted(ProjectTrackerError):
    """Tell that the process was asked to stop in the middle of its work."""


class CommandError(ProjectTrackerError):
    """Hold a failed program's name, exit code (negative: the signal) and the end of its stderr.

    The output may hold paths and URLs; it is for logs at level DEBUG and for telling causes apart.
    """

    def __init__(self, command: Sequence[str], code: int, output: str = "") -> None:
        super().__init__(f"{command[0]} failed with code {code}")
        self.command = tuple(command)
        self.code = code
        self.output = output


class CommandTimeout(CommandError):
    """Tell that a program, with all it had started, was ended after its time was up."""


class CommandOutOfMemory(CommandError):
    """Tell that a program needed more memory than its limit, or this machine, allows."""


class MeasureError(ProjectTrackerError):
    """Say in words why one repository could not be measured."""


class EmptyRepository(MeasureError):
    """Tell that a repository has no commit to measure."""


class RepositoryTooLarge(MeasureError):
    """Tell that a repository, or what measuring it takes, is beyond a limit of size or memory."""


class GitHubError(ProjectTrackerError):
    """Say in words what GitHub's API refused or failed to give."""


class TokenRefused(GitHubError):
    """Tell that GitHub does not accept GITHUB_ACCESS_TOKEN."""


class RateLimited(GitHubError):
    """Tell until when GitHub's quota is used up."""

    def __init__(self, until: datetime) -> None:
        self.until = until.astimezone(UTC)
        super().__init__(f"rate limited until {self.until:%Y-%m-%dT%H:%M:%SZ}")


class GitHubUnavailable(GitHubError):
    """Tell that GitHub could not be reached, kept failing, or took too long."""


class RepositoryGone(GitHubError):
    """Tell that GitHub no longer has a repository, or does not show it to this token."""


class RepositoryBlocked(GitHubError):
    """Tell that GitHub has the repository but gives no access to it."""


class RefreshError(ProjectTrackerError):
    """Say in words why a refresh cannot start or go on."""


class TokenMissing(RefreshError):
    """Tell which variable to set before anything can be refreshed."""

    def __init__(self) -> None:
        super().__init__(
            "GITHUB_ACCESS_TOKEN is not set: create a personal access token with the `repo` scope "
            "on GitHub and set it to refresh, or name in GITHUB_OWNERS whose public repositories "
            "to measure"
        )


class RefreshTooSoon(RefreshError):
    """Tell why a forced refresh has to wait, and in how many seconds it may be asked for again."""

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(f"{reason}: try again in {retry_after} s")
        self.retry_after = retry_after


class ExportError(ProjectTrackerError):
    """Tell why a site cannot be exported."""


class QueueUnavailable(RefreshError):
    """Tell that Redis is not configured, or did not answer in time."""


class Superseded(RefreshError):
    """Tell that a piece of work now belongs to somebody else and must write nothing more."""


class TokenWrong(RefreshError):
    """Tell that a refresh was asked for without the bearer token that REFRESH_TOKEN demands."""

    def __init__(self) -> None:
        super().__init__("this needs the header `Authorization: Bearer <REFRESH_TOKEN>`")


class SignatureWrong(RefreshError):
    """Tell that an event was not signed with GITHUB_WEBHOOK_SECRET."""

    def __init__(self) -> None:
        super().__init__(
            "this needs X-Hub-Signature-256, made with the secret that GITHUB_WEBHOOK_SECRET holds"
        )


class OriginRefused(RefreshError):
    """Tell that a page of an origin that is not listed asks for a change."""

    def __init__(self) -> None:
        super().__init__("pages of this origin may not ask for this: see CORS_ORIGINS")
