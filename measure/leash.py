"""What runs on behalf of this process, and the ways to end it: one purpose's, or everything."""

from __future__ import annotations

import threading
from collections.abc import Callable

lock = threading.RLock()  # reentrant: stop_all() is called from signal handlers, too
_ends: dict[Callable[[], None], Leash | None] = {}
_stopped = False


class Leash:
    """Hold the programs of one purpose, so that one pull ends them all, those to come included."""

    def __init__(self) -> None:
        self.pulled = False

    def pull(self) -> None:
        """End the programs; theirs and later calls raise Interrupted."""
        with lock:
            self.pulled = True
            for end, leash in _ends.items():
                if leash is self:
                    end()


def stop_all() -> None:
    """End every running program, and let no other start: all such calls raise Interrupted."""
    global _stopped
    with lock:
        _stopped = True
        for end in _ends:
            end()


def allow_again() -> None:
    """Undo stop_all() for the programs to come."""
    global _stopped
    with lock:
        _stopped = False


def is_stopped(leash: Leash | None) -> bool:
    """Tell whether this process itself, not somebody outside, ended or forbade what runs on it."""
    return _stopped or (leash is not None and leash.pulled)


def hold(end: Callable[[], None], leash: Leash | None) -> None:
    """Have `end` called when the leash is pulled or all is stopped, even if that was just now.

    `end` must not block and may be called more than once, until let_go().
    """
    with lock:
        _ends[end] = leash
        if is_stopped(leash):
            end()


def let_go(end: Callable[[], None]) -> None:
    """Take back hold()."""
    with lock:
        _ends.pop(end, None)
