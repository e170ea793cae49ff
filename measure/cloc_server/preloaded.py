"""The preloaded cloc of this process and of those forked from it."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from errors import MeasureError

from ..cloc import Cloc, ClocFailed, find_cloc
from ..figures import Options
from ..workspace import temporary_workspace
from .fork_server import ForkServer, ServerGone

logger = logging.getLogger(__name__)

Preloaded = tuple[Cloc, int, ForkServer]
_current: Preloaded | None = None


class PreloadedCloc:
    """A preloaded cloc until the end of a block, if the options allow it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._folder: Path | None = None
        self._own: Preloaded | None = None
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> PreloadedCloc:
        if not self._options.preload_cloc:
            return self
        with contextlib.suppress(MeasureError):  # where no folder can be made
            self._folder = self._exit.enter_context(temporary_workspace(self._options.scratch))
            self._exit.callback(self._stop)
            self.renew()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def renew(self) -> None:
        """Restart the server where it has ended, or cloc's file has changed."""
        global _current
        if self._folder is None:
            return
        try:
            cloc = find_cloc(self._options.cloc_path, self._options.search_path)
            if self._own is not None:
                if self._own[:2] == (cloc, cloc.changed) and self._own[2].is_running():
                    return
                self._stop()
            _current = self._own = (
                cloc,
                cloc.changed,
                cloc.server(self._folder, self._options.memory_mb),
            )
        except (ClocFailed, ServerGone) as error:
            logger.debug("cloc is not preloaded: %s", error)

    def _stop(self) -> None:
        global _current
        if _current is self._own:
            _current = None
        if self._own is not None:
            self._own[2].stop()
            self._own = None


def find_server(cloc: Cloc) -> ForkServer | None:
    """Return the server that has preloaded this cloc, if there is one. Raises ClocFailed."""
    if _current is None or _current[:2] != (cloc, cloc.changed):
        return None
    return _current[2]
