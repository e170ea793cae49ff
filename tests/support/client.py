"""Requests that many tests send to the application."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient


def refresh(client: FlaskClient, query: str = "") -> Any:
    """Request a refresh that runs in this process, and return its answer."""
    answer = client.post("/api/refresh" + query)
    assert answer.status_code == 200, answer.json
    return answer.json


def projects(client: FlaskClient) -> dict[str, dict]:
    """Return the projects by name."""
    return {project["name"]: project for project in client.get("/api/projects").get_json()}
