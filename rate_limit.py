"""How often one client may ask for a refresh."""

from __future__ import annotations

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings
from refresh.queue import hasty_options

REFRESHES_A_MINUTE = 30
WINDOW = 60


def limit_refreshes(app: Flask, settings: Settings, endpoint: str) -> None:
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
        storage_options=hasty_options(url) if url is not None else {},
        in_memory_fallback_enabled=True,
    )
    view = app.view_functions[endpoint]
    limited = limiter.limit(f"{REFRESHES_A_MINUTE} per minute")(view)
    app.view_functions[endpoint] = limited  # type: ignore[assignment]
