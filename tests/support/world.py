"""A developer's account: repositories on a git server, listed by a fake of GitHub's API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.git_server import GitServer
from tests.support.github_api import GitHubApi
from tests.support.repos import RepoBuilder, run_git

PUSHED = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """An account's repositories; a push is visible to git and to the API."""

    def __init__(self, folder: Path, git: GitServer, api: GitHubApi) -> None:
        self.folder = folder
        self.git = git
        self.api = api
        self.repositories: dict[str, RepoBuilder] = {}
        self._pushes = 0
        # The token is sent to the API's own address only.
        api.serve_git(git)

    def add(self, name: str, commits: int = 3, **facts: Any) -> RepoBuilder:
        """Add a repository with some commits of Python and return its builder."""
        builder = RepoBuilder(self.folder / name)
        self.repositories[name] = builder
        if commits:
            builder.commit_each(
                {f"file{number}.py": f"print({number})\n" * (number + 1)}
                for number in range(commits)
            )
        url = builder.publish(self.git, name)
        if facts.get("private"):
            self.git.private.add(name)
        self.api.add(name, url, pushed_at=self._push_time(), **facts)
        return builder

    def push(self, name: str, **facts: Any) -> None:
        """Push the builder's state to the server, and update the listing."""
        self.repositories[name].push()
        self.api.update(name, pushed_at=self._push_time(), **facts)

    def clones(self) -> int:
        """Count the fetches that git has served."""
        return sum(len(self.git.fetches(name)) for name in self.repositories)

    def commits(self, name: str) -> int:
        """Ask git how many commits HEAD reaches."""
        return int(self.repositories[name].git("rev-list", "--count", "HEAD"))

    def churn(self, name: str) -> int:
        """Return the sum of `git log --numstat`, line by line."""
        log = run_git(self.repositories[name].path, "log", "--numstat", "--format=", "HEAD")
        fields = [line.split(b"\t")[:2] for line in log.splitlines() if line]
        return sum(int(a) + int(d) for a, d in fields if a != b"-")

    def _push_time(self) -> datetime:
        self._pushes += 1
        return PUSHED + timedelta(minutes=self._pushes)
