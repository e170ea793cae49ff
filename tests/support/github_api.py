"""A fake of GitHub's REST API on loopback, with the published field names.

It serves what a token's user has: ``GET /user``, ``/user/repos``, ``/repos/{owner}/{name}``,
``/repositories/{id}``, each one's ``/languages`` and ``/commits``, and ``/rate_limit``; what others
have, without a token as well: ``/users/{login}``, ``/users/{login}/repos``,
``/orgs/{login}/repos``; and it fails on demand.
By hand: ``python -m tests.support.github_api --port 8081 NAME=GIT_URL …``.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tests.support.github_entries import named_facts, stamp, standing_facts, user
from tests.support.github_http import Answer, Fault, Request, Server

if TYPE_CHECKING:
    from tests.support.git_server import GitServer

TOKEN = "ghp_standInForGitHubsOwnTokens0000000000"
ALREADY_PUSHED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class GitHubApi:
    """GitHub for one user with a known token; a context manager.

    scopes None is a token of the fine-grained kind, whose answers have no scopes header. latency
    (seconds) is waited before each answer.
    """

    def __init__(
        self, *, token: str = TOKEN, login: str = "octocat", scopes: str | None = "repo"
    ) -> None:
        self.token = token
        self.login = login
        self.scopes = scopes
        self.latency = 0.0
        self.requests: list[Request] = []
        self.authorizations: list[str | None] = []
        self.limit = self.remaining = 5000
        self.resets_at = int(time.time()) + 3600
        self.counts_down = False
        self._repositories: dict[int, dict[str, Any]] = {}
        self._rendered: dict[int, bytes] = {}
        self._languages: dict[int, dict[str, int]] = {}
        self._ids: dict[str, int] = {}
        self._listings: dict[tuple[str | None, ...], list[int]] = {}
        self._former_names: dict[str, int] = {}
        self._faults: list[Fault] = []
        self._lock = threading.RLock()
        self._without_commits: set[int] = set()
        # Logins that are organizations; every other owner of a repository is a user.
        self.organizations: set[str] = set()
        self._git: GitServer | None = None
        self._server: Server | None = None

    def __enter__(self) -> GitHubApi:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, port: int = 0) -> GitHubApi:
        """Listen on 127.0.0.1."""
        self._server = Server(port, self.answer, self._git)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and drop every connection."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self.drop_connections()
        self._thread.join()

    def serve_git(self, git: GitServer) -> None:
        """Serve a git server's repositories at the API's own address, as GitHub Enterprise does."""
        assert self._server is not None
        self._git = self._server.owner = git
        git.port = self._server.server_address[1]

    def drop_connections(self) -> None:
        """Close every connection."""
        assert self._server is not None
        self._server.drop_connections()

    @property
    def url(self) -> str:
        """Return the value for GITHUB_API_URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    # The repositories

    def add(
        self,
        name: str,
        git_url: str = "",
        *,
        owner: str | None = None,
        private: bool = False,
        fork: bool = False,
        archived: bool = False,
        size: int = 1,
        languages: dict[str, int] | None = None,
        pushed_at: datetime | None = ALREADY_PUSHED,
        default_branch: str | None = "main",
        github_id: int | None = None,
        **fields: Any,
    ) -> int:
        """Add a repository cloned from git_url and return its id; fields override any other."""
        with self._lock:
            github_id = github_id or max(self._repositories, default=1000) + 1
            self._repositories[github_id] = standing_facts(github_id) | {
                "private": private,
                "visibility": "private" if private else "public",
                "fork": fork,
                "archived": archived,
                "size": size,
                "default_branch": default_branch,
                "pushed_at": stamp(pushed_at),
                "clone_url": git_url or f"https://github.invalid/{name}.git",
            }
            self._languages[github_id] = {"Python": 1000} if languages is None else languages
            self._name(github_id, owner or self.login, name)
            # A field that a test sets is not changed.
            self.update(github_id, **fields)
            return github_id

    def update(self, repository: int | str, **fields: Any) -> None:
        """Change fields, as a push or a change of settings does (pushed_at: a datetime)."""
        with self._lock:
            github_id = self.id_of(repository)
            languages = fields.pop("languages", None)
            if languages is not None:
                self._languages[github_id] = languages
            if isinstance(fields.get("pushed_at"), datetime):
                fields["pushed_at"] = stamp(fields["pushed_at"])
            if "private" in fields:
                fields.setdefault("visibility", "private" if fields["private"] else "public")
            self._repositories[github_id].update(fields)
            self._rendered.pop(github_id, None)
            self._listings.clear()

    def remove(self, repository: int | str) -> None:
        """Delete a repository: it is not listed any more, and answers 404."""
        with self._lock:
            github_id = self.id_of(repository)
            for kept in (self._repositories, self._rendered, self._languages):
                kept.pop(github_id, None)
            self._ids = {name: kept for name, kept in self._ids.items() if kept != github_id}
            self._listings.clear()

    def rename(self, repository: int | str, name: str) -> None:
        """Rename a repository: its former address answers 301."""
        github_id = self.id_of(repository)
        self._name(github_id, self._repositories[github_id]["owner"]["login"], name)

    def empty(self, repository: int | str) -> None:
        """Remove a repository's commits."""
        self._without_commits.add(self.id_of(repository))

    def transfer(self, repository: int | str, owner: str) -> None:
        """Return a repository to another owner: listed no more, its former address answers 301."""
        github_id = self.id_of(repository)
        self._name(github_id, owner, self._repositories[github_id]["name"])

    def id_of(self, repository: int | str) -> int:
        """Return the id of a repository that is named by its id, its name or `owner/name`."""
        if isinstance(repository, int):
            return repository
        return self._ids[repository if "/" in repository else f"{self.login}/{repository}"]

    def _name(self, github_id: int, owner: str, name: str) -> None:
        with self._lock:
            entry = self._repositories[github_id]
            if "full_name" in entry:
                self._former_names[entry["full_name"]] = self._ids.pop(entry["full_name"])
            facts = self._user(owner, is_organization=owner in self.organizations)
            entry |= named_facts(self.url, facts, name)
            self._former_names.pop(entry["full_name"], None)
            self._ids[entry["full_name"]] = github_id
            self.update(github_id)

    def _user(self, login: str, *, is_organization: bool = False) -> dict[str, Any]:
        facts = user(self.url, login, 1 if login == self.login else 2)
        return facts | {"type": "Organization"} if is_organization else facts

    # What goes wrong

    def fail(
        self,
        path_regex: str,
        status: int = 500,
        headers: dict[str, str] | None = None,
        body: bytes | str | dict[str, Any] | list[Any] | None = None,
        times: int | None = 1,
    ) -> None:
        """Answer paths (with their query) that match with a status, so many times (None: always).

        The fault added first is used up first. Without a body the status gets one of GitHub's.
        """
        if isinstance(body, dict | list):
            body = json.dumps(body)
        raw = body.encode() if isinstance(body, str) else body
        if raw is None:
            raw = json.dumps({"message": "Server Error", "status": str(status)}).encode()
        self._faults.append(Fault(re.compile(path_regex), times, status, headers or {}, raw))

    def block(self, repository: int | str, status: int = 451) -> None:
        """Block a repository for legal reasons (451) or breach of terms (403)."""
        entry = self._repositories[self.id_of(repository)]
        reason = {"reason": "dmca" if status == 451 else "tos", "created_at": entry["created_at"]}
        body = {"message": "Repository access blocked", "block": reason | {"html_url": None}}
        address = rf"^(/repos/{re.escape(entry['full_name'])}|/repositories/{entry['id']})\b"
        self.fail(address, status, body=body, times=None)

    def drip(self, path_regex: str, interval: float = 0.05, times: int | None = None) -> None:
        """Send the answers of paths that match one byte at a time."""
        self._faults.append(Fault(re.compile(path_regex), times, drip=interval))

    def cut(self, path_regex: str, times: int | None = 1) -> None:
        """Close the connection in the middle of the answers of paths that match."""
        self._faults.append(Fault(re.compile(path_regex), times, cut=True))

    def heal(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def limit_rate(self, remaining: int, *, resets_in: float = 3600, limit: int = 5000) -> None:
        """Count down from here, and refuse when nothing is left, until the reset."""
        self.limit, self.remaining, self.counts_down = limit, remaining, True
        self.resets_at = math.ceil(time.time() + resets_in)

    def limit_secondary(
        self, *, status: int = 403, retry_after: int | None = None, times: int | None = 1
    ) -> None:
        """Refuse requests as too many in a short time."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        message = "You have exceeded a secondary rate limit and have been temporarily blocked."
        self.fail("", status, headers, {"message": message}, times)

    def _take_fault(self, target: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times != 0 and fault.path.search(target):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    # The answers

    def answer(self, method: str, target: str, authorization: str | None) -> tuple[Answer, Fault]:
        """Answer a request, and say how the answer is to be spoilt."""
        time.sleep(self.latency)
        parts = urlsplit(target)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        with self._lock:
            self.requests.append(Request(method, path, query))
            self.authorizations.append(authorization)
            fault = self._take_fault(target) or Fault(re.compile(""), 1)
            if fault.status is not None and fault.body is not None:
                answer = Answer(fault.status, fault.body, fault.headers)
            else:
                answer = self._route(method, path, query, authorization)
            return answer._replace(headers=self._standing_headers() | answer.headers), fault

    def _route(
        self, method: str, path: str, query: dict[str, str], authorization: str | None
    ) -> Answer:
        if method != "GET":
            return _message(404, "Not Found")
        is_known = authorization in (f"token {self.token}", f"Bearer {self.token}")
        if authorization is not None and not is_known:
            return _message(401, "Bad credentials")
        if path != "/rate_limit" and self._is_used_up():
            return _message(403, "API rate limit exceeded for user ID 1.")
        if path == "/rate_limit":
            rate: dict[str, Any] = {"limit": self.limit, "remaining": self.remaining}
            rate |= {"reset": self.resets_at, "used": self.limit - self.remaining}
            rate["resource"] = "core"
            return _json({"resources": {"core": rate}, "rate": rate})
        if path in ("/user", "/user/repos") and not is_known:
            return _message(401, "Requires authentication")
        if path == "/user":
            return _json(self._user(self.login) | {"name": None, "public_repos": 0})
        if path == "/user/repos":
            return self._page(path, self._listed(query), query)
        matched = re.fullmatch(r"/(users|orgs)/([^/]+)(/repos)?", path)
        if matched:
            return self._owner(path, *matched.groups(), query=query, is_known=is_known)
        return self._one(path, is_known)

    def _owner(
        self,
        path: str,
        kind: str,
        login: str,
        repos: str | None,
        *,
        query: dict[str, str],
        is_known: bool,
    ) -> Answer:
        owners = {entry["owner"]["login"].lower() for entry in self._repositories.values()}
        is_organization = login.lower() in {each.lower() for each in self.organizations}
        known = login.lower() in owners | {self.login.lower()} or is_organization
        if not known or (kind == "orgs" and not is_organization):
            return _message(404, "Not Found")
        if repos is None:
            return _json(self._user(login, is_organization=is_organization))
        listed = [
            github_id
            for github_id, entry in self._repositories.items()
            if entry["owner"]["login"].lower() == login.lower()
            and (entry["private"] is not True or (kind == "orgs" and is_known))
            and self._is_seen(github_id)
        ]
        self._sort(listed, query.get("sort", "full_name"), query.get("direction"))
        return self._page(path, listed, query)

    def _is_used_up(self) -> bool:
        if not self.counts_down:
            return False
        if time.time() >= self.resets_at:
            self.remaining, self.resets_at = self.limit, self.resets_at + 3600
        if self.remaining == 0:
            return True
        self.remaining -= 1
        return False

    def _standing_headers(self) -> dict[str, str]:
        headers = {
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.resets_at),
            "X-RateLimit-Used": str(self.limit - self.remaining),
            "X-RateLimit-Resource": "core",
        }
        return headers if self.scopes is None else headers | {"X-OAuth-Scopes": self.scopes}

    def _is_seen(self, github_id: int) -> bool:
        scopes = "repo" if self.scopes is None else self.scopes
        is_private = self._repositories[github_id]["private"] is True
        return not is_private or "repo" in scopes.split(", ")

    def _page(self, path: str, listed: list[int], query: dict[str, str]) -> Answer:
        size = min(int(query.get("per_page", 30)), 100)
        page = int(query.get("page", 1))
        last = max(1, math.ceil(len(listed) / size))
        pages = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        if page == 1:
            del pages["prev"], pages["first"]
        if page >= last:
            del pages["next"], pages["last"]
        link = ", ".join(
            f'<{self.url}{path}?{urlencode(query | {"page": str(number)})}>; rel="{rel}"'
            for rel, number in pages.items()
        )
        shown = listed[(page - 1) * size : page * size]
        body = b"[" + b",".join(map(self._render, shown)) + b"]"
        return Answer(200, body, {"Link": link} if link else {})

    def _render(self, github_id: int) -> bytes:
        if github_id not in self._rendered:
            self._rendered[github_id] = json.dumps(self._repositories[github_id]).encode()
        return self._rendered[github_id]

    def _listed(self, query: dict[str, str]) -> list[int]:
        everybody = "owner,collaborator,organization_member"
        affiliation = query.get("affiliation", everybody)
        sort, direction = query.get("sort", "full_name"), query.get("direction")
        asked = (self.scopes, affiliation, sort, direction)
        if asked not in self._listings:
            listed = [
                github_id
                for github_id, entry in self._repositories.items()
                if self._is_seen(github_id) and _relation(entry, self.login) in affiliation
            ]
            self._sort(listed, sort, direction)
            self._listings[asked] = listed
        return self._listings[asked]

    def _sort(self, listed: list[int], sort: str, direction: str | None) -> None:
        # In order of creation as it is; the other orders are by a text.
        if sort != "created":
            key = {"pushed": "pushed_at", "updated": "updated_at"}.get(sort, sort)
            listed.sort(key=lambda github_id: str(self._repositories[github_id][key]))
        if (direction or ("asc" if sort == "full_name" else "desc")) == "desc":
            listed.reverse()

    def _commits(self, github_id: int) -> Answer:
        if github_id in self._without_commits:
            return _message(409, "Git Repository is empty.")
        return _json([{"sha": "1" * 40}])

    def _one(self, path: str, is_known: bool) -> Answer:
        matched = re.fullmatch(
            r"/(?:repositories/(\d+)|repos/([^/]+/[^/]+))(/languages|/commits)?", path
        )
        if not matched:
            return _message(404, "Not Found")
        number, full_name, part = matched.groups()
        if full_name in self._former_names:
            moved = f"{self.url}/repositories/{self._former_names[full_name]}{part or ''}"
            answer = _json({"message": "Moved Permanently", "url": moved}, 301)
            return answer._replace(headers={"Location": moved})
        try:
            github_id = self.id_of(int(number) if number else full_name)
            private = self._repositories[github_id]["private"] is True
            if not self._is_seen(github_id) or (private and not is_known):
                return _message(404, "Not Found")
        except KeyError:
            return _message(404, "Not Found")
        if part == "/languages":
            return _json(self._languages[github_id])
        if part == "/commits":
            return self._commits(github_id)
        return Answer(200, self._render(github_id), {})


def _relation(entry: dict[str, Any], login: str) -> str:
    return "owner" if entry["owner"]["login"] == login else "collaborator"


def _json(content: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(content).encode(), {})


def _message(status: int, message: str) -> Answer:
    documentation = {"documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return _json({"message": message} | documentation, status)


def main() -> None:
    """Serve the repositories named on the command line until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("repositories", nargs="+", metavar="NAME=GIT_URL")
    arguments = parser.parse_args()
    api = GitHubApi().start(arguments.port)
    for repository in arguments.repositories:
        name, _, git_url = repository.partition("=")
        api.add(name, git_url)
    sys.stderr.write(f"GITHUB_API_URL={api.url} GITHUB_ACCESS_TOKEN={api.token}\n")
    threading.Event().wait()


if __name__ == "__main__":
    main()
