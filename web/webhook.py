"""GitHub's events: what they change immediately, and what is measured after the answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import abort, request
from flask.typing import ResponseReturnValue
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from config import PrivateMode, Settings
from database.transaction import run_in_transaction
from errors import SignatureWrong, TokenMissing
from models import Project, RefreshTask
from refresh import store, tasks, wanted
from web.after_answer import measure_after_answer
from web.payloads import find_repository, is_signed, read_payload
from web.settings import current_settings

ACTIONS = (
    "created",
    "renamed",
    "edited",
    "deleted",
    "privatized",
    "publicized",
    "archived",
    "unarchived",
    "transferred",
)


def receive() -> ResponseReturnValue:
    """Receive an event, and have its repository measured.

    An event may be delivered again, by GitHub or by anyone who has seen it. So it only means that
    something may have changed: a project that it removes is added again by the measurement where
    GitHub still has the repository.
    """
    settings = current_settings()
    secret = settings.github_webhook_secret
    if secret is None:
        abort(404)
    body = request.get_data(cache=False)
    if not is_signed(body, secret, request.headers.get("X-Hub-Signature-256", "")):
        raise SignatureWrong
    if not settings.knows_what_to_list:
        raise TokenMissing
    payload = read_payload(body, request.mimetype)
    event = request.headers.get("X-GitHub-Event", "")
    if event == "ping":
        return {"message": "the webhook works"}, 202
    github_id, repository = find_repository(payload)
    if not _concerns_figures(event, payload, repository):
        return {"message": "nothing to measure"}, 202
    note = partial(_note, settings, str(payload.get("action")), event, github_id)
    run_in_transaction(note, store.ANSWER_WITHIN)
    measure_after_answer()
    return {"message": "the repository will be measured"}, 202


def _concerns_figures(
    event: str, payload: Mapping[str, Any], repository: Mapping[str, Any]
) -> bool:
    """Return whether an event may change figures, as a push to the measured branch does."""
    if event == "push":
        return payload.get("ref") == f"refs/heads/{repository.get('default_branch')}"
    return event == "repository" and payload.get("action") in ACTIONS


def _note(settings: Settings, action: str, event: str, github_id: int, session: Session) -> None:
    if event == "repository":
        if action == "deleted" or (
            action == "privatized" and settings.private_repositories is PrivateMode.HIDE
        ):
            tasks.withdraw(session, github_id)
            session.execute(delete(Project).where(Project.github_id == github_id))
        elif action == "privatized":
            for model in (Project, RefreshTask):
                session.execute(
                    update(model).where(model.github_id == github_id).values(private=True)
                )
    wanted.want(session, github_id)
