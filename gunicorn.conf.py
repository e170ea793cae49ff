"""How gunicorn serves the application: ``gunicorn app:app`` reads this file by itself."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from config import read_settings

settings = read_settings()
bind = (
    f"[{settings.host}]:{settings.port}"
    if ":" in settings.host
    else f"{settings.host}:{settings.port}"
)
worker_class = "web.server.PatientWorker"
# A refresh without Redis runs inside a request and may take many minutes. A threaded worker shows
# signs of life while its threads are busy, so it is not killed for that. How many workers there
# are is WEB_CONCURRENCY's to say, which gunicorn and Heroku both know.
threads = 8
timeout = 60
graceful_timeout = 20
# Seconds within which the head of a request must have come, the first and each one after it.
keepalive = 10
worker_connections = 500
limit_request_line = 8190
limit_request_fields = 64
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Bring the database to today's schema before the first worker is forked."""
    from app import app, prepare

    prepare(app)


def post_fork(server: Any, worker: Any) -> None:
    """Leave the connections of the parent to the parent."""
    from app import app
    from database.engine import forget_connections

    forget_connections(app)


def post_worker_init(worker: Any) -> None:
    """On SIGTERM, stop the programs of a refresh that runs here, so that it ends in words."""
    import measure

    inherited = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        measure.stop_all()
        if callable(inherited):
            inherited(number, frame)

    signal.signal(signal.SIGTERM, stop)
