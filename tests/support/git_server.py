"""A git server on loopback, on real repositories and git's own programs, that can misbehave."""

from __future__ import annotations

import contextlib
import functools
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from tests.support.git_front import Fault, FrontServer, Request
from tests.support.repos import init_bare, run_git


@functools.cache
def find_backend() -> Path:
    """Find git's own program that serves repositories over HTTP."""
    return Path(run_git(Path(), "--exec-path").decode().strip()) / "git-http-backend"


class GitServer:
    """Serve every bare repository below a folder over smart HTTP, on 127.0.0.1 and a free port.

    Names may hold a slash (`owner/name`). All knobs can be turned while it runs:

    latency             seconds before each request is answered
    rate                bytes a second that each connection is sent of a repository; 0: no limit
    token, private      names in `private` want Basic authorization x-access-token:<token>
    redirect(name, to)  requests for a name are sent to another repository URL
    hang, drip, cut     the answer with the objects never comes, or stops; comes slowly; breaks off
    fail                an HTTP status instead of an answer to any request
    maintain            a page for browsers instead of an answer to any request
    heal                all faults of a name, or of every name, end; hanging requests go on
    """

    def __init__(self, root: Path, *, token: str = "git-token", latency: float = 0.0) -> None:
        self.root = root
        self.token = token
        self.latency = latency
        self.rate = 0
        # The largest number of concurrent requests for objects.
        self.busiest = 0
        self._answering = 0
        self.private: set[str] = set()
        self.redirects: dict[str, str] = {}
        self.log: list[Request] = []
        self.stopping = threading.Event()
        self._faults: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self.children: set[subprocess.Popen[bytes]] = set()
        self.backend = find_backend()
        root.mkdir(parents=True, exist_ok=True)
        self._http = FrontServer(self)
        self.host, self.port = "127.0.0.1", int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> GitServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; requests under way are broken off."""
        self.stopping.set()
        self._http.shutdown()
        self._http.break_off()
        with self._lock:
            children = list(self.children)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        self._http.server_close()
        self._thread.join()

    def path(self, name: str) -> Path:
        """Return the folder of a repository, there or not."""
        return self.root / f"{name}.git"

    def url(self, name: str, *, host: str | None = None) -> str:
        """Return the clone URL of a repository, under 127.0.0.1 or another name for it."""
        return f"http://{host or self.host}:{self.port}/{quote(name)}.git"

    def create(self, name: str, *, filters: bool = True) -> Path:
        """Make an empty bare repository, if there is none yet, and return its folder."""
        path = self.path(name)
        if not path.exists():
            init_bare(path)
            self.set_filters(name, filters)
        return path

    def set_filters(self, name: str, allowed: bool) -> None:
        """Set whether a repository can be cloned in part (`--filter`)."""
        keys = ("allowFilter", "allowAnySHA1InWant")
        section = "".join(f"\t{key} = {str(allowed).lower()}\n" for key in keys)
        with (self.path(name) / "config").open("a") as config:  # of several values the last counts
            config.write(f"[uploadpack]\n{section}")

    def redirect(self, name: str, to: str) -> None:
        """Answer requests for a name with 302 to the same place below another repository URL."""
        self.redirects[name] = to.removesuffix("/")

    def hang(self, name: str, *, after: int = 0, times: int | None = None) -> None:
        """Send nothing more once `after` bytes of the objects are sent (0: not even a status)."""
        self._faults[name] = Fault("hang", after=after, times=times)

    def drip(self, name: str, *, rate: int = 100, times: int | None = None) -> None:
        """Send the objects at so many bytes a second."""
        self._faults[name] = Fault("drip", rate=rate, times=times)

    def cut(self, name: str, *, after: int = 1000, times: int | None = None) -> None:
        """Close the connection once `after` bytes of the objects are sent."""
        self._faults[name] = Fault("cut", after=after, times=times)

    def fail(self, name: str, *, status: int = 500, times: int | None = None) -> None:
        """Answer every request for a name with an HTTP status."""
        self._faults[name] = Fault("fail", status=status, times=times)

    def maintain(self, name: str, page: bytes = b"") -> None:
        """Answer every request for a name with 200 and a page for browsers."""
        self._faults[name] = Fault("maintain", page=page)

    def heal(self, name: str | None = None) -> None:
        """End the faults of one name, or all."""
        if name is None:
            self._faults.clear()
            self.redirects.clear()
        else:
            self._faults.pop(name, None)
            self.redirects.pop(name, None)

    def requests(self, name: str) -> list[Request]:
        """Return the requests for one repository, oldest first."""
        return [request for request in list(self.log) if request.repo == name]

    def fetches(self, name: str) -> list[Request]:
        """Return the requests for one repository's objects, oldest first."""
        return [request for request in self.requests(name) if request.fetch]

    def bytes_sent(self, name: str) -> int:
        """Return how many bytes of answers have been sent for one repository."""
        return sum(request.bytes_out for request in self.requests(name))

    def take_fault(self, request: Request) -> Fault | None:
        """Return the fault that strikes a request, and count it."""
        with self._lock:
            fault = self._faults.get(request.repo)
            anywhere = ("fail", "maintain")
            if fault is None or (fault.kind not in anywhere and not request.fetch):
                return None
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    del self._faults[request.repo]
            return fault

    def wait_healed(self, request: Request, fault: Fault, client: socket.socket) -> bool:
        """Wait until a hanging request may go on; False when the client or this server is gone."""
        last = fault.times is not None and fault.times <= 0
        while not self.stopping.is_set():
            if not last and self._faults.get(request.repo) is not fault:
                return True
            readable, _, _ = select.select([client], [], [], 0.05)
            if readable and not client.recv(1, socket.MSG_PEEK):
                return False
        return False

    @contextlib.contextmanager
    def answering(self, request: Request) -> Iterator[None]:
        """Count concurrent requests for objects."""
        with self._lock:
            self._answering += request.fetch
            self.busiest = max(self.busiest, self._answering)
        try:
            yield
        finally:
            with self._lock:
                self._answering -= request.fetch

    @contextlib.contextmanager
    def running(self, child: subprocess.Popen[bytes]) -> Iterator[None]:
        """Register a child process, and end it at the end of the block."""
        with self._lock:
            self.children.add(child)
        try:
            yield
        finally:
            if child.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(0.2)
            child.kill()
            child.wait()
            with self._lock:
                self.children.discard(child)
