"""The commands' output in a terminal."""

from __future__ import annotations

import threading
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from log import escape_controls
from models import RefreshJob


class ProgressObserver:
    """A progress bar with the repositories being measured and those that failed."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}", markup=False),
            console=console,
        )
        self._console = console
        self._bar: TaskID = self.progress.add_task("listing", total=None, now="")
        self._lock = threading.Lock()
        self._current: list[str] = []

    def planned(self, refresh: RefreshJob) -> None:
        """Show how many repositories there are and how many are done already."""
        self.progress.update(
            self._bar,
            description="measuring",
            total=refresh.total_repositories,
            completed=refresh.repositories_processed,
        )

    def started(self, name: str) -> None:
        """Show that a repository is being measured."""
        with self._lock:
            self._current.append(escape_controls(name))
            self._show()

    def ended(self, name: str, reason: str | None) -> None:
        """Count a repository; print it where it failed."""
        with self._lock:
            self._current.remove(escape_controls(name))
            self._show()
        self.progress.advance(self._bar)
        if reason is not None:
            self._console.print(
                f"[red]failed[/red] {escape(escape_controls(name))}: {escape(reason)}"
            )

    def _show(self) -> None:
        self.progress.update(self._bar, now=", ".join(self._current))


def print_table(title: str, described: dict[str, Any]) -> None:
    """Print figures, one a line, the languages with the most lines among them."""
    table = Table(title=escape(title), show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in described.items():
        if isinstance(value, dict):
            most = sorted(value.items(), key=lambda item: (-item[1], item[0]))
            for language, lines in most[:10]:
                table.add_row(f"  {escape(language)}", f"{lines:,}", style="dim")
        elif isinstance(value, list):
            for left_out in value:
                table.add_row(f"files {left_out['reason']}", f"{left_out['files']:,}")
        else:
            table.add_row(name, f"{value:,}" if isinstance(value, int) else escape(str(value)))
    Console().print(table)
