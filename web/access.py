"""Who may ask for what: CORS, the limit on refreshes, the size of requests, security headers."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, request
from flask_cors import CORS
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings
from refresh.queue import fail_fast_options

MAX_BODY = 64 * 1024
REFRESHES_A_MINUTE = 30
LIMIT_WINDOW = 60  # seconds

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def control_access(app: Flask, settings: Settings) -> None:
    """Set up CORS, the refresh limit, the body limit and the headers of every answer."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    CORS(app, origins=list(settings.cors_origins), methods=["GET", "POST"], always_send=False)
    _limit_refreshes(app, settings, "api.start_refresh")
    app.before_request(_refuse_large_bodies)
    app.after_request(_add_security_headers)


def _limit_refreshes(app: Flask, settings: Settings, endpoint: str) -> None:
    """Answer 429 to a client's requests to an endpoint beyond 30 a minute.

    Counted in Redis where there is one, so that all processes count together, and in memory while
    it does not answer. A client is the address that the trusted proxies name, or the peer's own.
    """
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies
        )
    url = settings.redis_url
    limiter = Limiter(
        get_remote_address,
        app=app,
        storage_uri=url or "memory://",
        storage_options=fail_fast_options(url) if url is not None else {},
        in_memory_fallback_enabled=True,
    )
    view = app.view_functions[endpoint]
    limited = limiter.limit(f"{REFRESHES_A_MINUTE} per minute")(view)
    app.view_functions[endpoint] = limited  # type: ignore[assignment]


def _refuse_large_bodies() -> None:
    """Refuse a body that is large, or whose length is not announced, without reading it."""
    unannounced = "Transfer-Encoding" in request.headers
    if unannounced or (request.content_length or 0) > MAX_BODY:
        raise RequestEntityTooLarge


def _add_security_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    # In every answer, or a cache could serve the one without CORS headers to every origin.
    response.vary.add("Origin")
    return response
