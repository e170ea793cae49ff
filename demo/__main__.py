"""Serve a made-up account with the real service: `python -m demo`, or `make demo`.

It needs no token and no network. All its files are in a folder that is removed at its end.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.request
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from flask import Flask

from app import create_app, serve
from config import Settings
from database.types import utc_now
from demo.account import serve_account
from demo.history import DEVELOPER_ADDRESS
from errors import ConfigError
from refresh.running import signals_interrupt

# The variables that are inherited. Any other might name the user's own account or database.
TAKEN_OVER: Final = ("PATH", "HOST", "PORT", "CORS_ORIGINS", "CLOC_PATH", "REFRESH_CONCURRENCY")
# Whoever tries the page out starts refreshes again and again.
WITHOUT_LIMITS: Final = {"REFRESH_MIN_INTERVAL": "0", "FORCE_MIN_INTERVAL": "0"}
PORTS: Final = range(5001, 5021)
TIME_LIMIT: Final = 120.0


def main() -> None:
    """Make the account, start the service on an empty database, and open its page."""
    made = tempfile.TemporaryDirectory(prefix="project-tracker-demo-")
    with suppress(KeyboardInterrupt), signals_interrupt(), made as folder:
        try:
            run_demo(Path(folder))
        finally:
            # A second Ctrl-C would interrupt the removal of the folder.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)


def run_demo(folder: Path) -> None:
    """Serve the demo from a folder until a Ctrl-C or SIGTERM."""
    click.echo("This is a demo: the account and its repositories are made up.")
    with serve_account(folder / "repositories", utc_now()) as api:
        environment = {name: os.environ[name] for name in TAKEN_OVER if name in os.environ}
        environment.setdefault("PORT", str(find_free_port()))
        try:
            app = create_app(
                environment
                | WITHOUT_LIMITS
                | {
                    "GITHUB_API_URL": api.url,
                    "GITHUB_ACCESS_TOKEN": api.token,
                    "AUTHOR_EMAILS": DEVELOPER_ADDRESS,
                    "DATABASE_URL": f"sqlite:///{folder / 'demo.sqlite'}",
                }
            )
        except ConfigError as error:
            sys.exit(f"configuration: {error}")
        threading.Thread(target=open_page, args=[app], daemon=True).start()
        serve(app)


def find_free_port() -> int:
    """Return the first of the demo's ports that is free."""
    for port in PORTS:
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    return PORTS[0]


def open_page(app: Flask) -> None:
    """Wait until the service answers, print its address, and open it where there is a display."""
    settings: Settings = app.config["SETTINGS"]
    host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host  # noqa: S104
    address = f"http://{host}:{settings.port}/dashboard"
    deadline = time.monotonic() + TIME_LIMIT
    while not answers(address):
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)
    click.echo(
        f"\n    The demo is on {address}\n    Ctrl-C ends it and removes all that it made.\n"
    )
    if has_display():
        webbrowser.open(address)


def answers(address: str) -> bool:
    """Return whether a service answers at an address."""
    try:
        with urllib.request.urlopen(address, timeout=TIME_LIMIT):  # noqa: S310 - http, see above
            return True
    except OSError:
        return False


def has_display() -> bool:
    """Return whether there is a display; without one a text browser would use the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    main()
