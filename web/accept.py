"""The kind of answer that a client requests."""

from __future__ import annotations

from typing import Final

from flask import request

EXPORTING: Final = "project_tracker.exporting"
"""Key of a request's environ: true while the answer is for an export."""


def wants_page() -> bool:
    """Return whether a client prefers HTML to JSON, as browsers do and programs do not."""
    offered = ("application/json", "text/html")
    return request.accept_mimetypes.best_match(offered) == "text/html"
