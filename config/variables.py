"""The variables of the environment: the default of each, its meaning and its check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from config import checks as check
from config.settings import GrowthMode, LogFormat, PrivateMode
from errors import ConfigError

ORIGINS = "http://127.0.0.1:5500,http://localhost:5500,http://localhost:3000"
EXCLUDED = (
    "node_modules,bower_components,dist,build,.venv,venv,__pycache__,"
    ".mypy_cache,.pytest_cache,.idea,.vscode"
)


@dataclass(frozen=True)
class Variable:
    """One variable: its default as text (None: no value), its meaning and its check.

    `parse` turns text into the setting's value or raises ValueError with the text's fault;
    `expected` says which text can be used. `shown_default` is the default in a reader's words.
    """

    name: str
    default: str | None
    help: str
    parse: Callable[[str], Any]
    expected: str
    absent: str = "none"
    secret: bool = False
    may_be_empty: bool = False

    @property
    def shown_default(self) -> str:
        """Return the default as the documentation names it."""
        return self.absent if self.default is None else self.default

    def read(self, environ: Mapping[str, str]) -> Any:
        """Return this variable's value in `environ`; raise ConfigError where it cannot be used."""
        text = environ.get(self.name)
        if text is not None:
            text = text.strip()
        if text is None or (not text and not self.may_be_empty):
            text = self.default
        if text is None:
            return None
        try:
            # Surrogates stand for bytes that are not UTF-8, which no setting may hold.
            if not text.isprintable():
                raise ValueError("holds a line break or another character that cannot be printed")
            return self.parse(text)
        except ValueError as error:
            shown = "" if self.secret or "@" in text else f" ({check.shorten(text)})"
            message = f"{self.name}{shown} cannot be used: it {error}; expected {self.expected}"
        raise ConfigError(message)


def _range(least: int, most: int, unit: str = "") -> str:
    return f"a whole number{unit} from {least} to {most}"


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "GITHUB_ACCESS_TOKEN",
        None,
        "GitHub personal access token, `repo` scope",
        check.token,
        "a token as GitHub shows it, without spaces",
        secret=True,
    ),
    Variable(
        "GITHUB_API_URL",
        "https://api.github.com",
        "GitHub's API, or a GitHub Enterprise Server's; http is allowed only for loopback",
        check.api_url,
        "a URL such as https://github.example.com/api/v3",
    ),
    Variable(
        "GITHUB_OWNERS",
        None,
        "users and organizations whose repositories are measured, comma-separated; "
        "without a token, their public ones",
        check.owners,
        "a comma-separated list of users and organizations of GitHub",
        absent="the token's user",
    ),
    Variable(
        "INCLUDE_FORKS",
        "false",
        "whether forks are measured, too",
        check.boolean,
        "true or false",
    ),
    Variable(
        "INCLUDE_ARCHIVED",
        "true",
        "whether archived repositories are measured, too",
        check.boolean,
        "true or false",
    ),
    Variable(
        "INCLUDE_REPOSITORIES",
        None,
        "only these, comma-separated patterns over `owner/name` such as `me/*,acme/web-?`",
        check.repository_patterns,
        "a comma-separated list of patterns such as owner/name or owner/*",
        absent="all",
    ),
    Variable(
        "EXCLUDE_REPOSITORIES",
        None,
        "not these, comma-separated patterns over `owner/name`",
        check.repository_patterns,
        "a comma-separated list of patterns such as owner/name or owner/*",
    ),
    Variable(
        "DATABASE_URL",
        "sqlite:///db.sqlite",
        "SQLite (a relative path starts beside `app.py`) or PostgreSQL; "
        "`postgres://` is read as `postgresql://`",
        check.database_url,
        "postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE",
        secret=True,
    ),
    Variable(
        "REDIS_URL",
        None,
        "Redis for the queue; without it a refresh runs in the web process",
        check.redis_url,
        "redis://HOST:PORT/0 or rediss://:PASSWORD@HOST:PORT",
        secret=True,
    ),
    Variable("PORT", "5001", "port of the web server", check.whole(1, 65535), _range(1, 65535)),
    Variable(
        "HOST",
        None,
        "address that the web server listens on; `0.0.0.0` is every address of the machine",
        check.listen_address,
        "an address of this machine such as 127.0.0.1, or 0.0.0.0 for all of them",
        absent="`127.0.0.1`; `0.0.0.0` on Heroku",
    ),
    Variable(
        "ALLOWED_HOSTS",
        None,
        "names that requests may have in `Host`, comma-separated; a leading dot allows subdomains",
        check.host_names,
        "a comma-separated list of host names or IPv4 addresses, without scheme or port",
        absent="any; under `python app.py` this machine's names",
    ),
    Variable(
        "CLOC_PATH",
        None,
        "path of cloc; found on `PATH` and in Heroku's apt folder otherwise",
        check.executable,
        "the path of an executable file, or nothing to let cloc be found",
        absent="found",
    ),
    Variable(
        "PRELOAD_CLOC",
        "true",
        "compile cloc once and fork it for each count: fast for small repositories, takes 30 MB; "
        "`false` starts it for each count",
        check.boolean,
        "true or false",
    ),
    Variable(
        "CORS_ORIGINS",
        ORIGINS,
        "origins whose pages may read the answers, comma-separated",
        check.origins,
        "a comma-separated list of scheme://host or scheme://host:port, without path or wildcard",
    ),
    Variable(
        "REFRESH_INTERVAL_HOURS",
        "24",
        "hours between scheduled refreshes; 0 turns the schedule off",
        check.hours,
        "a number from 0 to 8760 such as 24 or 0.5",
    ),
    Variable(
        "REFRESH_MIN_INTERVAL",
        "60",
        "seconds after a refresh in which no other is started; 0 turns this off",
        check.whole(0, 31_536_000),
        _range(0, 31_536_000, " of seconds"),
    ),
    Variable(
        "FORCE_MIN_INTERVAL",
        "3600",
        "seconds between forced refreshes where no `REFRESH_TOKEN` is set; 0 turns this off",
        check.whole(0, 31_536_000),
        _range(0, 31_536_000, " of seconds"),
    ),
    Variable(
        "REFRESH_TOKEN",
        None,
        "when set, `POST /api/refresh` requires it as `Authorization: Bearer …`",
        check.token,
        "one word of ASCII letters, digits and punctuation",
        secret=True,
    ),
    Variable(
        "GITHUB_WEBHOOK_SECRET",
        None,
        "secret of the GitHub webhook; turns `POST /api/webhook/github` on",
        check.printable,
        "the secret that the webhook has on GitHub",
        secret=True,
    ),
    Variable(
        "EXCLUDE_DIRS",
        EXCLUDED,
        "names of folders that are left out of loc and churn at any depth, comma-separated; "
        "set to nothing, none is",
        check.folder_names,
        "a comma-separated list of plain folder names, without slashes or wildcards",
        may_be_empty=True,
    ),
    Variable(
        "EXCLUDE_GENERATED",
        "false",
        "leave vendored and generated files, as `.gitattributes` marks them, lock files and "
        "minified files out of loc and churn",
        check.boolean,
        "true or false",
    ),
    Variable(
        "AUTHOR_EMAILS",
        None,
        "whose commits are `own_commits`: addresses or patterns such as `*@acme.com`, "
        "comma-separated; GitHub's noreply addresses of the token's user are always among them",
        check.address_patterns,
        "a comma-separated list of addresses or patterns such as me@example.com or *@example.com",
    ),
    Variable(
        "GROWTH",
        "month",
        "lines of code in the past: for each `month`, for each `year`, or `off`",
        check.one_of(GrowthMode),
        "month, year or off",
    ),
    Variable(
        "PRIVATE_REPOSITORIES",
        "show",
        "`show`, `count` (in the totals, nowhere by name) or `hide` (not measured, row removed)",
        check.one_of(PrivateMode),
        "show, count or hide",
    ),
    Variable(
        "CLONE_TIMEOUT",
        "600",
        "seconds that the clone of one repository may take",
        check.whole(1, 86_400),
        _range(1, 86_400, " of seconds"),
    ),
    Variable(
        "MEASURE_TIMEOUT",
        "600",
        "seconds that counting one repository may take",
        check.whole(1, 86_400),
        _range(1, 86_400, " of seconds"),
    ),
    Variable(
        "MEASURE_MEMORY_MB",
        "2560",
        "megabytes of memory that each program that measures may take",
        check.whole(64, 1_048_576),
        _range(64, 1_048_576, " of megabytes"),
    ),
    Variable(
        "MAX_REPO_MB",
        "2048",
        "megabytes above which a repository is not measured: GitHub's size, or its checkout",
        check.whole(1, 1_048_576),
        _range(1, 1_048_576, " of megabytes"),
    ),
    Variable(
        "REFRESH_CONCURRENCY",
        None,
        "repositories counted at once, in one process's refresh or one worker's pool",
        check.whole(1, 256),
        _range(1, 256),
        absent="number of cores",
    ),
    Variable(
        "FETCH_CONCURRENCY",
        None,
        "clones at once on one machine, including those being counted or waiting for it; "
        "one of more than 11 MB counts as several",
        check.whole(1, 256),
        _range(1, 256),
        absent="24, or `REFRESH_CONCURRENCY` where that is more",
    ),
    Variable(
        "TRUSTED_PROXIES",
        None,
        "proxies in front of this service that are trusted for the client address",
        check.whole(0, 10),
        _range(0, 10),
        absent="1 on Heroku, 0 elsewhere",
    ),
    Variable(
        "LOG_FORMAT",
        "text",
        "`text`, or `json`: each log line is one JSON object, for programs that collect logs",
        check.one_of(LogFormat),
        "text or json",
    ),
)
