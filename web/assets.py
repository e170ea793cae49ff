"""The files of web/static, and a version of each that changes with its content."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"


@cache
def read_asset(name: str) -> str:
    """Return the text of a file of web/static."""
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def asset_version(name: str) -> str:
    """Return the version in a file's address, with which it may be cached until it changes."""
    return hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:12]
