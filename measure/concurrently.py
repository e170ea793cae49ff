"""Two steps of one measurement, run concurrently."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cancel import CancelScope
from errors import Interrupted

A = TypeVar("A")
B = TypeVar("B")


def run_concurrently(
    scope: CancelScope, here: Callable[[], A], aside: Callable[[], B]
) -> tuple[A, B]:
    """Call one function here and another in a thread, and return both results.

    The first exception ends the programs of both, which run on `scope`, and is raised.
    """
    with ThreadPoolExecutor(1, "measure") as pool:
        other = pool.submit(aside)
        other.add_done_callback(lambda done: scope.cancel() if done.exception() else None)
        try:
            result = here()
        except BaseException as failure:
            scope.cancel()
            first = other.exception()
            # When the thread failed first, the interruption here is only its consequence.
            if first is not None and isinstance(failure, Interrupted):
                raise first from None
            raise
        return result, other.result()
