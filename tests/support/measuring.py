"""Measuring in tests: options, and figures in the oracle's form."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from measure import Figures, Options
from tests.support.oracle import Truth


def options(scratch: Path, **changes: object) -> Options:
    """Return options for a test: nothing left out, short limits, a scratch folder of its own."""
    scratch.mkdir(exist_ok=True)
    settings: dict[str, object] = {
        "exclude_dirs": frozenset(),
        "clone_timeout": 600,
        "measure_timeout": 600,
        "memory_mb": 2560,
        "max_repo_mb": 2048,
        "cloc_path": None,
        "search_path": os.environ["PATH"],
        "scratch": scratch,
    }
    return Options(**(settings | changes))  # type: ignore[arg-type]


def write_stub_cloc(folder: Path) -> str:
    """Return the path of a cloc that takes no time and finds no lines."""
    stub = folder / "stub-cloc"
    stub.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1.96\nexit 0\n')
    stub.chmod(0o755)
    return str(stub)


def found(figures: Figures, loc: int | None = None) -> Truth:
    """Return figures in the oracle's form; `loc` replaces cloc's where there is no cloc."""
    history = figures.history
    days: dict[date, tuple[int, int, int]] = {
        day: (sums.commits, sums.additions, sums.deletions) for day, sums in history.days.items()
    }
    return Truth(
        commits=history.commits,
        additions=history.additions,
        deletions=history.deletions,
        first=history.first_commit,
        last=history.last_commit,
        days=days,
        loc=figures.count.loc if figures.count.source == "cloc" else loc,
    )
