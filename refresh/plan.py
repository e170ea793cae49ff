"""What a refresh has to measure, decided from the listing and from what is known already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from github_source import Repository


@dataclass(frozen=True)
class Known:
    """What the last measurement of a repository left behind."""

    github_id: int
    pushed_at: datetime | None
    default_branch: str | None
    fingerprint: str | None
    stale: bool


def choose(
    listed: Iterable[Repository],
    known: Mapping[int, Known],
    fingerprint: str,
    forced: bool,
) -> list[Repository]:
    """Give the repositories to measure, the largest first.

    The largest go first because the one that starts last decides when the refresh ends. A
    repository is left alone when its figures stand: they were counted the way that would be used
    today, the last try went well, and neither its push time nor its default branch has moved.
    """
    chosen = [
        repository
        for repository in listed
        if forced or not _stands(repository, known.get(repository.github_id), fingerprint)
    ]
    return sorted(chosen, key=lambda repository: (-repository.size_kb, repository.name))


def _stands(repository: Repository, known: Known | None, fingerprint: str) -> bool:
    return (
        known is not None
        and not known.stale
        and known.fingerprint == fingerprint
        and known.pushed_at == repository.pushed_at
        and known.default_branch == repository.default_branch
    )
