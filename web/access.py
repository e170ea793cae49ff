"""Access: hosts, CORS, the rate limit of refreshes, the size of requests, security headers."""

from __future__ import annotations

import time
from typing import Final

from flask import Flask, Response, jsonify, request
from flask_cors import CORS
from flask_limiter import Limiter, RequestLimit
from flask_limiter.util import get_remote_address
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings
from config.checks import DEFAULT_PORTS
from errors import OriginRefused
from refresh.connection import fail_fast_options
from web.payloads import MAX_PAYLOAD
from web.settings import current_settings

MAX_BODY = 64 * 1024
WEBHOOK = "webhook.receive"
REFRESHES_A_MINUTE = 30
EXPOSED_HEADERS = ("ETag", "Link", "Retry-After", "X-Total-Count")
PREFLIGHT_MAX_AGE = 3600  # seconds

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def control_access(app: Flask, settings: Settings) -> None:
    """Set up hosts, origins, the refresh limit, the body limit and the headers of every answer."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    if settings.allowed_hosts is not None:
        app.config["TRUSTED_HOSTS"] = list(settings.allowed_hosts)
    CORS(
        app,
        origins=list(settings.cors_origins),
        methods=["GET", "POST"],
        expose_headers=list(EXPOSED_HEADERS),
        max_age=PREFLIGHT_MAX_AGE,
        always_send=False,
        vary_header=False,  # see _add_headers
    )
    _limit_refreshes(app, settings, "api.start_refresh")
    app.before_request(_refuse_foreign_origins)
    app.before_request(_refuse_large_bodies)
    app.after_request(_add_headers)


def allowed_origin_headers(app: Flask, origin: str) -> dict[str, str]:
    """Return the CORS headers of an answer that does not come from Flask."""
    settings: Settings = app.config["SETTINGS"]
    if origin.lower() not in settings.cors_origins:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(EXPOSED_HEADERS),
    }


def _limit_refreshes(app: Flask, settings: Settings, endpoint: str) -> None:
    """Answer 429 to a client's requests to an endpoint beyond 30 a minute.

    Requests are counted in Redis, for all processes together, and in memory without Redis or while
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
        on_breach=_answer_too_many,
    )
    view = app.view_functions[endpoint]
    limited = limiter.limit(f"{REFRESHES_A_MINUTE} per minute")(view)
    app.view_functions[endpoint] = limited  # type: ignore[assignment]


def _answer_too_many(limit: RequestLimit) -> Response:
    wait = min(60, max(1, round(limit.reset_at - time.time())))
    answer = jsonify(error=f"too many requests: try again in {wait} s")
    answer.status_code = 429
    answer.headers["Retry-After"] = str(wait)
    return answer


def _refuse_foreign_origins() -> None:
    """Refuse a POST of a page whose origin is neither listed nor this service's own.

    A browser sends such a POST without a preflight, but with the page's origin; other clients send
    none.
    """
    origin = request.headers.get("Origin")
    if origin is None or request.method in ("GET", "HEAD", "OPTIONS"):
        return
    settings = current_settings()
    if origin.lower() not in settings.cors_origins and not _is_own(origin):
        raise OriginRefused


def _is_own(origin: str) -> bool:
    """Return whether a page came from the host and port of this request.

    The scheme is not compared: behind a proxy that is not trusted it is unknown.
    """
    scheme, _, host = origin.lower().partition("://")
    if scheme not in DEFAULT_PORTS:
        return False
    default = f":{DEFAULT_PORTS[scheme]}"
    return host.removesuffix(default) == request.host.lower().removesuffix(default)


def _refuse_large_bodies() -> None:
    """Refuse a body that is large, or whose length is not announced, without reading it."""
    settings = current_settings()
    if request.endpoint == WEBHOOK and settings.github_webhook_secret is not None:
        request.max_content_length = MAX_PAYLOAD
    unannounced = "Transfer-Encoding" in request.headers
    if unannounced or (request.content_length or 0) > (request.max_content_length or 0):
        raise RequestEntityTooLarge


def _add_headers(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    # In every answer, or a cache could serve one without CORS headers to every origin.
    response.vary.add("Origin")
    return response
