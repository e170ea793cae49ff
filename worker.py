"""The worker processes: one or a pool of them, started and supervised by this parent.

The parent imports the application once and forks; each worker forks once more for each job. It
has one thread and keeps no connection open, so that forking is safe at any time.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from types import FrameType

if __name__ == "__main__":
    # A Ctrl-C while the rest is imported ends the process as SIGTERM does, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

# Loaded before the fork, so that no work-horse has to.
import github_api.source  # noqa: F401
import jobs  # noqa: F401
import measure
from app import app, start
from config import Settings
from database.engine import db, forget_connections
from errors import QueueUnavailable
from refresh import store
from refresh.connection import is_reachable
from refresh.measuring import measure_options
from refresh.rq_worker import make_worker
from refresh.share import share_of, share_out
from refresh.supervisor import Supervisor

log = logging.getLogger("worker")

PR_SET_PDEATHSIG = 1  # from Linux's <sys/prctl.h>
# A worker that cannot start must not be started again without a pause.
RESTART_PAUSE = 2.0
# Heroku kills a dyno 30 seconds after SIGTERM.
STOP_WITHIN = 20.0
# Seconds between two log lines that Redis is still away.
REMIND_EVERY = 30.0

_fork = multiprocessing.get_context("fork")


class WorkerPool:
    """A number of workers, kept running until stopped."""

    def __init__(self, app: Flask, settings: Settings, count: int) -> None:
        self._app = app
        self._settings = settings
        self._count = count
        self._workers: list[BaseProcess] = []
        self._stopping = False
        self._remind_at = 0.0

    def run(self) -> None:
        """Start the workers, replace those that end, and supervise refreshes."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        supervisor = Supervisor(self._settings, share_of(self._app, self._settings).threads)
        next_step = 0.0
        options = measure_options(self._settings)
        with measure.PreloadedCloc(options) as preloaded:
            # Run here once, so that the forks need not ask cloc and git for their versions again.
            measure.warm_up(options)
            while not self._stopping:
                self._fill()
                if time.monotonic() >= next_step:
                    self._supervise(supervisor)
                    preloaded.renew()
                    next_step = time.monotonic() + store.SUPERVISE_EVERY
                time.sleep(0.5)
            self._end()

    def _fill(self) -> None:
        alive = [worker for worker in self._workers if worker.is_alive()]
        if len(alive) < len(self._workers):
            log.warning("%d of %d workers ended", len(self._workers) - len(alive), self._count)
            time.sleep(RESTART_PAUSE)
        self._workers = alive
        if len(self._workers) == self._count or not self._redis_answers():
            return
        while len(self._workers) < self._count and not self._stopping:
            worker = _fork.Process(target=_work, args=(self._app, self._settings, os.getpid()))
            worker.start()
            self._workers.append(worker)

    def _redis_answers(self) -> bool:
        """Return whether Redis answers; log now and then that it does not."""
        if is_reachable(self._settings):
            if self._remind_at:
                log.info("Redis answers")
            self._remind_at = 0.0
            return True
        if time.monotonic() >= self._remind_at:
            log.warning("Redis (REDIS_URL) does not answer: the workers start as soon as it does")
            self._remind_at = time.monotonic() + REMIND_EVERY
        return False

    def _supervise(self, supervisor: Supervisor) -> None:
        with self._app.app_context():
            try:
                supervisor.step()
            except SQLAlchemyError as error:
                log.warning("refreshes cannot be looked after: %s", type(error).__name__)
            finally:
                db.session.remove()
                db.engine.dispose()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _end(self) -> None:
        log.info("stopping %d workers", len(self._workers))
        for worker in self._workers:
            worker.terminate()
        deadline = time.monotonic() + STOP_WITHIN
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        for worker in self._workers:
            if worker.is_alive():
                worker.kill()
        measure.sweep()


def _work(app: Flask, settings: Settings, parent: int) -> None:
    """Run one worker in this process."""
    _end_with_parent(parent)
    forget_connections(app)
    make_worker(app, settings).work(logging_level="INFO")


def _end_with_parent(parent: int) -> None:
    """Have the kernel send SIGTERM to this process when its parent dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit("the parent process has ended")


def main() -> None:
    """Read the command line and keep workers running."""
    parser = argparse.ArgumentParser(description="Run the workers that carry refreshes out.")
    parser.add_argument(
        "--pool",
        action="store_true",
        help="run REFRESH_CONCURRENCY workers instead of one",
    )
    arguments = parser.parse_args()
    settings: Settings = app.config["SETTINGS"]
    if settings.redis_url is None:
        sys.exit(
            str(QueueUnavailable("REDIS_URL is not set: a worker needs Redis to get its jobs"))
        )
    start(app)
    with app.app_context():
        db.engine.dispose()
    workers = settings.refresh_concurrency if arguments.pool else 1
    share_out(app, settings, workers)
    # A collection in a fork would write to every object, and so copy the pages that forks share.
    gc.collect()
    gc.freeze()
    WorkerPool(app, settings, workers).run()


if __name__ == "__main__":
    main()
