"""The Flask application: settings, database, routes, and what an error looks like."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from functools import partial

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from flask_cors import CORS
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, TooManyRequests
from werkzeug.serving import WSGIRequestHandler, make_server

import cli
import measure
import routes
from config import PrivateMode, Settings, read_settings
from database import NO_DATABASE, engine_options, is_unavailable
from errors import (
    ConfigError,
    Interrupted,
    ProjectTrackerError,
    RefreshError,
    RefreshTooSoon,
    TokenMissing,
    TokenWrong,
)
from headers import SECURITY_HEADERS
from log import configure_logging
from models import Project, db
from rate_limit import WINDOW, limit_refreshes
from schedule import start_schedule
from schema import migrate, upgrade_database

log = logging.getLogger(__name__)

MAX_BODY = 64 * 1024


def create_app(config: Mapping[str, str] | None = None) -> Flask:
    """Make the application.

    ``config`` maps names of environment variables to text and stands in for the environment. No
    connection is opened and no thread started. Raises ConfigError when a variable cannot be used.
    """
    settings = read_settings(config)
    configure_logging(discreet=settings.private_repositories is not PrivateMode.SHOW)
    app = Flask(__name__, static_folder=None)
    app.extensions["settings"] = settings
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings.database_url)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    # A redirect to the path without its doubled slashes would be an answer that is not JSON.
    app.url_map.merge_slashes = False
    db.init_app(app)
    migrate.init_app(app)
    CORS(app, origins=list(settings.cors_origins), methods=["GET", "POST"], always_send=False)
    app.register_blueprint(routes.api)
    limit_refreshes(app, settings, "api.start_refresh")
    app.before_request(_refuse_large_bodies)
    app.after_request(_add_security_headers)
    _register_error_handlers(app)
    cli.register(app)
    return app


def _refuse_large_bodies() -> None:
    """No route reads a body, so one that is large, or may be, is turned away unread."""
    unannounced = "Transfer-Encoding" in request.headers
    if unannounced or (request.content_length or 0) > MAX_BODY:
        raise RequestEntityTooLarge


def _register_error_handlers(app: Flask) -> None:
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(RefreshTooSoon, _answer_too_soon)
    app.register_error_handler(TokenMissing, partial(_answer_in_words, 503))
    app.register_error_handler(TokenWrong, _answer_unauthorized)
    app.register_error_handler(RefreshError, partial(_answer_in_words, 502))
    app.register_error_handler(Interrupted, partial(_answer_in_words, 503))
    app.register_error_handler(SQLAlchemyError, _answer_database_error)
    app.register_error_handler(Exception, _answer_fault)


def _answer_http_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error.get_response()
    kept = ("Allow", "Retry-After")
    headers = {name: value for name, value in error.get_headers() if name in kept}
    if isinstance(error, TooManyRequests):
        headers.setdefault("Retry-After", str(WINDOW))
    return {"error": error.name.lower()}, error.code, headers


def _answer_in_words(status: int, error: ProjectTrackerError) -> ResponseReturnValue:
    return {"error": str(error)}, status


def _answer_too_soon(error: RefreshTooSoon) -> ResponseReturnValue:
    return {"error": str(error)}, 429, {"Retry-After": str(error.retry_after)}


def _answer_unauthorized(error: TokenWrong) -> ResponseReturnValue:
    return {"error": str(error)}, 401, {"WWW-Authenticate": "Bearer"}


def _answer_database_error(error: SQLAlchemyError) -> ResponseReturnValue:
    db.session.rollback()
    if not is_unavailable(error):
        return _answer_fault(error)
    log.error("the database does not answer: %s", type(error).__name__, exc_info=error)
    return {"error": NO_DATABASE}, 503


def _answer_fault(error: Exception) -> ResponseReturnValue:
    log.error("unexpected fault in a request", exc_info=error)
    return {"error": "internal server error"}, 500


def _add_security_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    # Said in every answer, or a cache could give the one without CORS headers to every origin.
    response.vary.add("Origin")
    return response


def prepare(app: Flask) -> None:
    """Bring the database to today's schema and say in the log what whoever starts this should know.

    Every process that serves or works calls it once at its start.
    """
    settings: Settings = app.extensions["settings"]
    upgrade_database(app)
    if settings.github_access_token is None:
        log.warning("%s", TokenMissing())
    with app.app_context():
        shown = settings.private_repositories is PrivateMode.SHOW
        if shown and db.session.scalar(db.select(Project.id).where(Project.private).limit(1)):
            log.warning(
                "private repositories are shown to everybody: "
                "set PRIVATE_REPOSITORIES to count or hide to change that"
            )


class LocalHandler(WSGIRequestHandler):
    """Answer what is no HTTP in JSON like every other error."""

    error_content_type = "application/json"
    error_message_format = '{"error": "bad request (%(code)d)"}'


def serve(app: Flask) -> None:
    """Serve on this machine alone, with the schedule, until a Ctrl-C or SIGTERM."""
    settings: Settings = app.extensions["settings"]
    prepare(app)
    server = make_server(
        "127.0.0.1", settings.port, app, threaded=True, request_handler=LocalHandler
    )
    log.info("Project Tracker is on http://localhost:%d", settings.port)
    start_schedule(app)
    try:
        server.serve_forever()
    finally:
        measure.stop_all()


try:
    app = create_app()
except ConfigError as error:
    sys.exit(f"configuration: {error}")

if __name__ == "__main__":
    serve(app)
