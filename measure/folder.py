"""Folders for clones: one per measurement, gone on every way out, swept when their owner died."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from errors import CommandError, Interrupted, MeasureError

from .command import run

PREFIX = "project-tracker-"
LOCK = "lock"
UNLOCKED_FOR = 60  # seconds after which a folder without a lock has lost its maker or remover
REMOVAL_TIMEOUT = 300

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def clone_folder(scratch: Path | None = None) -> Iterator[Path]:
    """Make a folder of one's own, and remove it with all that is in it.

    A lock in it is held meanwhile: the system lets go of it when this process dies, however that
    happens, and so tells sweep() what is left over.
    """
    try:
        folder, lock = _make(scratch)
    except OSError as error:
        raise MeasureError("no folder for temporary files could be made") from error
    try:
        yield folder
    finally:
        remove(folder)
        os.close(lock)


def sweep(scratch: Path | None = None) -> int:
    """Remove the clone folders whose owner is gone and return how many."""
    parent = scratch or Path(tempfile.gettempdir())
    return sum(_sweep_one(folder) for folder in parent.glob(f"{PREFIX}*"))


def _make(scratch: Path | None) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=scratch))
        lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            if os.fstat(lock).st_nlink:
                return folder, lock
        os.close(lock)  # a sweep came in between and has taken the folder for a left-over


def _sweep_one(folder: Path) -> bool:
    try:
        facts = folder.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
            return False
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _sweep_unlocked(folder)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return remove(folder)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)


def _sweep_unlocked(folder: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        if time.time() - folder.stat().st_mtime > UNLOCKED_FOR:
            return remove(folder)
    return False


def remove(folder: Path) -> bool:
    """Remove a tree by `rm`, which no depth of folders makes stumble."""
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    for _ in range(3):  # a signal to all processes of a host ends `rm`, too
        try:
            run(
                ["rm", "-rf", "--", str(folder)],
                cwd=folder.parent,
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
