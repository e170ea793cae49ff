"""How gunicorn serves the application: ``gunicorn app:app`` reads this file by itself."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from gunicorn import __version__, systemd

from config import read_settings
from errors import ConfigError, StartError

# web/server.py overrides methods that gunicorn does not document.
TESTED_WITH = "27.0.1"
if __version__ != TESTED_WITH:
    sys.exit(
        f"cannot start: gunicorn {__version__} is installed, and this release works with "
        f"{TESTED_WITH}: pip install -r requirements.txt"
    )
try:
    settings = read_settings()
except ConfigError as error:
    sys.exit(f"configuration: {error}")
bind = (
    f"[{settings.host}]:{settings.port}"
    if ":" in settings.host
    else f"{settings.host}:{settings.port}"
)
worker_class = "web.server.BufferingThreadWorker"
logger_class = "web.logger.ServerLogger"
# A refresh without Redis runs inside a request and may take many minutes. A threaded worker sends
# heartbeats while its threads are busy, so it is not killed for that. How many workers there
# are is WEB_CONCURRENCY's to say, which gunicorn and Heroku both know. The threads are many, since
# those that wait for an answer that another one makes (web/responses.py) leave some for others.
threads = 32
timeout = 60
graceful_timeout = 20
# Seconds within which the head of a request must have come, the first and each one after it.
keepalive = 10
worker_connections = 500
limit_request_line = 8190
limit_request_fields = 64
control_socket_disable = True
# os.sendfile() would send past what web/server.py keeps of an answer.
sendfile = False


def on_starting(server: Any) -> None:
    """Check the address and migrate the database before the first worker is forked."""
    from app import app, start
    from web.listening import check_address

    # Given to gunicorn some other way, or taken over from another process, it is not ours to check.
    inherited = server.master_pid or systemd.listen_fds(unset_environment=False)
    if not inherited and server.cfg.address == [(settings.host, settings.port)]:
        try:
            check_address(settings, "gunicorn app:app")
        except StartError as error:
            sys.exit(f"cannot start: {error}")
    start(app)


def post_fork(server: Any, worker: Any) -> None:
    """Leave the connections of the parent to the parent."""
    from app import app
    from database.engine import forget_connections

    forget_connections(app)


def post_worker_init(worker: Any) -> None:
    """When told to stop, stop the programs of a refresh that runs here: it ends in words."""
    import measure

    def stop_programs_before(inherited: Any) -> Callable[[int, FrameType | None], None]:
        def stop(number: int, frame: FrameType | None) -> None:
            measure.stop_all()
            if callable(inherited):
                inherited(number, frame)

        return stop

    # A Ctrl-C reaches the workers as SIGINT and, from their parent, as SIGQUIT.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, stop_programs_before(signal.getsignal(number)))
