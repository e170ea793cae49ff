"""cloc: its path, its version and its counts."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cancel import CancelScope
from errors import CommandError, CommandOutOfMemory, CommandTimeout

from .cloc_server.fork_server import ForkServer, ServerGone
from .command import HELPER_MEMORY_MB, CompletedOutput, run
from .figures import NotCounted, not_counted

HEROKU_APT = Path("/app/.apt")
PERL_FOLDERS = (
    "share/perl5",
    "share/perl/5.*",
    "lib/*/perl5/5.*",
    "lib/*/perl/5.*",
    "lib/*/perl-base",
)
# By default cloc stops after about a second on a file, and counts its code as comments.
COUNT = ("--csv", "--quiet", "--timeout=0", ".")
BY_FILE = ("--by-file", "--skip-uniqueness")
HEADER = "files,language,blank,comment,code,"
FILES_HEADER = b"language,filename,blank,comment,code,"
VERSION = re.compile(r"\bcloc v ?(\d[\w.-]{0,30})")
VERSION_TIMEOUT = 30
_versions: dict[tuple[str, str, int], str] = {}  # by path, search path and time of the file
_versions_lock = threading.Lock()  # a thread that comes second waits for the first one's answer
# The errors on cloc's stderr that mean a file was not counted, and their reasons.
ERROR = re.compile(
    r"^(Line count, exceeded timeout|Unable to read|Neither file nor .*?):  (.+)$", re.M
)
ERRORS = {"Line count, exceeded timeout": "cloc took too long", "Unable to read": "cannot be read"}


@dataclass(frozen=True)
class Table:
    """cloc's output: code lines by language, its version if it is there, and errors."""

    languages: dict[str, int]
    version: str | None
    not_counted: tuple[NotCounted, ...] = ()


@dataclass(frozen=True)
class Cloc:
    """An installed cloc."""

    path: str
    search_path: str

    @property
    def changed(self) -> int:
        """Return its file's modification time in nanoseconds. Raises ClocFailed when it is gone."""
        try:
            return Path(self.path).stat().st_mtime_ns
        except OSError as error:
            raise ClocFailed("cloc is not there any more") from error

    def version(self, server: ForkServer | None = None) -> str:
        """Return the version. Raises ClocFailed when cloc prints none.

        `server` is one of this cloc's, and may have ended.
        """
        key = (self.path, self.search_path, self.changed)
        with _versions_lock:
            if key not in _versions:
                _versions[key] = self._run_for_version(server)
            return _versions[key]

    def server(self, folder: Path, memory_mb: int) -> ForkServer:
        """Start a server of this cloc, with its socket in a private folder. Raises ServerGone."""
        env = _environment(self.path, self.search_path, folder)
        return ForkServer(Path(self.path), env, folder, memory_mb)

    def count(
        self,
        tree: Path,
        scratch: Path,
        timeout: float,
        memory_mb: int,
        scope: CancelScope,
        server: ForkServer | None = None,
    ) -> Table:
        """Count the lines of code of each language below a folder.

        `scratch` is the folder for its temporary files; `server` is one of this cloc's, and may
        have ended. Raises ClocFailed (safe to show) and CommandOutOfMemory.
        """
        return _table(self._run(COUNT, tree, scratch, timeout, memory_mb, scope, server))

    def count_files(
        self,
        tree: Path,
        scratch: Path,
        timeout: float,
        memory_mb: int,
        scope: CancelScope,
        server: ForkServer | None = None,
    ) -> list[tuple[bytes, str, int]]:
        """Return path, language and lines of code of each file below a folder with code.

        Files of equal content are included. Parameters and exceptions are those of count().
        """
        arguments = (*COUNT, *BY_FILE)
        done = self._run(arguments, tree, scratch, timeout, memory_mb, scope, server)
        return parse_files(done.stdout)

    def _run_for_version(self, server: ForkServer | None) -> str:
        scratch = Path(tempfile.gettempdir())
        try:
            done = self._run(
                ("--version",),
                Path("/"),
                scratch,
                VERSION_TIMEOUT,
                HELPER_MEMORY_MB,
                None,
                server,
            )
        except CommandOutOfMemory as error:
            raise ClocFailed("cloc needs too much memory") from error
        text = done.stdout.decode(errors="replace").strip()
        match = re.fullmatch(r"(?:cloc\s+)?v?(\d[\w.-]{0,30})", text)
        if match is None:
            raise ClocFailed("cloc does not tell its version")
        return match[1]

    def _run(
        self,
        arguments: Sequence[str],
        tree: Path,
        scratch: Path,
        timeout: float,
        memory_mb: int,
        scope: CancelScope | None,
        server: ForkServer | None,
    ) -> CompletedOutput:
        env = _environment(self.path, self.search_path, scratch)
        try:
            if server is not None:
                with contextlib.suppress(ServerGone):
                    return server.run(*arguments, cwd=tree, env=env, timeout=timeout, scope=scope)
            return run(
                [self.path, *arguments],
                cwd=tree,
                env=env,
                timeout=timeout,
                memory_mb=memory_mb,
                scope=scope,
            )
        except CommandOutOfMemory:
            raise
        except CommandTimeout as error:
            raise ClocFailed("cloc took too long") from error
        except CommandError as error:
            raise ClocFailed(f"cloc failed with code {error.code}") from error


class ClocFailed(Exception):
    """cloc could not count; the message is safe to show."""


class ClocMissing(ClocFailed):
    """There is no cloc."""


def find_cloc(cloc_path: str | None, search_path: str) -> Cloc:
    """Find cloc: at the given path, or on the search path, or in Heroku's apt folder.

    Raises ClocMissing when there is none.
    """
    if cloc_path is not None:
        found = shutil.which(cloc_path, path=search_path)
        missing = "CLOC_PATH names no program"
    else:
        found = shutil.which("cloc", path=f"{search_path}{os.pathsep}{HEROKU_APT / 'usr/bin'}")
        missing = "cloc is not installed"
    if found is None:
        raise ClocMissing(missing)
    return Cloc(found, search_path)


def parse_errors(stderr: str) -> tuple[NotCounted, ...]:
    """Return the files that cloc lists on stderr as not counted."""
    return not_counted(
        (ERRORS.get(error, "cloc failed"), path.removeprefix("./"))
        for error, path in ERROR.findall(stderr)
    )


def _table(done: CompletedOutput) -> Table:
    table = parse_csv(done.stdout.decode(errors="replace"))
    left_out = parse_errors(done.stderr)
    if left_out and not table.languages:
        raise ClocFailed("cloc counted none of its files")
    return replace(table, not_counted=left_out)


def parse_csv(output: str) -> Table:
    """Return the code column of `cloc --csv` by language. Raises ClocFailed for anything else.

    cloc writes nothing where it knows no file, which means no code. Lines before the header are
    skipped.
    """
    lines = output.splitlines()
    start = next((place for place, line in enumerate(lines) if line.startswith(HEADER)), None)
    if start is None:
        if output.strip():
            raise ClocFailed("cloc wrote something that is not its table")
        return Table({}, None)
    told = VERSION.search(lines[start])
    languages: dict[str, int] = {}
    try:
        for _, language, _, _, code in csv.reader(lines[start + 1 :]):
            if language == "SUM":
                if int(code) != sum(languages.values()):
                    break
                return Table(languages, told[1] if told else None)
            languages[language] = int(code)
    except (ValueError, csv.Error) as error:
        raise ClocFailed("cloc wrote a table that cannot be read") from error
    raise ClocFailed("cloc's table has no sum")


def parse_files(output: bytes) -> list[tuple[bytes, str, int]]:
    """Return the rows of `cloc --csv --by-file`: path, language, code lines.

    A path may contain anything but a line feed, and is not quoted. Raises ClocFailed for any other
    text, and for a table whose sum differs from that of its rows.
    """
    lines = output.split(b"\n")
    start = next((n for n, line in enumerate(lines) if line.startswith(FILES_HEADER)), None)
    if start is None:
        if output.strip():
            raise ClocFailed("cloc wrote something that is not its table")
        return []
    rows: list[tuple[bytes, str, int]] = []
    try:
        for line in lines[start + 1 :]:
            language, _, rest = line.partition(b",")
            path, _, _, code = rest.rsplit(b",", 3)
            if language == b"SUM" and not path:
                if int(code) != sum(row[2] for row in rows):
                    break
                return rows
            rows.append((path.removeprefix(b"./"), language.decode(), int(code)))
    except ValueError as error:
        raise ClocFailed("cloc wrote a table that cannot be read") from error
    raise ClocFailed("cloc's table has no sum")


def _environment(path: str, search_path: str, scratch: Path) -> dict[str, str]:
    """Return cloc's environment: a home without its options file, its libraries on Heroku."""
    env = {
        "PATH": search_path,
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch),
        "LC_ALL": "C",
    }
    usr = Path(path).parent.parent
    if usr.name == "usr" and usr.parent.name == ".apt":
        folders = [str(folder) for pattern in PERL_FOLDERS for folder in sorted(usr.glob(pattern))]
        env["PERL5LIB"] = os.pathsep.join(folders)
    return env
