"""gunicorn's own log lines, in the format of all others."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from config import PrivateMode, read_settings
from log import set_up_handler


class ServerLogger(Logger):  # type: ignore[misc]  # gunicorn brings no types
    """gunicorn's log, in this project's format."""

    def setup(self, cfg: Any) -> None:
        """Set up gunicorn's handlers with this project's format."""
        super().setup(cfg)
        settings = read_settings()
        redact = settings.private_repositories is not PrivateMode.SHOW
        for handler in self.error_log.handlers:
            set_up_handler(handler, settings.log_format, redact=redact)
