"""The demo's account: sample repositories on a fake GitHub on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from demo.history import EMPTY, Plan, write_history
from tests.support.git_server import GitServer
from tests.support.github_api import GitHubApi

LOGIN: Final = "demo"
TOKEN: Final = "stand-in-token-of-the-demo"


@dataclass(frozen=True)
class Sample:
    """A repository: its history (None: no commit) and its fields in the listing."""

    name: str
    plan: Plan | None
    private: bool = False
    archived: bool = False
    fork: bool = False
    fails: bool = False


SAMPLES: Final = (
    Sample("weather-station", Plan({"Python": 6, "HTML": 2, "SQL": 1}, 620, 1900, files=24)),
    Sample("chess-engine", Plan({"Rust": 9, "Shell": 1}, 480, 1300, 2, files=18)),
    Sample("portfolio", Plan({"TypeScript": 5, "CSS": 3, "HTML": 3}, 340, 900, 1, files=20)),
    Sample("recipes-api", Plan({"Go": 7, "SQL": 2, "Shell": 1}, 260, 700, 20, files=16)),
    Sample("old-blog", Plan({"PHP": 5, "CSS": 2, "HTML": 2}, 180, 3100, 2200), archived=True),
    Sample("household-budget", Plan({"Kotlin": 7, "SQL": 1}, 150, 420, 3), private=True),
    Sample("broken-import", Plan({"Python": 1}, 12, 60, 5), fails=True),
    Sample("ideas", None),
    Sample("somebody-elses-tool", Plan({"Go": 1}, 20, 500, 400), fork=True),
)


@contextmanager
def serve_account(folder: Path, now: datetime) -> Iterator[GitHubApi]:
    """Write the sample repositories into a folder and serve them on loopback."""
    with GitHubApi(token=TOKEN, login=LOGIN) as api, GitServer(folder, token=TOKEN) as git:
        # At the API's own address, as the token is sent nowhere else.
        api.serve_git(git)
        for sample in SAMPLES:
            _add(sample, api, git, now)
        yield api


def _add(sample: Sample, api: GitHubApi, git: GitServer, now: datetime) -> None:
    repository = git.create(sample.name)
    if sample.private:
        git.private.add(sample.name)
    if sample.fails:
        git.fail(sample.name, status=500)
    history = EMPTY
    if sample.plan is not None:
        history = write_history(repository, sample.plan, sample.name, now)
    api.add(
        sample.name,
        git.url(sample.name),
        private=sample.private,
        archived=sample.archived,
        fork=sample.fork,
        pushed_at=history.pushed_at,
        languages=history.languages,
        size=history.kilobytes,
    )
