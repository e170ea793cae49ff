"""A real Chromium, and pages for it that are served under the policy of the service's own page."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from flask import Flask, Response
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import make_server

from tools.chromium import ARGUMENTS, EXECUTABLE
from web.assets import FOLDER

PAGE_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'"
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLES = """
<link rel="stylesheet" href="/static/theme-light.css">
<link rel="stylesheet" href="/static/theme-dark.css" media="(prefers-color-scheme: dark)">
<link rel="stylesheet" href="/static/design.css">
<link rel="stylesheet" href="/static/charts.css">
<link rel="stylesheet" href="/static/languages.css">
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium without a display."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class PictureServer:
    """Serves what a test gives it: markup within a page, or a picture as its own document."""

    def __init__(self) -> None:
        self._bodies: dict[str, Response] = {}
        app = Flask(__name__, static_folder=str(FOLDER), static_url_path="/static")
        app.add_url_rule("/shown/<name>", "shown", self._shown)
        # Chromium asks for it once, and says in the console where there is none.
        app.add_url_rule("/favicon.ico", "icon", lambda: Response(status=204))
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def page(self, body: str) -> str:
        """Return the address of a page around some markup."""
        html = f"<!doctype html><html lang=en><title>Pictures</title>{STYLES}<main>{body}</main>"
        return self._keep(html, "text/html", PAGE_POLICY)

    def document(self, svg: str) -> str:
        """Return the address of a picture."""
        return self._keep(svg, "image/svg+xml", PICTURE_POLICY)

    def _keep(self, body: str, kind: str, policy: str) -> str:
        name = str(len(self._bodies))
        headers = {"Content-Security-Policy": policy}
        self._bodies[name] = Response(body, mimetype=kind, headers=headers)
        return f"http://127.0.0.1:{self._server.server_port}/shown/{name}"

    def _shown(self, name: str) -> Response:
        return self._bodies[name]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
