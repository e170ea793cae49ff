"""The figures that badges and cards show, of one project or of all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Figures:
    """Figures, None where one is not known; dates are UTC calendar days."""

    loc: int | None = None
    commits: int | None = None
    active_days: int | None = None
    churn: int | None = None
    own_commits: int | None = None
    own_active_days: int | None = None
    own_churn: int | None = None
    bot_commits: int | None = None
    time_spent_minutes: int | None = None
    last_commit: date | None = None
    language: str | None = None
