"""Move the clock of a process, as tests.support.short_timeouts does with `SKEW=-40`."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, tzinfo

from database import types


def skew(seconds: float) -> None:
    """Set the clock of this process and its forks so many seconds ahead."""
    shift = timedelta(seconds=seconds)
    real_time = time.time

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + shift

    types.datetime = Shifted  # type: ignore[attr-defined]
    time.time = lambda: real_time() + seconds
