"""git, run safely whatever a repository, its server or this host contains."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path

from cancel import CancelScope
from errors import (
    CommandError,
    CommandOutOfMemory,
    CommandTimeout,
    EmptyRepository,
    Interrupted,
    MeasureError,
)

from . import git_errors
from .command import Deadline, run, stream
from .figures import Options, Source, out_of_memory
from .git_environment import environment
from .workspace import remove

OBJECT_NAME = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

# The first packet of a server that speaks git's own protocol, in the trace of packets.
SMART_ANSWER = re.compile(rb"< (?:# service=git-upload-pack|version [12])\b")
KILLED = (-9, 137)  # by itself, or reported by `timeout`

logger = logging.getLogger(__name__)


class GitFailed(MeasureError):
    """git failed; `cause` is None when its message is not a known one."""

    def __init__(self, code: int, cause: str | None) -> None:
        if code in KILLED:
            cause = "git was killed, perhaps because the machine ran out of memory"
        super().__init__(cause or f"git failed with code {code}")
        self.code = code
        self.cause = cause


class Git:
    """git for one source, with its repository and checkout in one workspace.

    Failures become GitFailed or MeasureError, safe to show. `transfer` and `work` are the deadlines
    of CLONE_TIMEOUT and MEASURE_TIMEOUT.
    """

    def __init__(self, source: Source, options: Options, folder: Path) -> None:
        self.source = source
        self.options = options
        self.url = source.url if "://" in source.url else str(Path(source.url).absolute())
        self.folder = folder
        self.repository = folder / "repository"
        self.tree = folder / "tree"
        self.lacks_blobs = False
        self.scope = CancelScope()
        self.transfer = Deadline(options.clone_timeout)
        self.work = Deadline(options.measure_timeout)
        self._outside = environment(source, options, folder)
        if "://" not in source.url:
            # Somebody's path at the terminal may belong to another user. What serves it there gets
            # none of the environment's configuration, so this has to be in a file.
            config = folder / "gitconfig"
            config.write_text("[safe]\n\tdirectory = *\n")
            self._outside["GIT_CONFIG_GLOBAL"] = str(config)

    def clone(self, depth: int | None = None) -> None:
        """Clone one branch, without tags or checkout; `depth` counts generations, None is all."""
        self._clone(depth, [])

    def _clone(self, depth: int | None, more: Sequence[str]) -> None:
        arguments = ["clone", "--quiet", "--bare", "--single-branch", "--no-tags", "--template="]
        arguments += ["--reject-shallow", "--no-local", "--no-recurse-submodules"]
        arguments += more
        if depth is not None:
            arguments.append(f"--depth={depth}")
        if self.source.branch is not None:
            arguments.append(f"--branch={self.source.branch}")
        arguments += ["--", self.url, str(self.repository)]
        with self._plainly("cloning it", self.transfer):
            self._run(arguments, self._outside, self.transfer)

    def clone_without_blobs(self, depth: int) -> None:
        """Clone commits and folders only, where the server can; otherwise clone as clone() does."""
        self._clone(depth, ["--filter=blob:none"])
        self.lacks_blobs = True

    def start_over(self) -> None:
        """Remove what was cloned."""
        remove(self.repository)
        self.lacks_blobs = False

    def fetch_blobs(self, blobs: Iterable[bytes]) -> None:
        """Fetch blobs that a clone without blobs has left out, in one request."""
        if not self.lacks_blobs:
            return
        # Told which commits are here, a server leaves out what it takes to have come with them.
        arguments = ["-c", "fetch.negotiationAlgorithm=noop"]
        arguments += ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]
        arguments += ["--filter=blob:none", "--stdin", "origin"]
        names = b"\n".join(sorted(set(blobs)))
        if not names:
            return
        with self._plainly("cloning it", self.transfer):
            self._run(arguments, self._inside(self.folder), self.transfer, stdin=names + b"\n")

    def deepen(self, depth: int) -> None:
        """Fetch more generations of the cloned branch."""
        branch = self.source.branch
        arguments = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]
        arguments.append(f"--depth={depth}")
        # By its name, under which a clone without blobs has noted that it is to stay one.
        arguments += ["--", "origin", "HEAD" if branch is None else f"refs/heads/{branch}"]
        with self._plainly("cloning it", self.transfer):
            self._run(arguments, self._inside(self.folder), self.transfer)

    def list_remote(self) -> dict[str, str]:
        """Return the source's HEAD and branches with the commits they name."""
        return self._list_remote(self._outside)

    def confirm_empty(self) -> None:
        """Raise EmptyRepository if the source says in git's own protocol that it has no branch.

        Raises MeasureError for anything else. A web page is no such answer, although git
        reads one as the empty list of a dumb server.
        """
        trace = self.folder / "packets"
        if self._list_remote(self._outside | {"GIT_TRACE_PACKET": str(trace)}):
            raise MeasureError(git_errors.NO_BRANCH)
        if "://" in self.url and not (trace.exists() and SMART_ANSWER.search(trace.read_bytes())):
            raise MeasureError("the server did not answer as a git server does")
        raise EmptyRepository("the repository holds no commit")

    def start_work(self) -> None:
        """Start MEASURE_TIMEOUT: earlier commands belong to fetching."""
        self.work = Deadline(self.options.measure_timeout)

    def _list_remote(self, env: Mapping[str, str]) -> dict[str, str]:
        arguments = ["ls-remote", "--quiet", "--", self.url, "HEAD", "refs/heads/*"]
        with self._plainly("asking for its branches", self.transfer):
            listing = self._run(arguments, env, self.transfer)
        lines = (line.split("\t", 1) for line in listing.decode(errors="replace").splitlines())
        return {ref: name for name, ref in lines}

    def head(self) -> str:
        """Return the commit that was cloned. Raises EmptyRepository when there is none."""
        try:
            name = self.ask(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
        except GitFailed as error:
            if error.code == 1:
                raise EmptyRepository("the repository holds no commit") from error
            raise
        return name.decode().strip()

    def ask(
        self, arguments: Sequence[str], stdin: bytes | None = None, index: Path | None = None
    ) -> bytes:
        """Return git's answer about the cloned repository, or about an index."""
        env = self._inside(self.folder)
        if index is not None:
            env["GIT_INDEX_FILE"] = str(index)
        with self._plainly("reading it", self.work):
            return self._run(arguments, env, self.work, stdin=stdin)

    def write(
        self, arguments: Sequence[str], work_tree: Path, index: Path, stdin: Path | None = None
    ) -> None:
        """Run git to write an index or a work tree."""
        env = self._inside(work_tree) | {"GIT_INDEX_FILE": str(index)}
        with self._plainly("checking it out", self.work):
            self._run(arguments, env, self.work, cwd=work_tree, stdin=stdin)

    def stream(
        self, arguments: Sequence[str], work_tree: Path, stdin: Path | None = None
    ) -> Generator[bytes, None, None]:
        """Yield git's output in chunks, with attributes read from a work tree."""
        with self._plainly("reading it", self.work):
            yield from stream(
                ["git", *arguments],
                cwd=work_tree,
                env=self._inside(work_tree),
                timeout=self.work.left(),
                memory_mb=self.options.memory_mb,
                stdin=stdin,
                scope=self.scope,
            )

    def _inside(self, work_tree: Path) -> dict[str, str]:
        return self._outside | {
            "GIT_DIR": str(self.repository),
            "GIT_WORK_TREE": str(work_tree),
        }

    def _run(
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        deadline: Deadline,
        *,
        cwd: Path | None = None,
        stdin: bytes | Path | None = None,
    ) -> bytes:
        return run(
            ["git", *arguments],
            cwd=cwd or self.folder,
            env=env,
            timeout=deadline.left(),
            memory_mb=self.options.memory_mb,
            stdin=stdin,
            scope=self.scope,
        ).stdout

    @contextlib.contextmanager
    def _plainly(self, doing: str, deadline: Deadline) -> Generator[None, None, None]:
        """Turn exceptions of a program into messages that are safe to show."""
        try:
            yield
        except CommandTimeout as error:
            if deadline is self.transfer:
                limit = f"CLONE_TIMEOUT ({self.options.clone_timeout} s)"
            else:
                limit = f"MEASURE_TIMEOUT ({self.options.measure_timeout} s)"
            raise MeasureError(f"{doing} took longer than {limit}") from error
        except CommandOutOfMemory as error:
            logger.debug("%s: %s", error, error.output)
            raise out_of_memory(doing, self.options) from error
        except CommandError as error:
            # When the host shuts down, a helper may end before git gets the signal.
            if git_errors.ENDED_BY_STOP.search(error.output):
                raise Interrupted("git was asked to stop") from error
            logger.debug("%s: %s", error, error.output)
            raise GitFailed(error.code, git_errors.public_cause(error.output)) from error


def commit_names(git: Git, *revisions: str) -> Generator[str, None, None]:
    """Yield the commits that revisions reach, in git's order."""
    rest = b""
    with contextlib.closing(git.stream(["rev-list", *revisions, "--"], git.folder)) as chunks:
        for chunk in chunks:
            *names, rest = (rest + chunk).split(b"\n")
            for name in names:
                yield name.decode()
