"""Lines of code: by cloc, else by pygount, else an estimate, with the reason for each fallback."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cancel import CancelScope
from errors import CommandError, CommandOutOfMemory, CommandTimeout

from . import estimate
from .cloc import ClocFailed, ClocMissing, find_cloc
from .cloc_server.preloaded import find_server
from .command import Deadline, run
from .figures import Count, NotCounted, Options, not_counted, out_of_memory

PYGOUNT = Path(__file__).with_name("pygount_count.py")
# Each counter leaves part of the time limit to the next.
SHARE_OF_CLOC = 0.6
SHARE_OF_PYGOUNT = 0.8
MEGABYTE = 1024 * 1024


def best_counter(options: Options) -> str:
    """Return the name of the best available counter, with its version."""
    try:
        cloc = find_cloc(options.cloc_path, options.search_path)
        return f"cloc {cloc.version(find_server(cloc))}"
    except ClocFailed:
        return _pygount_counter() or f"estimate {estimate.VERSION}"


def count(
    tree: Path, scratch: Path, options: Options, deadline: Deadline, scope: CancelScope
) -> Count:
    """Count the lines of code below a folder, before a deadline.

    `scratch` is for the counters' temporary files. Raises Interrupted, and RepositoryTooLarge where
    cloc needs more memory than it may have; any other failure of a counter leads to the next one.
    """
    try:
        cloc = find_cloc(options.cloc_path, options.search_path)
        table = cloc.count(
            tree,
            scratch,
            deadline.left(SHARE_OF_CLOC),
            options.memory_mb,
            scope,
            find_server(cloc),
        )
        # The table contains the version, so a process that counts once need not run cloc for it.
        counter = f"cloc {table.version or cloc.version()}"
        return _count("cloc", counter, table.languages, not_counted=table.not_counted)
    except CommandOutOfMemory as error:
        raise out_of_memory("counting its lines", options) from error
    except ClocFailed as error:
        reason, failed = str(error), not isinstance(error, ClocMissing)
    try:
        found = _run_pygount(tree, scratch, options, deadline.left(SHARE_OF_PYGOUNT), scope)
        left_out, size = _left_out(found, tree)
        if size <= found["bytes"]:
            counter = f"pygount {found['version']}"
            return _count("pygount", counter, found["languages"], reason, failed, left_out)
        reason += f"; pygount would have left out {size // MEGABYTE} MB of large files"
    except CommandTimeout:
        reason += "; pygount took too long"
    except CommandError as error:
        reason += f"; pygount failed with code {error.code}"
    except (ValueError, KeyError, TypeError):
        reason += "; pygount wrote something that is not its table"
    languages, left_out = estimate.estimate(tree)
    return _count("estimate", f"estimate {estimate.VERSION}", languages, reason, failed, left_out)


def _count(
    source: str,
    counter: str,
    languages: dict[str, int],
    reason: str | None = None,
    cloc_failed: bool = False,
    not_counted: tuple[NotCounted, ...] = (),
) -> Count:
    loc = sum(languages.values())
    return Count(loc, source, counter, reason, languages, cloc_failed, not_counted)


def _left_out(found: dict[str, Any], tree: Path) -> tuple[tuple[NotCounted, ...], int]:
    """Return the text files that pygount left out, and the size of those that were too large."""
    large = {path: size for path, size in found["too_large"] if estimate.is_text(tree / path)}
    files = [("larger than 10 MB", path) for path in large]
    files += [("pygount failed", path) for path in found["failed"]]
    files += [("generated", path) for path in found["generated"]]
    named = ((reason, estimate.printable(path)) for reason, path in files)
    return not_counted(named), sum(large.values())


def _run_pygount(
    tree: Path, scratch: Path, options: Options, timeout: float, scope: CancelScope
) -> dict[str, Any]:
    env = {
        "PATH": options.search_path,
        "TMPDIR": str(scratch),
        "LC_ALL": "C.UTF-8",
        # pygount imports GitPython, whose import fails where it finds no git.
        "GIT_PYTHON_REFRESH": "quiet",
    }
    output = run(
        # -I: neither this folder nor the environment adds modules to the installed ones.
        [sys.executable, "-I", str(PYGOUNT), str(tree)],
        cwd=scratch,
        env=env,
        timeout=timeout,
        memory_mb=options.memory_mb,
        scope=scope,
    ).stdout
    found: dict[str, Any] = json.loads(output)
    return found


def _pygount_counter() -> str | None:
    try:
        return f"pygount {version('pygount')}"
    except PackageNotFoundError:
        return None
