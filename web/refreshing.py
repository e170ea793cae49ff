"""POST /api/refresh, in a module of its own, which imports what a refresh needs."""

from __future__ import annotations

import hmac
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue

from config import Settings
from errors import RefreshError, TokenWrong
from jobs import Outcome, RefreshResult, request_refresh
from models import RefreshJob, RefreshStatus
from refresh.connection import is_reachable
from web.settings import current_settings, private_mode


def start_refresh() -> ResponseReturnValue:
    """Start a refresh, or join the one under way."""
    _check_bearer(current_settings())
    forced = request.args.get("force", "").lower() in ("1", "true", "yes")
    return _answer(request_refresh(current_settings(), forced=forced))


def _check_bearer(settings: Settings) -> None:
    if settings.refresh_token is None:
        return
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    # Compared as bytes, since compare_digest refuses text that is not ASCII.
    right = hmac.compare_digest(given.strip().encode(), settings.refresh_token.encode())
    if not right or scheme.lower() != "bearer":
        raise TokenWrong


def _answer(result: RefreshResult) -> ResponseReturnValue:
    refresh = result.refresh
    if result.outcome is Outcome.RAN:
        if refresh.status != RefreshStatus.COMPLETED:
            raise RefreshError(refresh.explain(private_mode()) or "the refresh has failed")
        return {"message": "refresh completed", **_summary(refresh)}
    if result.outcome is Outcome.RECENT and not is_reachable(current_settings()):
        return {"message": "the figures were refreshed only just now", **_summary(refresh)}
    messages = {
        Outcome.QUEUED: "refresh queued",
        Outcome.JOINED: "a refresh is under way already",
        Outcome.RECENT: "the figures were refreshed only just now",
    }
    return {
        "message": messages[result.outcome],
        "job_id": refresh.id,
        "status": refresh.status,
        "check_status_url": url_for("api.show_refresh", job_id=refresh.id),
    }, 202


def _summary(refresh: RefreshJob) -> dict[str, Any]:
    return {
        "status": refresh.status,
        "repositories_processed": refresh.repositories_processed,
        "total_repositories": refresh.total_repositories,
        "error_message": refresh.explain(private_mode()),
    }
