"""Count a folder's lines of code with pygount, as a program, so that a hang can be ended.

Writes JSON: {"version": "3.2.0", "languages": {"Python": 120}, "bytes": 4000,
"too_large": [["data.sql", 20000000]], "failed": ["odd.py"], "generated": ["made.py"]}. `bytes` is
the size of what was counted.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pygount import DuplicatePool, SourceAnalysis
from pygount.analysis import SourceState

LARGEST = 10 * 1024 * 1024  # bytes; its lexers take minutes for more
# Files that cloc does not count, either.
SKIPPED = {".bzr", ".config", ".cvs", ".git", ".hg", ".snapshot", ".svn"}


def count(folder: str) -> dict[str, Any]:
    """Return the lines of code of each language, duplicates left out, and the files left out."""
    languages: Counter[str] = Counter()
    left_out: dict[str, list[Any]] = {"too_large": [], "failed": [], "generated": []}
    counted = 0
    pool = DuplicatePool()
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - SKIPPED)
        for path in (Path(where, name) for name in sorted(names)):
            if path.is_symlink():
                continue
            size = path.stat().st_size
            name = os.path.relpath(path, folder)
            if size > LARGEST:
                left_out["too_large"].append((name, size))
                continue
            analysis = SourceAnalysis.from_file(str(path), "", duplicate_pool=pool)
            if analysis.is_countable and analysis.language and analysis.code_count:
                languages[analysis.language] += analysis.code_count
                counted += size
            elif analysis.state is SourceState.error:
                left_out["failed"].append(name)
            elif analysis.state is SourceState.generated:
                left_out["generated"].append(name)
    return {"languages": languages, "bytes": counted, **left_out}


if __name__ == "__main__":
    result = {"version": version("pygount"), **count(sys.argv[1])}
    sys.stdout.write(json.dumps(result) + "\n")
