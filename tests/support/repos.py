"""Git repositories built commit by commit for the tests, with names and dates of any kind."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.fast_import import Entry, Files, Name, changes, data, edited, quoted

if TYPE_CHECKING:
    from tests.support.git_server import GitServer

__all__ = ["Entry", "RepoBuilder", "git_environment", "init_bare", "run_git"]

FIRST_COMMIT = 1_700_000_000
HOUR = 3600
FAST_IMPORT = (
    "git",
    *("-c", "fastimport.unpackLimit=0"),  # or another process makes loose objects of a small pack
    *("-c", "core.fsync=none"),
    *("fast-import", "--quiet", "--force", "--date-format=raw-permissive"),
)
IDENTITY = "Ada Tester <ada@example.org>"


def git_environment() -> dict[str, str]:
    """Return an environment without the user's and the system's git configuration."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        "TZ": "UTC",
    }


def run_git(folder: Path, *arguments: str, stdin: bytes | None = None) -> bytes:
    """Run git in a folder and return its stdout; its stderr is part of the error on failure."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=git_environment(), input=stdin, capture_output=True
    )
    if done.returncode:
        raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def _write_head(repository: Path, branch: str) -> None:
    (repository / "HEAD").write_text(f"ref: refs/heads/{branch}\n")


def init_bare(path: Path) -> None:
    """Make an empty bare repository without the process that `git init` would take."""
    for folder in ("objects", "refs/heads"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    (path / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
    _write_head(path, "main")


def _link_objects(source: Path, target: Path) -> None:
    """Add the objects of one repository to another; a push takes several processes."""
    # An index is what git finds a pack by, so it comes after its pack.
    for path in sorted(_files(source), key=lambda path: path.suffix == ".idx"):
        copy = target / path.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            copy.hardlink_to(path)


def _copy_refs(source: Path, target: Path) -> None:
    """Make one repository's refs those of another; each changes at once, as by a push."""
    shas = {path.relative_to(source): path.read_bytes() for path in _files(source)}
    for path in _files(target):
        if path.relative_to(target) not in shas:
            path.unlink()
    for name, sha in shas.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.lock")
        new.write_bytes(sha)
        new.replace(path)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class RepoBuilder:
    """Build a repository in a folder of its own, without a work tree.

    Every commit goes through `git fast-import`, which takes any file name and almost any date, and
    costs one short process. Commits without a `when` follow each other by an hour.
    """

    def __init__(self, path: Path, *, branch: str = "main") -> None:
        self.path = path
        self.published: list[Path] = []
        self.clock = FIRST_COMMIT - HOUR
        self.made = 0
        init_bare(path)
        self.checkout(branch)

    def git(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """Run git in the repository and return its stdout."""
        return run_git(self.path, *arguments, stdin=stdin)

    @property
    def current(self) -> str:
        """The name of the branch that HEAD stands on."""
        return (self.path / "HEAD").read_text().removeprefix("ref: refs/heads/").strip()

    @property
    def head(self) -> str:
        """The sha of the current branch's last commit."""
        return self._tip() or self.sha("HEAD")

    def sha(self, revision: str) -> str:
        """Return the sha that a revision names."""
        return self.git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()

    def checkout(self, branch: str) -> None:
        """Check out a branch; a new one is created by its first commit."""
        _write_head(self.path, branch)

    def branch(self, name: str, start: str = "HEAD") -> None:
        """Make a branch at a commit and check it out."""
        self.git("branch", "--force", name, self.sha(start))
        self.checkout(name)

    def reset(self, revision: str) -> None:
        """Move the current branch to a commit, as before a force-push."""
        self.git("update-ref", f"refs/heads/{self.current}", self.sha(revision))

    def commit(
        self,
        files: Files | None = None,
        *,
        when: datetime | int | None = None,
        tz: str | None = None,
        message: str | bytes | None = None,
        author: str = IDENTITY,
        parents: Iterable[str] | None = None,
    ) -> str:
        """Commit changed files (None: removed) onto the current branch and return the sha.

        `when` is both timestamps, in seconds or as a datetime; `tz` like "+0530" (otherwise the
        datetime's own, or UTC). `parents` replaces the current head as parent.
        """
        return self._import_commit(changes(files or {}), when, tz, message, author, parents)

    def rename(
        self,
        old: Name,
        new: Name,
        files: Files | None = None,
        *,
        when: datetime | int | None = None,
        tz: str | None = None,
        message: str | bytes | None = None,
    ) -> str:
        """Commit the renaming of a file or folder, together with other changed files."""
        commands = [b"R %s %s" % (quoted(old), quoted(new)), *changes(files or {})]
        return self._import_commit(commands, when, tz, message, IDENTITY, None)

    def merge(
        self,
        other: str,
        files: Files | None = None,
        *,
        when: datetime | int | None = None,
        tz: str | None = None,
        message: str | bytes | None = None,
    ) -> str:
        """Merge another commit: what it changed since the merge base wins, `files` come on top."""
        theirs = self.sha(other)
        ours = self.head
        commands = [*self._changed_by(ours, theirs), *changes(files or {})]
        return self._import_commit(commands, when, tz, message, IDENTITY, (ours, theirs))

    def raw_commit(self, committer: bytes, message: bytes = b"Raw\n") -> str:
        """Commit the current tree again with a committer line taken as it is, valid or not."""
        tree = self.git("rev-parse", "HEAD^{tree}").strip()
        text = b"tree %s\nparent %s\nauthor %s 1 +0000\ncommitter %s\n\n%s" % (
            tree,
            self.head.encode(),
            IDENTITY.encode(),
            committer,
            message,
        )
        sha = self.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=text)
        self.git("update-ref", f"refs/heads/{self.current}", sha.decode().strip())
        return sha.decode().strip()

    def bulk(
        self,
        commits: int,
        *,
        seed: int = 1,
        files: int = 100,
        lines: int = 40,
        edits: int = 2,
        step: int = HOUR,
        folder: str = "src",
        suffix: str = ".py",
    ) -> str:
        """Add many commits quickly and return the last one's sha.

        Each rewrites some lines in `edits` of the `files` text files below `folder`; the same seed
        gives the same content. Commits are `step` seconds apart.
        """
        texts = {f"{folder}/part{n // 50}/file{n}{suffix}": [""] * lines for n in range(files)}
        return self.commit_each(edited(texts, commits, edits, seed), step=step, title="Bulk")

    def commit_each(
        self, series: Iterable[Files], *, step: int = HOUR, title: str = "Commit"
    ) -> str:
        """Commit several changes, one after the other, in one process; return the last sha."""
        who = IDENTITY.encode()
        ref = self._ref().encode()
        parent = b"".join(b"from %s\n" % sha.encode() for sha in self._parent())

        def stream() -> Iterator[bytes]:
            for number, changed_files in enumerate(series):
                self.clock += step
                self.made += 1
                stamp = b"%s %d +0000" % (who, self.clock)
                yield b"commit %s\nauthor %s\ncommitter %s\n" % (ref, stamp, stamp)
                yield data(f"{title} {number}".encode()) + b"\n" + (b"" if number else parent)
                yield b"\n".join([*changes(changed_files), b""])

        self._fast_import(stream())
        return self.head

    def bare(self, path: Path) -> Path:
        """Copy the repository into a bare one at `path`, which push() keeps up to date."""
        if not (path / "HEAD").exists():
            init_bare(path)
        if path not in self.published:
            self.published.append(path)
        self._mirror(path)
        return path

    def publish(self, server: GitServer, name: str) -> str:
        """Copy the repository to a server under a name and return its URL."""
        self.bare(server.create(name))
        return server.url(name)

    def push(self) -> None:
        """Push by force to every copy, HEAD included."""
        for path in self.published:
            self._mirror(path)

    def _mirror(self, path: Path) -> None:
        _link_objects(self.path / "objects", path / "objects")
        _copy_refs(self.path / "refs", path / "refs")
        _write_head(path, self.current)

    def _tip(self) -> str | None:
        """Read the current branch's sha from its file, since asking git costs a process."""
        with contextlib.suppress(FileNotFoundError):
            return (self.path / self._ref()).read_text().strip()
        return None

    def _parent(self) -> tuple[str, ...]:
        tip = self._tip()
        return () if tip is None else (tip,)

    def _ref(self) -> str:
        return f"refs/heads/{self.current}"

    def _stamp(self, when: datetime | int | None, tz: str | None) -> bytes:
        if isinstance(when, datetime):
            tz = tz or when.strftime("%z") or "+0000"
            when = int(when.timestamp())
        self.clock = self.clock + HOUR if when is None else when
        return f"{self.clock} {tz or '+0000'}".encode()

    def _import_commit(
        self,
        commands: list[bytes],
        when: datetime | int | None,
        tz: str | None,
        message: str | bytes | None,
        author: str,
        parents: Iterable[str] | None,
    ) -> str:
        self.made += 1
        if message is None:
            message = f"Commit {self.made}"
        text = message.encode() if isinstance(message, str) else message
        parents = self._parent() if parents is None else tuple(parents)
        stamp = self._stamp(when, tz)
        # A ref that is there becomes the parent unless it is reset first.
        stream = [b"reset %s" % self._ref().encode()] if not parents else []
        stream.append(b"commit %s" % self._ref().encode())
        stream.append(b"author %s %s" % (os.fsencode(author), stamp))
        stream.append(b"committer %s %s" % (IDENTITY.encode(), stamp))
        stream.append(data(text))
        for word, parent in zip((b"from", *[b"merge"] * len(parents)), parents, strict=False):
            stream.append(b"%s %s" % (word, parent.encode()))
        self._fast_import([b"\n".join([*stream, *commands, b"", b""])])
        return self.head

    def _fast_import(self, stream: Iterable[bytes]) -> None:
        with subprocess.Popen(
            FAST_IMPORT,
            cwd=self.path,
            env=git_environment(),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin
            assert process.stderr
            try:
                for piece in stream:
                    process.stdin.write(piece)
                process.stdin.close()
            except BrokenPipeError:
                pass  # its stderr, read below, tells why
            problem = process.stderr.read().decode(errors="replace")
        if process.returncode:
            raise RuntimeError(f"git fast-import: {problem}")

    def _changed_by(self, ours: str, theirs: str) -> Iterator[bytes]:
        """Yield what `theirs` changed since the merge base, as fast-import commands."""
        base = self.git("merge-base", ours, theirs).decode().strip()
        raw = self.git("diff-tree", "-r", "-z", "--no-renames", base, theirs).split(b"\0")[:-1]
        for meta, path in zip(raw[::2], raw[1::2], strict=True):
            _, mode, _, blob, status = meta.split()
            name = quoted(path)
            yield b"D %s" % name if status == b"D" else b"M %s %s %s" % (mode, blob, name)
