"""Two pieces of one measurement side by side."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from errors import Interrupted

from .cancel import CancelScope

A = TypeVar("A")
B = TypeVar("B")


def run_concurrently(
    scope: CancelScope, here: Callable[[], A], aside: Callable[[], B]
) -> tuple[A, B]:
    """Do one thing here and another in a thread, and return both results.

    The first failure ends the programs of both, which run on `scope`, and is raised.
    """
    with ThreadPoolExecutor(1, "measure") as pool:
        other = pool.submit(aside)
        other.add_done_callback(lambda done: scope.cancel() if done.exception() else None)
        try:
            result = here()
        except BaseException as failure:
            scope.cancel()
            first = other.exception()
            # When the thread failed first, what was interrupted here is only the echo.
            if first is not None and isinstance(failure, Interrupted):
                raise first from None
            raise
        return result, other.result()
