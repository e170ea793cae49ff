"""The Flask application: settings, database, routes and commands."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping

if __name__ == "__main__":
    # A Ctrl-C while the rest is imported ends the process as SIGTERM does, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

import cli
from config import PrivateMode, Settings, read_settings
from database.engine import db, engine_options
from database.schema import upgrade_database
from errors import ConfigError, StartError, TokenMissing
from log import configure_logging
from models import Project, RefreshStatus
from web.access import control_access
from web.errors import register_error_handlers
from web.listening import check_address, own_names
from web.responses import JSONProvider, keep_responses
from web.routes import register_routes

log = logging.getLogger(__name__)


def create_app(config: Mapping[str, str] | None = None) -> Flask:
    """Create the application.

    ``config`` maps names of environment variables to text and stands in for the environment. No
    connection is opened and no thread started. Raises ConfigError when a variable cannot be used.
    """
    settings = read_settings(config)
    configure_logging(
        settings.log_format, redact=settings.private_repositories is not PrivateMode.SHOW
    )
    app = Flask(
        __name__,
        static_folder="web/static",
        static_url_path="/static",
        template_folder="web/templates",
    )
    # Pages request a file with a version that changes with its content.
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 365 * 86_400
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.config["SETTINGS"] = settings
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings.database_url)
    app.json = JSONProvider(app)
    # Otherwise a path with doubled slashes is answered by a redirect that is not JSON.
    app.url_map.merge_slashes = False
    db.init_app(app)
    register_routes(app)
    control_access(app, settings)
    keep_responses(app, settings)
    register_error_handlers(app)
    cli.register(app)
    return app


def prepare(app: Flask) -> None:
    """Migrate the database to the current schema and log what an operator should know.

    Every web and worker process calls it once at its start. Raises StartError.
    """
    settings: Settings = app.config["SETTINGS"]
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise StartError(f"no folder for temporary files can be written to: {error}") from None
    upgrade_database(app)
    if not settings.knows_what_to_list:
        log.warning("%s", TokenMissing())
    elif settings.github_access_token is None:
        log.warning(
            "without GITHUB_ACCESS_TOKEN only public repositories are measured, of each one's "
            "languages only the main one is known, and GitHub answers 60 requests an hour"
        )
    if shutil.which("git", path=settings.search_path) is None:
        log.warning("git is not installed: no repository can be measured without it")
    with app.app_context():
        if settings.private_repositories is PrivateMode.SHOW and _may_have_private(settings):
            log.warning(
                "private repositories are shown to everybody who can reach this service: "
                "set PRIVATE_REPOSITORIES to count or hide to change that"
            )


def start(app: Flask) -> None:
    """Prepare the process, or end it with one line that says why it cannot start."""
    try:
        prepare(app)
    except StartError as error:
        sys.exit(f"cannot start: {error}")


def _may_have_private(settings: Settings) -> bool:
    """Return whether there are private rows, or a first refresh could add some."""
    from refresh import store

    if db.session.scalar(db.select(Project.id).where(Project.private).limit(1)) is not None:
        return True
    return (
        settings.github_access_token is not None
        and store.find_last(RefreshStatus.COMPLETED) is None
    )


class LocalHandler(WSGIRequestHandler):
    """Answer a malformed request with an error in JSON, as all errors are."""

    error_content_type = "application/json"
    error_message_format = '{"error": "bad request (%(code)d)"}'


def serve(app: Flask) -> None:
    """Serve under this machine's own names, with the schedule, until a Ctrl-C or SIGTERM."""
    from refresh.running import signals_interrupt, stop_running

    settings: Settings = app.config["SETTINGS"]
    with signals_interrupt(), app.app_context():
        try:
            _serve(app, settings)
        except KeyboardInterrupt:
            log.info("stopping")
        if not stop_running():
            # A thread may still wait for GitHub; its refresh has already ended as failed.
            os._exit(0)


def _serve(app: Flask, settings: Settings) -> None:
    # Only this process of those that serve has a schedule.
    from jobs import refresh_if_due
    from refresh.scheduler import start_scheduler

    try:
        check_address(settings, "make run")
    except StartError as error:
        sys.exit(f"cannot start: {error}")
    start(app)
    if settings.allowed_hosts is None:
        app.config["TRUSTED_HOSTS"] = own_names(settings.host)
    server = make_server(
        settings.host, settings.port, app, threaded=True, request_handler=LocalHandler
    )
    log.info("Project Tracker is on http://%s:%d", settings.host, settings.port)
    start_scheduler(app, refresh_if_due)
    server.serve_forever()


try:
    app = create_app()
except ConfigError as error:
    sys.exit(f"configuration: {error}")

if __name__ == "__main__":
    serve(app)
