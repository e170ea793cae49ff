"""gunicorn's settings: ``gunicorn app:app`` reads this file."""

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
# heartbeats while its threads are busy, so it is not killed for that. WEB_CONCURRENCY, which
# gunicorn and Heroku both know, sets the number of workers. There are many threads because some
# wait for an answer that another one makes (web/responses.py).
threads = 32
timeout = 60
graceful_timeout = 20
# Seconds within which the head of a request must have arrived, of the first and each later one.
keepalive = 10
worker_connections = 500
limit_request_line = 8190
limit_request_fields = 64
control_socket_disable = True
# os.sendfile() would bypass the buffer of web/server.py.
sendfile = False


def on_starting(server: Any) -> None:
    """Check the address and migrate the database before the first worker is forked."""
    from app import app, start
    from web.listening import check_address
    from web.routes import import_readers

    # Not checked: an address given by other means, or inherited from another process.
    inherited = server.master_pid or systemd.listen_fds(unset_environment=False)
    if not inherited and server.cfg.address == [(settings.host, settings.port)]:
        try:
            check_address(settings, "gunicorn app:app")
        except StartError as error:
            sys.exit(f"cannot start: {error}")
    start(app)
    import_readers()


def post_fork(server: Any, worker: Any) -> None:
    """Stop using the parent's connections."""
    from app import app
    from database.engine import forget_connections

    forget_connections(app)


def post_worker_init(worker: Any) -> None:
    """Stop the programs of a refresh that runs here before the worker stops; it ends as failed."""
    import cancel

    def stop_programs_before(inherited: Any) -> Callable[[int, FrameType | None], None]:
        def stop(number: int, frame: FrameType | None) -> None:
            cancel.stop_all()
            if callable(inherited):
                inherited(number, frame)

        return stop

    # A Ctrl-C reaches the workers as SIGINT and, from their parent, as SIGQUIT.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, stop_programs_before(signal.getsignal(number)))
