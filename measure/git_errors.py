"""The causes of git's failures, safe to show: without path, URL, token or name."""

from __future__ import annotations

import re

NO_BRANCH = "its default branch is not there"
BAD_MODULES = "its .gitmodules cannot be read"

# Searched in this order in git's untranslated messages; a cause comes before its consequences.
CAUSES: tuple[tuple[str, str], ...] = (
    # The messages of a shell, of timeout and of Python, whichever starts git.
    (
        r"exec: git: not found|failed to run command 'git'|directory: 'git'",
        "git is not installed",
    ),
    (r"No space left on device|Disk quota exceeded", "the disk is full"),
    (r"unable to write|write error|failed to write", "its files could not be written: disk full?"),
    (
        r"Authentication failed|could not read (Username|Password)|Access denied|error: (401|403)",
        "the server refused access",
    ),
    (
        r"unable to update url base from redirection|requested URL returned error: 30\d",
        "the server sends to another address, which is not followed",
    ),
    (
        r"repository '.*' not found|returned error: (404|410|451)|Repository not found"
        r"|does not appear to be a git repository|repository '.*' does not exist",
        "the repository was not found",
    ),
    (r"Operation too slow|curl 28|timed out", "the server stopped sending"),
    (r"SSL certificate|certificate verif|TLS", "the server's certificate could not be verified"),
    (
        r"Could not resolve host|Failed to connect|Couldn't connect|Connection refused",
        "the server could not be reached",
    ),
    (r"Remote branch .* not found", NO_BRANCH),
    (r"returned error: 429", "the server wants fewer requests"),
    (r"returned error: 5\d\d", "the server failed"),
    (r"source repository is shallow", "the repository's history is not complete"),
    (r"transport '.*' not allowed", "its address is neither https:// nor a local folder"),
    (r"dubious ownership", "the repository belongs to another user"),
    (r"submodule|gitmodules", BAD_MODULES),
    (r"invalid path|unable to add|unable to update|cannot add", "it holds a path that git refuses"),
    (
        r"early EOF|unexpected disconnect|hung up|transfer closed|index-pack|bad line length"
        r"|bad pack|RPC failed|Empty reply|Connection reset|Recv failure|unpack|did not receive",
        "connection lost during clone",
    ),
)
ENDED_BY_STOP = re.compile(r"died of signal (1|2|15)\b")


def public_cause(output: str) -> str | None:
    """Return the cause of a failure from git's stderr, or None."""
    for pattern, words in CAUSES:
        if re.search(pattern, output, re.IGNORECASE):
            return words
    return None
