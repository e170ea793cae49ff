"""GitHub and git in a process of their own, so that their work is not counted as the product's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.common import Meter, spawn
from tests.support.git_server import GitServer
from tests.support.github_api import GitHubApi

PUSHED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Served:
    """The work of the servers: API calls, fetches of objects, all requests to git, bytes, CPU.

    `busiest` is the largest number of concurrent fetches.
    """

    calls: int
    fetches: int
    git_requests: int
    bytes: int
    cpu: float
    busiest: int


class Stage:
    """A git server over a folder of bare repositories, with the API that lists them.

    latency is in seconds, before each answer of either; rate in bytes a second, for each connection
    to git (0: no limit).
    """

    def __init__(self, root: Path, *, latency: float = 0.0, rate: int = 0) -> None:
        self._pipe, theirs = spawn.Pipe()
        arguments = (theirs, root, latency, rate)
        self._process = spawn.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self.api_url, self.git_url, self.token = self._pipe.recv()

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(10)

    def add(self, repositories: Sequence[tuple[str, str, int]]) -> None:
        """List repositories, each a name, the bare repository that is behind it, GitHub's size."""
        self._ask("add", list(repositories))

    def touch(self, name: str) -> None:
        """Set a repository's time of the last push to now."""
        self._ask("touch", name)

    def wait_before_answers(self, latency: float) -> None:
        """Change the latency of both servers, in seconds."""
        self._ask("wait_before_answers", latency)

    def served(self) -> Served:
        """Return what has been served since the last call, and start anew."""
        return self._ask("served")

    def url(self, name: str) -> str:
        """Return where to clone a bare repository from."""
        return f"{self.git_url}/{name}.git"

    def _ask(self, what: str, *arguments: Any) -> Any:
        self._pipe.send((what, arguments))
        return self._pipe.recv()


class _Servers:
    def __init__(self, git: GitServer, api: GitHubApi) -> None:
        self.git = git
        self.api = api
        self.meter = Meter()
        self.pushes = 0

    def add(self, repositories: Sequence[tuple[str, str, int]]) -> None:
        for name, bare, size in repositories:
            self.api.add(name, self.git.url(bare), size=size, pushed_at=PUSHED)

    def touch(self, name: str) -> None:
        self.pushes += 1
        self.api.update(name, pushed_at=PUSHED + timedelta(minutes=self.pushes))

    def wait_before_answers(self, latency: float) -> None:
        self.git.latency = self.api.latency = latency

    def served(self) -> Served:
        self._settle()
        requests, self.git.log = self.git.log, []
        calls, self.api.requests = self.api.requests, []
        busiest, self.git.busiest = self.git.busiest, 0
        cost, self.meter = self.meter.read(), Meter()
        return Served(
            len(calls),
            sum(request.fetch for request in requests),
            len(requests),
            sum(request.bytes_out for request in requests),
            cost.cpu,
            busiest,
        )

    def _settle(self) -> None:
        # The CPU seconds of a child count once it is reaped.
        deadline = time.monotonic() + 10
        while self.git.children and time.monotonic() < deadline:
            time.sleep(0.01)


def _serve(pipe: Connection, root: Path, latency: float, rate: int) -> None:
    with GitServer(root, latency=latency) as git, GitHubApi() as api:
        api.latency = latency
        git.rate = rate
        servers = _Servers(git, api)
        pipe.send((api.url, f"http://{git.host}:{git.port}", api.token))
        while True:
            try:
                what, arguments = pipe.recv()
            except EOFError:
                return
            pipe.send(getattr(servers, what)(*arguments))
