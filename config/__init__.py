"""The settings, read here only: `variables` is the table, `checks` what may stand in it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from config.settings import GrowthMode, LogFormat, PrivateMode, Settings
from config.variables import EXCLUDED, VARIABLES, Variable

__all__ = [
    "EXCLUDED",
    "VARIABLES",
    "GrowthMode",
    "LogFormat",
    "PrivateMode",
    "Settings",
    "Variable",
    "available_cores",
    "read_settings",
]

CLONES = 24
"""FETCH_CONCURRENCY unless set: keeps two cores busy over a network (`bench/network.py`)."""


def available_cores() -> int:
    """Count the processor cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Check all variables of `environ`, by default the process's environment.

    Raises ConfigError with one line that names the first variable that cannot be used, its fault
    and what would be right, and never holds a secret.
    """
    environ = os.environ if environ is None else environ
    values = {variable.name.lower(): variable.read(environ) for variable in VARIABLES}
    if values["refresh_concurrency"] is None:
        values["refresh_concurrency"] = available_cores()
    if values["fetch_concurrency"] is None:
        values["fetch_concurrency"] = max(CLONES, values["refresh_concurrency"])
    # DYNO is set on every dyno, and every request to a dyno comes through Heroku's router.
    on_heroku = "DYNO" in environ
    if values["trusted_proxies"] is None:
        values["trusted_proxies"] = 1 if on_heroku else 0
    if values["host"] is None:
        values["host"] = "0.0.0.0" if on_heroku else "127.0.0.1"  # noqa: S104 - behind its router
    return Settings(**values, search_path=environ.get("PATH") or os.defpath)
