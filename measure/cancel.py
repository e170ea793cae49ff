"""What runs on behalf of this process, and the ways to end it: one purpose's, or everything."""

from __future__ import annotations

import threading
from collections.abc import Callable

lock = threading.RLock()  # reentrant: stop_all() is called from signal handlers, too
_ends: dict[Callable[[], None], CancelScope | None] = {}
_stopped = False


class CancelScope:
    """Hold the programs of one purpose, so that one call ends them all, those to come included."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """End the programs; theirs and later calls raise Interrupted."""
        with lock:
            self.cancelled = True
            for end, scope in _ends.items():
                if scope is self:
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


def is_stopped(scope: CancelScope | None) -> bool:
    """Tell whether this process itself, not somebody outside, ended or forbade what runs on it."""
    return _stopped or (scope is not None and scope.cancelled)


def register(end: Callable[[], None], scope: CancelScope | None) -> None:
    """Have `end` called when the scope is cancelled or all is stopped, even if that was just now.

    `end` must not block and may be called more than once, until unregister().
    """
    with lock:
        _ends[end] = scope
        if is_stopped(scope):
            end()


def unregister(end: Callable[[], None]) -> None:
    """Take back register()."""
    with lock:
        _ends.pop(end, None)
