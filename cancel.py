"""The running programs of this process, and how to end those of one purpose, or all."""

from __future__ import annotations

import threading
from collections.abc import Callable

lock = threading.RLock()  # reentrant: stop_all() is called from signal handlers, too
_ends: dict[Callable[[], None], CancelScope | None] = {}
_stopped = False


class CancelScope:
    """The programs of one purpose, which one call ends, including those started later."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """End the programs; their calls and later ones raise Interrupted."""
        with lock:
            self.cancelled = True
            for end, scope in _ends.items():
                if scope is self:
                    end()


def stop_all() -> None:
    """End every running program and prevent others: their calls raise Interrupted."""
    global _stopped
    with lock:
        _stopped = True
        for end in _ends:
            end()


def allow_again() -> None:
    """Undo stop_all() for later programs."""
    global _stopped
    with lock:
        _stopped = False


def is_stopped(scope: CancelScope | None) -> bool:
    """Return whether this process itself, not another one, has ended the scope's programs."""
    return _stopped or (scope is not None and scope.cancelled)


def register(end: Callable[[], None], scope: CancelScope | None) -> None:
    """Call `end` when the scope is cancelled or all is stopped, immediately if it is already.

    `end` must not block and may be called more than once, until unregister().
    """
    with lock:
        _ends[end] = scope
        if is_stopped(scope):
            end()


def unregister(end: Callable[[], None]) -> None:
    """Undo register()."""
    with lock:
        _ends.pop(end, None)
