"""Lines of code: cloc, else pygount, else an estimate, and the reason for each step down."""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from errors import CommandError, CommandOutOfMemory, CommandTimeout

from . import estimate
from .cloc import ClocFailed, find_cloc
from .command import Deadline, run
from .figures import Count, Options, out_of_memory
from .leash import Leash
from .standby import server_of

PYGOUNT = Path(__file__).with_name("pygount_count.py")
# Each counter leaves some of the time limit to the next.
SHARE_OF_CLOC = 0.6
SHARE_OF_PYGOUNT = 0.8


def best_counter(options: Options) -> str:
    """Return the counter that would be used now, with its version."""
    try:
        return f"cloc {find_cloc(options.cloc_path, options.search_path).version()}"
    except ClocFailed:
        return _pygount_counter() or f"estimate {estimate.VERSION}"


def count(tree: Path, scratch: Path, options: Options, deadline: Deadline, leash: Leash) -> Count:
    """Count the lines of code below a folder, before a deadline.

    `scratch` is for the counters' temporary files. Raises Interrupted, RepositoryTooLarge where
    cloc needs more memory than it may have, and nothing else for whatever is wrong with a counter.
    """
    try:
        cloc = find_cloc(options.cloc_path, options.search_path)
        table = cloc.count(
            tree,
            scratch,
            deadline.left(SHARE_OF_CLOC),
            options.memory_mb,
            leash,
            server_of(cloc),
        )
        # The table tells the version, so a process that counts only once need not ask for it.
        return _count("cloc", f"cloc {table.version or cloc.version()}", None, table.languages)
    except CommandOutOfMemory as error:
        raise out_of_memory("counting its lines", options) from error
    except ClocFailed as error:
        reason = str(error)
    try:
        found = _run_pygount(tree, scratch, options, deadline.left(SHARE_OF_PYGOUNT), leash)
        return _count("pygount", f"pygount {found[0]}", reason, found[1])
    except CommandTimeout:
        reason += "; pygount took too long"
    except CommandError as error:
        reason += f"; pygount failed with code {error.code}"
    except (ValueError, KeyError, TypeError):
        reason += "; pygount wrote something that is not its table"
    return _count("estimate", f"estimate {estimate.VERSION}", reason, estimate.estimate(tree))


def _count(source: str, counter: str, reason: str | None, languages: dict[str, int]) -> Count:
    return Count(sum(languages.values()), source, counter, reason, languages)


def _run_pygount(
    tree: Path, scratch: Path, options: Options, timeout: float, leash: Leash
) -> tuple[str, dict[str, int]]:
    env = {
        "PATH": options.search_path,
        "TMPDIR": str(scratch),
        "LC_ALL": "C.UTF-8",
        # pygount imports GitPython, which refuses to be imported where it finds no git.
        "GIT_PYTHON_REFRESH": "quiet",
    }
    output = run(
        # -I: neither this folder nor the environment adds modules to those installed.
        [sys.executable, "-I", str(PYGOUNT), str(tree)],
        cwd=scratch,
        env=env,
        timeout=timeout,
        memory_mb=options.memory_mb,
        leash=leash,
    ).stdout
    result = json.loads(output)
    return str(result["version"]), {str(k): int(v) for k, v in result["languages"].items()}


def _pygount_counter() -> str | None:
    try:
        return f"pygount {version('pygount')}"
    except PackageNotFoundError:
        return None
