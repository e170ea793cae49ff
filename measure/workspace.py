"""Temporary folders for clones: one per measurement, removed at its end or by a later sweep."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from errors import CommandError, Interrupted, MeasureError

from .command import run

PREFIX = "project-tracker-"
MARKER = ".project-tracker-clone"
SIGNATURE = b"A clone of Project Tracker. While a process holds this file locked, it is in use.\n"
REMOVAL_TIMEOUT = 300

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def temporary_workspace(scratch: Path | None = None) -> Iterator[Path]:
    """Make a new folder, and remove it with its content at the end of the block.

    A marker file in it is locked meanwhile. The system releases the lock when this process dies, so
    that sweep_workspaces() recognizes the folder as left over.
    """
    try:
        folder, marker = _make(scratch)
    except OSError as error:
        raise MeasureError("no folder for temporary files could be made") from error
    try:
        yield folder
    finally:
        _remove_marked(folder)
        os.close(marker)


def sweep_workspaces(scratch: Path | None = None) -> int:
    """Remove the clone folders whose owner is gone and return how many.

    The name is not enough: only a folder with the marker is removed.
    """
    parent = scratch or Path(tempfile.gettempdir())
    return sum(_sweep_one(folder) for folder in parent.glob(f"{PREFIX}*"))


def _make(scratch: Path | None) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=scratch))
        marker = os.open(folder / MARKER, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(marker, SIGNATURE)
        except BlockingIOError:
            pass
        else:
            if os.fstat(marker).st_nlink:
                return folder, marker
        os.close(marker)  # a sweep has removed the folder before it was locked


def _sweep_one(folder: Path) -> bool:
    """Remove a folder if its marker is this user's and not locked; return whether it was."""
    try:
        facts = folder.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
            return False
        # Non-blocking, in case there is a pipe of this name.
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        marker = os.open(folder / MARKER, flags)
    except OSError:
        return False
    try:
        ours = os.fstat(marker)
        if not stat.S_ISREG(ours.st_mode) or ours.st_uid != os.geteuid():
            return False
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.pread(marker, len(SIGNATURE) + 1, 0) == SIGNATURE and _remove_marked(folder)
    except BlockingIOError:
        return False
    finally:
        os.close(marker)


def _remove_marked(folder: Path) -> bool:
    """Remove a folder, its marker last, so that a later sweep finds what is left."""
    with contextlib.suppress(FileNotFoundError):
        inside = [path for path in folder.iterdir() if path.name != MARKER]
        if inside and not remove(*inside):
            return False
        try:
            (folder / MARKER).unlink()
            folder.rmdir()
        except OSError:
            return remove(folder)
    return True


def remove(*paths: Path) -> bool:
    """Remove files and folders with `rm`, which handles any depth; return whether it succeeded."""
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    for _ in range(3):  # `rm` may be ended by a signal to all processes
        try:
            run(
                ["rm", "-rf", "--", *(str(path.absolute()) for path in paths)],
                cwd=Path("/"),
                env=environment,
                timeout=REMOVAL_TIMEOUT,
                even_if_stopped=True,
            )
            return True
        except Interrupted:
            continue
        except CommandError as error:
            logger.debug("%s: %s", error, error.output)
            break
    logger.warning("A folder of a clone could not be removed; the next sweep tries again.")
    return False
