"""A process's share of its machine's cores, alone or as one worker of a pool."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from flask import Flask

from config import Settings
from measure import Limit

KEY = "SHARE"


@dataclass(frozen=True)
class Share:
    """The number of repositories that a process measures at once, and the limit of counting.

    The processes of a pool share the slots of `counting`. There are more threads than slots, so
    that some clone while others count.
    """

    threads: int
    counting: Limit


def share_out(app: Flask, settings: Settings, workers: int) -> None:
    """Divide the limits of the settings among the workers that this process is about to fork."""
    app.config[KEY] = Share(
        math.ceil(settings.fetch_concurrency / workers), _counting(os.getpid(), workers)
    )


def share_of(app: Flask, settings: Settings) -> Share:
    """Return this process's share: all of it, unless it is a pool's worker."""
    share: Share | None = app.config.get(KEY)
    if share is not None:
        return share
    return Share(settings.fetch_concurrency, _counting(os.getpid(), settings.refresh_concurrency))


def _counting(owner: int, slots: int) -> Limit:
    return Limit(f"count-{owner}", slots)
