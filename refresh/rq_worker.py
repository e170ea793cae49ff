"""RQ's worker, which runs jobs in the app's context.

Flask-RQ 1.0 starts a new interpreter for every job and cannot be given a prepared connection; this
worker forks from a process that has imported the app, and enters the app's context in the fork.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

from flask import Flask
from rq import Queue, Worker
from rq.job import Job

import cancel
from config import Settings
from database.engine import forget_connections
from errors import QueueUnavailable
from refresh.connection import connect_worker
from refresh.queue import GROWTH_NAME, NAME


class ContextWorker(Worker):
    """A worker that runs each job in a fork of this process, inside the app's context.

    On SIGTERM, which Heroku sends to every process of a dyno, the work-horse stops its programs and
    releases its repository instead of recording a failure.
    """

    def __init__(self, app: Flask, queues: Sequence[Queue], **options: Any) -> None:
        super().__init__(queues, **options)
        self._app = app

    def main_work_horse(self, job: Job, queue: Queue) -> NoReturn:
        """Run the job with database connections of its own and end the process."""
        forget_connections(self._app)
        with self._app.app_context():
            super().main_work_horse(job, queue)
        os._exit(0)

    def setup_work_horse_signals(self) -> None:
        """Handle SIGTERM as a request to stop; on a Ctrl-C the worker sends one."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _stop_programs)

    def handle_warm_shutdown_request(self) -> None:
        """Pass the request to stop on to the work-horse."""
        super().handle_warm_shutdown_request()  # type: ignore[no-untyped-call]
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)


def make_worker(app: Flask, settings: Settings) -> ContextWorker:
    """Return a worker for both queues."""
    if settings.redis_url is None:
        raise QueueUnavailable("REDIS_URL is not set: a worker needs Redis")
    connection = connect_worker(settings.redis_url)
    queues = [Queue(name, connection=connection) for name in (NAME, GROWTH_NAME)]
    return ContextWorker(app, queues, connection=connection, worker_ttl=60, maintenance_interval=60)


def _stop_programs(_signal: int, _frame: FrameType | None) -> None:
    cancel.stop_all()
