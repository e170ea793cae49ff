"""Where log lines go: to stderr, one format for every process."""

from __future__ import annotations

import logging
import traceback
from typing import Any

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
DATES = "%Y-%m-%d %H:%M:%S"

# These name every URL or every job they handle; what matters of that is logged here in words.
QUIET = ("werkzeug", "apscheduler", "urllib3", "github", "alembic")


class SafeFormatter(logging.Formatter):
    """Write one line for each message, with nothing in it that a terminal would obey.

    Names of repositories, languages and files come from outside.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Write the line, with escapes for control characters and line breaks."""
        record.message = escape_controls(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """Write the traceback, indented so that none of its lines looks like another message."""
        lines = self.describe(ei).split("\n")
        return "\n".join("    " + escape_controls(line) for line in lines)

    def describe(self, ei: Any) -> str:
        """Return the text of an exception and of those that led to it."""
        return super().formatException(ei)


class RedactingFormatter(SafeFormatter):
    """Tell where an exception arose and its kind, not its text.

    A database quotes the row that it refuses, and that row may be a private repository's.
    """

    def describe(self, ei: Any) -> str:
        """Return the frames and the kind of an exception and of those that led to it."""
        parts: list[str] = []
        error: BaseException | None = ei[1]
        while error is not None and len(parts) < 10:
            frames = "".join(traceback.format_tb(error.__traceback__))
            parts.insert(0, f"{frames}{type(error).__name__}")
            error = error.__cause__ or error.__context__
        return "\n".join(parts)


def escape_controls(text: str) -> str:
    """Replace control characters and line breaks by their escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def configure_logging(*, redact: bool) -> None:
    """Send lines at level INFO and above to stderr, unless the host process has set up its own.

    ``redact`` leaves out the texts of exceptions.
    """
    handler = logging.StreamHandler()
    formatter = RedactingFormatter if redact else SafeFormatter
    handler.setFormatter(formatter(FORMAT, DATES))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
