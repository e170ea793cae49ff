"""Run one of the Procfile's programs with its patience shortened: `python -m tests.support.hasty`.

The first argument is `worker.py`, `app.py`, `gunicorn` or `flask`, the rest are that program's own.
What takes half a minute in production takes a second or two here, so that tests can wait for it.
"""

from __future__ import annotations

import runpy
import sys

from refresh import store

BEAT, DEAD_AFTER, SUPERVISE_EVERY = 0.3, 2.0, 0.5
ABANDONED_AFTER, UNATTENDED_AFTER, STALLED_AFTER = 6.0, 6.0, 15.0


def hurry() -> None:
    """Shorten how long this process waits for signs of life."""
    store.BEAT = BEAT
    store.DEAD_AFTER = DEAD_AFTER
    store.ABANDONED_AFTER = ABANDONED_AFTER
    store.UNATTENDED_AFTER = UNATTENDED_AFTER
    store.STALLED_AFTER = STALLED_AFTER
    store.SUPERVISE_EVERY = SUPERVISE_EVERY


if __name__ == "__main__":
    hurry()
    program = sys.argv[1]
    sys.argv = sys.argv[1:]
    modules = {"gunicorn": "gunicorn.app.wsgiapp", "flask": "flask"}
    if program in modules:
        runpy.run_module(modules[program], run_name="__main__")
    else:
        runpy.run_path(program, run_name="__main__")
