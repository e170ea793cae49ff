"""Limits of concurrent work, shared by the processes of one machine.

A slot is a locked file in the folder for temporary files; the system releases the lock when its
process dies. The file exists only while the slot is taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cancel import is_stopped
from errors import Interrupted, MeasureError

PREFIX = "project-tracker-slot-"
POLL = 0.05
"""Seconds between two checks for a slot that another process has released."""

# One thread of a process checks at a time; slots of its own process it is notified of immediately.
_turns: dict[str, threading.Lock] = {}
_freed = threading.Condition()


@dataclass(frozen=True)
class Limit:
    """A kind of work and the number of its slots, shared by all who use the same name."""

    name: str
    slots: int

    @contextlib.contextmanager
    def hold(self, wanted: int = 1, scratch: Path | None = None) -> Iterator[None]:
        """Hold so many slots, acquired together, until the end of the block.

        Waits until they are free; at most all slots are held. Raises Interrupted when this process
        is asked to stop, and MeasureError where no file can be made.
        """
        stem = f"{PREFIX}{os.geteuid()}-{self.name}-"
        folder = scratch or Path(tempfile.gettempdir())
        paths = [folder / f"{stem}{number}" for number in range(self.slots)]
        taken = self._wait(paths, min(wanted, self.slots))
        try:
            yield
        finally:
            _give_back(taken)
            with _freed:
                _freed.notify_all()

    def _wait(self, paths: list[Path], wanted: int) -> dict[Path, int]:
        turn = _turns.setdefault(self.name, threading.Lock())
        while not turn.acquire(timeout=POLL):
            _check_stopped()
        try:
            with _freed:
                while not (taken := _take(paths, wanted)):
                    _check_stopped()
                    _freed.wait(POLL)
                return taken
        except OSError as error:
            raise MeasureError("no lock could be made in the folder for temporary files") from error
        finally:
            turn.release()


def sweep_slots(scratch: Path | None = None) -> int:
    """Remove the files of slots whose process died, and return how many."""
    swept = 0
    for path in (scratch or Path(tempfile.gettempdir())).glob(f"{PREFIX}{os.geteuid()}-*"):
        with contextlib.suppress(OSError):
            handle = _lock(path, 0)
            if handle is not None:
                _give_back({path: handle})
                swept += 1
    return swept


def _check_stopped() -> None:
    if is_stopped(None):
        raise Interrupted("this process is stopping")


def _take(paths: list[Path], wanted: int) -> dict[Path, int]:
    """Acquire so many slots, or none."""
    taken: dict[Path, int] = {}
    try:
        for path in paths:
            handle = _lock(path)
            if handle is not None:
                taken[path] = handle
            if len(taken) == wanted:
                return taken
    except BaseException:
        _give_back(taken)
        raise
    _give_back(taken)
    return {}


def _lock(path: Path, create: int = os.O_CREAT) -> int | None:
    """Lock a slot's file, and return its descriptor, or None when another holds it."""
    flags = create | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        handle = os.open(path, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # its holder has removed it between the two calls


def _give_back(taken: dict[Path, int]) -> None:
    for path, handle in taken.items():
        path.unlink(missing_ok=True)
        os.close(handle)
