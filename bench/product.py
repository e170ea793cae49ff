"""The product in a process of its own: imported first, then timed."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.common import Cost, Meter, peak_mb

if TYPE_CHECKING:
    from flask import Flask

    from models import RefreshJob


@dataclass(frozen=True)
class Refreshed:
    """The result of a refresh: its cost, peak memory in MB, number of repositories, figures.

    The figures are (commits, churn, lines of code) by name.
    """

    cost: Cost
    peak: float
    repositories: int
    figures: dict[str, tuple[int, int, int]]


def environment(api_url: str, token: str, database: str, **more: str) -> dict[str, str]:
    """Return the product's environment: nothing left out, no schedule and no growth."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "DATABASE_URL": database,
        "GITHUB_API_URL": api_url,
        "GITHUB_ACCESS_TOKEN": token,
        "EXCLUDE_DIRS": "",
        "GROWTH": "off",
        "REFRESH_INTERVAL_HOURS": "0",
        "REFRESH_MIN_INTERVAL": "0",
        "FORCE_MIN_INTERVAL": "0",
        **more,
    }


def start(settings: Mapping[str, str]) -> Flask:
    """Prepare this process like a worker before it forks for a job.

    Everything is imported, the database is ready, and the versions of git and cloc are known.
    """
    os.environ.clear()
    os.environ.update(settings)
    import github_api.source  # noqa: F401
    import measure
    from app import app, prepare
    from refresh.measuring import measure_options

    logging.getLogger().setLevel(logging.ERROR)
    prepare(app)
    measure.warm_up(measure_options(app.config["SETTINGS"]))
    gc.collect()
    gc.freeze()
    return app


def refresh(settings: Mapping[str, str], *, forced: bool = False) -> Refreshed:
    """Refresh in this process, which must be a new one, and return the result."""
    app = start(settings)
    with app.app_context():
        return refresh_again(app, forced=forced)


def refresh_again(app: Flask, *, forced: bool = False) -> Refreshed:
    """Refresh once more in a process that has imported the product."""
    import jobs
    from models import Project, RefreshStatus, db

    meter = Meter()
    ended = jobs.refresh_here(app.config["SETTINGS"], forced=forced, observer=_Silence())
    cost = meter.read()
    if ended.status != RefreshStatus.COMPLETED or ended.failures:
        raise RuntimeError(f"{ended.status}: {ended.error_message or ended.failures}")
    rows = db.session.scalars(db.select(Project)).all()
    figures = {row.name: (row.commit_count, row.code_churn, row.loc) for row in rows}
    db.session.remove()
    return Refreshed(cost, peak_mb(), ended.total_repositories, _known(figures))


def grow(settings: Mapping[str, str]) -> Cost:
    """Measure the missing growth in this process, which must be a new one."""
    app = start(settings)
    import jobs

    with app.app_context():
        meter = Meter()
        jobs.grow_here(app.config["SETTINGS"])
        return meter.read()


def _known(figures: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    return figures


class _Silence:
    def planned(self, refresh: RefreshJob) -> None:
        pass

    def started(self, name: str) -> None:
        pass

    def ended(self, name: str, reason: str | None) -> None:
        pass
