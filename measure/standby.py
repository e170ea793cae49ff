"""cloc on standby: compiled once, for the counts of this process and of those forked from it."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from errors import MeasureError

from .cloc import Cloc, ClocFailed, find_cloc
from .figures import Options
from .folder import clone_folder
from .fork_server import ForkServer, ServerGone

logger = logging.getLogger(__name__)

Standing = tuple[Cloc, int, ForkServer]
_standing: Standing | None = None


class Standby:
    """Keep cloc ready for as long as a block lasts; without it each count starts cloc anew.

    For small repositories that takes several times as long as the count (`bench/counting.py`).
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._folder: Path | None = None
        self._mine: Standing | None = None
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Standby:
        with contextlib.suppress(MeasureError):  # where no folder can be made
            self._folder = self._exit.enter_context(clone_folder(self._options.scratch))
            self._exit.callback(self._stop)
            self.renew()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def renew(self) -> None:
        """Start again what has ended, or what is not the cloc that is there now."""
        global _standing
        if self._folder is None:
            return
        try:
            cloc = find_cloc(self._options.cloc_path, self._options.search_path)
            if self._mine is not None:
                if self._mine[:2] == (cloc, cloc.changed) and self._mine[2].is_running():
                    return
                self._stop()
            _standing = self._mine = (
                cloc,
                cloc.changed,
                cloc.server(self._folder, self._options.memory_mb),
            )
        except (ClocFailed, ServerGone) as error:
            logger.debug("cloc does not stand by: %s", error)

    def _stop(self) -> None:
        global _standing
        if _standing is self._mine:
            _standing = None
        if self._mine is not None:
            self._mine[2].stop()
            self._mine = None


def server_of(cloc: Cloc) -> ForkServer | None:
    """Return the server that stands by for this very cloc, if there is one. Raises ClocFailed."""
    if _standing is None or _standing[:2] != (cloc, cloc.changed):
        return None
    return _standing[2]
