"""The bodies of GitHub's events: their length, signature and content."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from errors import BadParameter

PATH = "/api/webhook/github"
MAX_PAYLOAD = 10 * 1024 * 1024
"""Bytes. GitHub sends up to 25 MB; a push so large is left to the next refresh."""

_MAX_ID = 2**63 - 1
_FORM = "application/x-www-form-urlencoded"
_LINE = re.compile(rb"[\r\n]*POST " + PATH.encode() + rb"(\?\S*)? HTTP/1\.[01]\r?\n")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*\r?\n", re.I)
_END = re.compile(rb"\r\n\r\n|\n\n")


def find_length(request: bytes | bytearray) -> int:
    """Return a request's length with its body if it is an event of at most MAX_PAYLOAD, else 0.

    `request` must contain the whole head.
    """
    end = _END.search(request)
    if end is None or not _LINE.match(request):
        return 0
    length = _LENGTH.search(request, 0, end.end())
    if length is None or int(length[1]) > MAX_PAYLOAD:
        return 0
    return end.end() + int(length[1])


def is_signed(body: bytes, secret: str, signature: str) -> bool:
    """Return whether a signature is this body's with this secret, compared in constant time."""
    right = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    # Compared as bytes, since compare_digest refuses text that is not ASCII.
    return hmac.compare_digest(right.encode(), signature.encode())


def read_payload(body: bytes, content_type: str) -> Mapping[str, Any]:
    """Parse an event. Raises BadParameter."""
    try:
        if content_type == _FORM:
            body = parse_qs(body.decode(), strict_parsing=True, max_num_fields=1)["payload"][
                0
            ].encode()
        payload = json.loads(body)
    except (ValueError, KeyError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise BadParameter("the body is no event of GitHub's: it is no JSON object")
    return payload


def find_repository(payload: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """Return the id and the facts of the repository that an event is about.

    Raises BadParameter.
    """
    repository = payload.get("repository")
    if not isinstance(repository, dict):
        repository = {}
    github_id = repository.get("id")
    if type(github_id) is not int or not 0 < github_id <= _MAX_ID:
        raise BadParameter("the body is no event of GitHub's: it has no `repository.id`")
    return github_id, repository
