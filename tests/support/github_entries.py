"""Repositories and users as GitHub's REST API describes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

_FALSE = ("disabled", "is_template", "web_commit_signoff_required", "has_discussions", "has_pages")
_TRUE = ("has_issues", "has_projects", "has_downloads", "has_wiki", "allow_forking")
_ZERO = ("stargazers_count", "watchers_count", "forks_count", "open_issues_count")
_ZERO_TOO = ("forks", "watchers", "open_issues")
_NULL = ("description", "homepage", "mirror_url", "license", "language")
_LINKS = ("forks", "hooks", "events", "tags", "languages", "contributors", "merges", "deployments")
_RIGHTS = ("admin", "maintain", "push", "triage", "pull")


def standing_facts(github_id: int) -> dict[str, Any]:
    """Return the fields that no test cares about."""
    return {
        "id": github_id,
        "node_id": f"R_{github_id}",
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": "2026-01-02T03:04:05Z",
        "topics": [],
        "permissions": dict.fromkeys(_RIGHTS, True),
        **dict.fromkeys(_FALSE, False),
        **dict.fromkeys(_TRUE, True),
        **dict.fromkeys(_ZERO + _ZERO_TOO, 0),
        **dict.fromkeys(_NULL),
    }


def named_facts(api_url: str, owner: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the fields that hold a repository's name."""
    full_name = f"{owner['login']}/{name}"
    path = quote(full_name, errors="replace")
    home, api = f"https://github.invalid/{path}", f"{api_url}/repos/{path}"
    return {
        "name": name,
        "full_name": full_name,
        "owner": owner,
        "html_url": home,
        "svn_url": home,
        "url": api,
        "git_url": f"git://github.invalid/{path}.git",
        "ssh_url": f"git@github.invalid:{path}.git",
        **{f"{link}_url": f"{api}/{link}" for link in _LINKS},
    }


def user(api_url: str, login: str, user_id: int) -> dict[str, Any]:
    """Describe a user."""
    return {
        "login": login,
        "id": user_id,
        "node_id": f"U_{user_id}",
        "type": "User",
        "gravatar_id": "",
        "site_admin": False,
        "url": f"{api_url}/users/{login}",
        "html_url": f"https://github.invalid/{login}",
        "repos_url": f"{api_url}/users/{login}/repos",
    }


def stamp(timestamp: datetime | None) -> str | None:
    """Write a timestamp as GitHub does."""
    return timestamp.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if timestamp else None
