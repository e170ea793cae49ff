"""Count a folder's lines of code with pygount; run as a program, so that a hang can be ended.

Writes JSON: {"version": "3.2.0", "languages": {"Python": 120}}.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from pygount import DuplicatePool, SourceAnalysis

LARGEST = 10 * 1024 * 1024  # bytes; its lexers need minutes for more
# What cloc does not look into, either.
SKIPPED = {".bzr", ".config", ".cvs", ".git", ".hg", ".snapshot", ".svn"}


def count(folder: str) -> Counter[str]:
    """Return the lines of code of each language, duplicates and files too large left out."""
    languages: Counter[str] = Counter()
    pool = DuplicatePool()
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - SKIPPED)
        for path in (Path(where, name) for name in sorted(names)):
            if path.is_symlink() or path.stat().st_size > LARGEST:
                continue
            analysis = SourceAnalysis.from_file(str(path), "", duplicate_pool=pool)
            if analysis.is_countable and analysis.language and analysis.code_count:
                languages[analysis.language] += analysis.code_count
    return languages


if __name__ == "__main__":
    result = {"version": version("pygount"), "languages": count(sys.argv[1])}
    sys.stdout.write(json.dumps(result) + "\n")
