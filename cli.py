"""The commands: ``flask --app app refresh``, ``measure``, ``export``, ``clock`` and others.

Every process imports this module, so what only one command needs is imported in that command.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from config import Settings
from database.schema import upgrade_database
from database.types import to_iso_utc
from errors import Interrupted, ProjectTrackerError, StartError
from log import escape_controls
from models import RefreshJob, RefreshStatus

if TYPE_CHECKING:
    from measure import Figures


def register(app: Flask) -> None:
    """Add the commands to an application."""
    for command in (
        refresh_command,
        measure_command,
        export_command,
        clock_command,
        upgrade_command,
        doctor_command,
    ):
        app.cli.add_command(command)


@click.command("refresh")
@click.option("--force", is_flag=True, help="Measure every repository, changed or not.")
@with_appcontext
def refresh_command(force: bool) -> None:
    """Refresh the figures here, with a progress bar."""
    from rich.console import Console

    from jobs import grow_here, refresh_here
    from refresh.running import STOPPED, signals_interrupt
    from terminal import ProgressObserver

    settings = _settings()
    _upgrade(current_app._get_current_object())  # type: ignore[attr-defined]
    console = Console(stderr=True)
    observer = ProgressObserver(console)
    # The bar and the summary show the same.
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with signals_interrupt(), observer.progress:
            refresh = refresh_here(settings, forced=force, observer=observer)
    except (Interrupted, KeyboardInterrupt):
        sys.exit(STOPPED)
    except ProjectTrackerError as error:
        sys.exit(str(error))
    console.print(_summarise(settings, refresh))
    try:
        with signals_interrupt():
            grow_here(settings)
    except (Interrupted, KeyboardInterrupt):
        sys.exit("stopped: the growth that is lacking is measured after the next refresh")


def _summarise(settings: Settings, refresh: RefreshJob) -> str:
    failed = refresh.failed_repositories
    seconds = 0.0
    if refresh.started_at is not None and refresh.completed_at is not None:
        seconds = (refresh.completed_at - refresh.started_at).total_seconds()
    reason = refresh.explain(settings.private_repositories)
    if refresh.status == RefreshStatus.FAILED:
        sys.exit(escape_controls(reason or "the refresh has failed"))
    return (
        f"{refresh.status}: {refresh.total_repositories} repositories, "
        f"{failed} failed, {seconds:.1f} s"
    )


@click.command("measure")
@click.argument("path_or_url")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@with_appcontext
def measure_command(path_or_url: str, as_json: bool) -> None:
    """Measure any git repository, given as a folder or a URL; no token, no database."""
    import measure
    from refresh.measuring import measure_options
    from refresh.running import signals_interrupt

    try:
        with signals_interrupt():
            figures = measure.measure(measure.Source(path_or_url), measure_options(_settings()))
    except (Interrupted, KeyboardInterrupt):
        sys.exit("stopped")
    except ProjectTrackerError as error:
        sys.exit(f"{path_or_url}: {error}")
    described = _describe(figures)
    if as_json:
        click.echo(json.dumps(described, indent=2, ensure_ascii=False))
    else:
        from terminal import print_table

        print_table(path_or_url, described)


def _describe(figures: Figures) -> dict[str, Any]:
    from measure import whole_minutes

    history, count = figures.history, figures.count
    first, last = history.first_commit, history.last_commit
    minutes = whole_minutes(first, last) if first and last else 0
    own = history.own
    whose: dict[str, Any] = {}
    if own is not None:  # AUTHOR_EMAILS says whose commits are one's own
        whose = {
            "own_commits": own.commits,
            "own_active_days": len(own.days),
            "own_churn": own.churn,
            "bot_commits": history.bot_commits,
        }
    return {
        "head_sha": figures.head_sha,
        "loc": count.loc,
        "loc_source": count.source,
        "loc_by_language": dict(count.languages),
        "not_counted": [asdict(left_out) for left_out in count.not_counted],
        "excluded_files": count.excluded_files,
        "commits": history.commits,
        "active_days": len(history.days),
        "time_spent": f"{minutes}m",
        "first_commit": to_iso_utc(first),
        "last_finished": to_iso_utc(last),
        "code_churn": history.churn,
        "additions": history.additions,
        "deletions": history.deletions,
        **whose,
    }


@click.command("export")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--include-private", is_flag=True, help="Write private repositories, too.")
@click.option("--url", help="Where the site will be, for the lines to copy on its pages.")
@with_appcontext
def export_command(directory: Path, include_private: bool, url: str | None) -> None:
    """Write a site that needs no server: the pages, every JSON answer, every picture."""
    from web.export import export_site

    app = current_app._get_current_object()  # type: ignore[attr-defined]
    _upgrade(app)
    try:
        exported = export_site(app, directory, include_private=include_private, url=url)
    except ProjectTrackerError as error:
        sys.exit(f"not exported: {error}")
    for file in exported.changed:
        click.echo(f"not removed, changed since it was written: {file}", err=True)
    click.echo(f"{exported.files} files in {directory}, {exported.removed} removed")


@click.command("clock")
@with_appcontext
def clock_command() -> None:
    """Start the scheduled refresh when it is due, until stopped, as a process of its own."""
    from jobs import refresh_if_due
    from refresh.running import signals_interrupt, stop_running
    from refresh.scheduler import run_scheduler

    app = current_app._get_current_object()  # type: ignore[attr-defined]
    _upgrade(app)
    with signals_interrupt():
        try:
            run_scheduler(app, refresh_if_due)
        except KeyboardInterrupt:
            if not stop_running():
                os._exit(0)


@click.command("upgrade-database")
@with_appcontext
def upgrade_command() -> None:
    """Migrate the database to the current schema, whichever release made it; every row is kept."""
    _upgrade(current_app._get_current_object())  # type: ignore[attr-defined]


@click.command("doctor")
@with_appcontext
def doctor_command() -> None:
    """Check all that a refresh needs, and print for each part that it is ok or what to do."""
    from doctor import examine

    failed = False
    for finding in examine(current_app._get_current_object()):  # type: ignore[attr-defined]
        failed = failed or not finding.ok
        click.echo(f"{'ok ' if finding.ok else 'FIX'}  {finding.name}: {finding.text}")
    if failed:
        sys.exit(1)


def _upgrade(app: Flask) -> None:
    try:
        upgrade_database(app)
    except StartError as error:
        sys.exit(f"cannot start: {error}")


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings
