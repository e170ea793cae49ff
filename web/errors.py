"""Every error as JSON, in one shape: `{"error": "..."}` with a status code."""

from __future__ import annotations

import logging

from flask import Flask
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, SecurityError

from database.engine import NO_DATABASE, db, is_unavailable
from errors import (
    BadParameter,
    Interrupted,
    OriginRefused,
    ProjectTrackerError,
    RefreshError,
    RefreshTooSoon,
    SignatureWrong,
    TokenMissing,
    TokenWrong,
)

log = logging.getLogger(__name__)

KEPT_HEADERS = ("Allow", "Retry-After")
HOST_REFUSED = "this service does not go by the name in Host: see ALLOWED_HOSTS"

STATUSES: dict[type[ProjectTrackerError], int] = {
    BadParameter: 400,
    RefreshError: 502,
    RefreshTooSoon: 429,
    TokenMissing: 503,
    TokenWrong: 401,
    SignatureWrong: 401,
    OriginRefused: 403,
    Interrupted: 503,
}


def register_error_handlers(app: Flask) -> None:
    """Answer every exception of a request in JSON; none with a traceback or an SQL statement."""
    app.register_error_handler(HTTPException, _answer_http_error)
    for kind in STATUSES:
        app.register_error_handler(kind, _answer_own_error)
    app.register_error_handler(SQLAlchemyError, _answer_database_error)
    app.register_error_handler(Exception, _answer_unexpected_error)


def _answer_http_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error.get_response()
    if error.response is not None:
        return error.response
    headers = {name: value for name, value in error.get_headers() if name in KEPT_HEADERS}
    text = HOST_REFUSED if isinstance(error, SecurityError) else error.name.lower()
    return {"error": text}, error.code, headers


def _answer_own_error(error: ProjectTrackerError) -> ResponseReturnValue:
    headers = {}
    if isinstance(error, RefreshTooSoon):
        headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, TokenWrong):
        headers["WWW-Authenticate"] = "Bearer"
    return {"error": str(error)}, _status_of(error), headers


def _status_of(error: ProjectTrackerError) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def _answer_database_error(error: SQLAlchemyError) -> ResponseReturnValue:
    db.session.rollback()
    if not is_unavailable(error):
        return _answer_unexpected_error(error)
    log.error("the database does not answer: %s", type(error).__name__, exc_info=error)
    return {"error": NO_DATABASE}, 503


def _answer_unexpected_error(error: Exception) -> ResponseReturnValue:
    log.error("unexpected fault in a request", exc_info=error)
    return {"error": "internal server error"}, 500
