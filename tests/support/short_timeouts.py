"""The Procfile's programs with shorter waits: half a minute in production is a few seconds here."""

from __future__ import annotations

import runpy
import sys

from refresh import store, wanted
from tests.support.skewed import skew

MODULES = {"gunicorn": "gunicorn.app.wsgiapp", "flask": "flask"}


def shorten(name: str, seconds: str) -> None:
    """Set one of the waits of this process."""
    module = wanted if hasattr(wanted, name) else store
    assert hasattr(module, name), name
    setattr(module, name, float(seconds))


def run(arguments: list[str]) -> None:
    """Run a program in this process.

    The first arguments set waits of `refresh.store` and `refresh.wanted`, as `DEAD_AFTER=2.5`;
    `SKEW=130` sets the process's clock forward. The next is `worker.py`, `app.py`, `gunicorn` or
    `flask`, the rest are that program's own.
    """
    arguments = list(arguments)
    while "=" in arguments[0]:
        name, _, seconds = arguments.pop(0).partition("=")
        if name == "SKEW":
            skew(float(seconds))
        else:
            shorten(name, seconds)
    program = arguments[0]
    sys.argv = arguments
    if program in MODULES:
        runpy.run_module(MODULES[program], run_name="__main__")
    else:
        runpy.run_path(program, run_name="__main__")
