"""Where log lines go: to stderr, one format for every process."""

from __future__ import annotations

import logging

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

# These name every URL or every job they handle; what matters of that is logged here in words.
QUIET = ("werkzeug", "apscheduler", "urllib3", "github", "alembic")


def configure_logging() -> None:
    """Send lines at level INFO and above to stderr, unless the host process has set up its own."""
    logging.basicConfig(level=logging.INFO, format=FORMAT, datefmt="%Y-%m-%d %H:%M:%S")
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
