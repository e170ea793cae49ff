"""Where log lines go: to stderr, one format for every process."""

from __future__ import annotations

import logging
import traceback
from typing import Any

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
DATES = "%Y-%m-%d %H:%M:%S"

# These name every URL or every job they handle; what matters of that is logged here in words.
QUIET = ("werkzeug", "apscheduler", "urllib3", "github", "alembic")


class RedactingFormatter(logging.Formatter):
    """Tell where an exception arose and its kind, not its text.

    A database quotes the row that it refuses, and that row may be a private repository's.
    """

    def formatException(self, ei: Any) -> str:
        """Write the frames and the kind of an exception and of those that led to it."""
        parts: list[str] = []
        error: BaseException | None = ei[1]
        while error is not None and len(parts) < 10:
            frames = "".join(traceback.format_tb(error.__traceback__))
            parts.insert(0, f"{frames}{type(error).__name__}")
            error = error.__cause__ or error.__context__
        return "\n".join(parts)


def configure_logging(*, redact: bool) -> None:
    """Send lines at level INFO and above to stderr, unless the host process has set up its own.

    ``redact`` leaves out the texts of exceptions.
    """
    handler = logging.StreamHandler()
    formatter = RedactingFormatter if redact else logging.Formatter
    handler.setFormatter(formatter(FORMAT, DATES))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
