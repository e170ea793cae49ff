"""GitHub's events as it delivers them: the published field names, and its signature."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from typing import Any

SECRET = "a secret, with spaces & more: 0123456789"


def sign(body: bytes, secret: str = SECRET) -> str:
    """Make the value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers(event: str, body: bytes, **others: str) -> dict[str, str]:
    """Make the headers of a delivery."""
    return {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/0a1b2c3",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": "292430182",
        "X-Hub-Signature-256": sign(body),
        **others,
    }


def repository(github_id: int, name: str = "alpha", **facts: Any) -> dict[str, Any]:
    """Describe a repository as an event does."""
    return {
        "id": github_id,
        "name": name,
        "full_name": f"octocat/{name}",
        "private": False,
        "owner": {"login": "octocat", "id": 1, "type": "User"},
        "fork": False,
        "archived": False,
        "default_branch": "main",
        **facts,
    }


def push(github_id: int, *, ref: str = "refs/heads/main", **facts: Any) -> bytes:
    """Make the body of a push; its `pushed_at` is a number, unlike everywhere else."""
    return json.dumps(
        {
            "ref": ref,
            "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
            "after": "0000000000000000000000000000000000000001",
            "created": False,
            "deleted": False,
            "forced": False,
            "base_ref": None,
            "commits": [],
            "head_commit": None,
            "repository": repository(github_id, pushed_at=1557933657, **facts),
            "pusher": {"name": "octocat", "email": "octocat@example.com"},
            "sender": {"login": "octocat", "id": 1},
        }
    ).encode()


def change(action: str, github_id: int, **facts: Any) -> bytes:
    """Make the body of an event `repository`."""
    return json.dumps(
        {
            "action": action,
            "repository": repository(github_id, pushed_at="2019-05-15T15:20:57Z", **facts),
            "sender": {"login": "octocat", "id": 1},
        }
    ).encode()


PING = json.dumps({"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}}).encode()
