"""The settings and the words that some of them take."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class LogFormat(StrEnum):
    """How log lines are written: for people, or as JSON for programs that collect them."""

    TEXT = "text"
    JSON = "json"


class PrivateMode(StrEnum):
    """How private repositories are treated: shown, only counted in totals, or left out."""

    SHOW = "show"
    COUNT = "count"
    HIDE = "hide"


class GrowthMode(StrEnum):
    """How often lines of code are counted in the past: for each month, each year, or never."""

    MONTH = "month"
    YEAR = "year"
    OFF = "off"


@dataclass(frozen=True)
class Settings:
    """Every setting, checked; timeouts and minimum intervals are in seconds.

    `database_url` is in SQLAlchemy's form, with an absolute path for SQLite. `search_path` is the
    PATH on which programs are looked up.
    """

    github_access_token: str | None = field(repr=False)
    github_api_url: str
    github_owners: tuple[str, ...] | None
    include_forks: bool
    include_archived: bool
    include_repositories: tuple[str, ...] | None
    exclude_repositories: tuple[str, ...] | None
    database_url: str = field(repr=False)
    redis_url: str | None = field(repr=False)
    port: int
    host: str
    allowed_hosts: tuple[str, ...] | None
    cloc_path: str | None
    preload_cloc: bool
    cors_origins: tuple[str, ...]
    refresh_interval_hours: float
    refresh_min_interval: int
    force_min_interval: int
    refresh_token: str | None = field(repr=False)
    github_webhook_secret: str | None = field(repr=False)
    exclude_dirs: tuple[str, ...]
    exclude_generated: bool
    author_emails: tuple[str, ...] | None
    growth: GrowthMode
    private_repositories: PrivateMode
    clone_timeout: int
    measure_timeout: int
    measure_memory_mb: int
    max_repo_mb: int
    refresh_concurrency: int
    fetch_concurrency: int
    trusted_proxies: int
    log_format: LogFormat
    search_path: str

    @property
    def knows_what_to_list(self) -> bool:
        """Return whether a token or a list of owners says whose repositories are measured."""
        return self.github_access_token is not None or bool(self.github_owners)
