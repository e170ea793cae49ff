"""A fingerprint of all that figures depend on besides the commit; a new one renews them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import lru_cache
from pathlib import Path

from errors import CommandError

from .command import run
from .figures import Options
from .generated import POLICY

COUNTING_VERSION = 3
"""Raised when this program's own way of counting changes, so that stored figures are renewed."""

VERSION_TIMEOUT = 30


def fingerprint(counter: str, options: Options) -> str:
    """Return a short hex word that changes whenever the same commit could measure differently."""
    # git's defaults for renames and diffs, which decide what numstat says, change with its version.
    git = _git_version(options.search_path)
    authors = options.author_patterns
    own = None if authors is None else sorted(authors)
    facts: list[object] = [COUNTING_VERSION, counter, git, sorted(options.exclude_dirs), own]
    if options.exclude_generated:
        facts.append(POLICY)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def _git_version(search_path: str) -> str | None:
    """Return git's version up to its second number; corrections do not change what it counts."""
    env = {"PATH": search_path, "HOME": os.devnull, "LC_ALL": "C"}
    try:
        done = run(["git", "version"], cwd=Path("/"), env=env, timeout=VERSION_TIMEOUT)
    except CommandError:
        return None
    found = re.search(rb"\d+\.\d+", done.stdout)
    return found[0].decode() if found else None
