"""Logging: to stderr, in one format for every process, with the context of each line."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from config import LogFormat

FORMAT = "%(asctime)s %(levelname)-7s %(name)s%(context)s: %(message)s"
DATES = "%Y-%m-%d %H:%M:%S"

# These log every URL or every job they handle; what matters of that is logged by this project.
QUIET = ("werkzeug", "apscheduler", "urllib3", "github", "alembic")

# What this thread is working on: `refresh` and, within it, `repository`.
_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=MappingProxyType({}))

Describe = Callable[[Any], str]


@contextmanager
def log_context(**about: str) -> Iterator[None]:
    """Add a context to every line that this thread logs in the block.

    A repository has the name that may be logged, see refresh.measuring.label.
    """
    token = _context.set({**_context.get(), **about})
    try:
        yield
    finally:
        _context.reset(token)


def add_context(record: logging.LogRecord) -> bool:
    """Add this thread's context to a log record; a filter that lets every record through."""
    record.about = dict(_context.get())
    return True


class TextFormatter(logging.Formatter):
    """One line for each message, without control characters that a terminal would interpret.

    Names of repositories, languages and files come from outside.
    """

    def __init__(self, describe: Describe) -> None:
        super().__init__(FORMAT, DATES)
        self._describe = describe

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line, with control characters and line breaks escaped."""
        record.message = escape_controls(record.message)
        about = " ".join(f"{name}={value}" for name, value in _about(record).items())
        record.context = f" [{escape_controls(about)}]" if about else ""
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """Return the traceback, indented so that none of its lines looks like another message."""
        lines = self._describe(ei).split("\n")
        return "\n".join("    " + escape_controls(line) for line in lines)


class JSONFormatter(logging.Formatter):
    """Each message as one line of JSON in ASCII."""

    def __init__(self, describe: Describe) -> None:
        super().__init__()
        self._describe = describe

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **_about(record),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = self._describe(record.exc_info)
        return json.dumps(line)


def describe_whole(exc_info: Any) -> str:
    """Return the text of an exception and of those that led to it."""
    return "".join(traceback.format_exception(*exc_info)).rstrip("\n")


def describe_without_texts(exc_info: Any) -> str:
    """Return the frames and the kind of an exception and of those that led to it, not their texts.

    A database quotes the row that it refuses, and that row may be a private repository's.
    """
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
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


FORMATTERS: dict[LogFormat, Callable[[Describe], logging.Formatter]] = {
    LogFormat.TEXT: TextFormatter,
    LogFormat.JSON: JSONFormatter,
}


def set_up_handler(handler: logging.Handler, form: LogFormat, *, redact: bool) -> None:
    """Set a handler's format; ``redact`` leaves out the texts of exceptions."""
    handler.setFormatter(FORMATTERS[form](describe_without_texts if redact else describe_whole))
    handler.addFilter(add_context)


def configure_logging(form: LogFormat, *, redact: bool) -> None:
    """Send lines at level INFO and above to stderr, unless the host process has configured logging.

    ``redact`` leaves out the texts of exceptions.
    """
    handler = logging.StreamHandler()
    set_up_handler(handler, form, redact=redact)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _about(record: logging.LogRecord) -> dict[str, str]:
    about: dict[str, str] = getattr(record, "about", {})
    return about
