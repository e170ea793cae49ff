"""What kind of answer a client asks for."""

from __future__ import annotations

from flask import request


def wants_page() -> bool:
    """Tell whether a client asks for a page, as browsers do and programs do not."""
    offered = ("application/json", "text/html")
    return request.accept_mimetypes.best_match(offered) == "text/html"
