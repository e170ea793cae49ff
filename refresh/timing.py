"""How long a refresh waits for signs of life, in seconds.

These are read where they are used, so that a process started for a test can shorten them.
"""

from __future__ import annotations

BEAT = 10.0
"""A process at work writes a heartbeat this often."""

DEAD_AFTER = 30.0
"""Work whose heartbeat is older than this has lost its process and may be taken over."""

ABANDONED_AFTER = 120.0
"""A running refresh that nobody took over within this time ends as failed."""

UNATTENDED_AFTER = 300.0
"""A queued refresh that no worker took up within this time ends as failed."""

STALLED_AFTER = 600.0
"""The workers' parent process keeps a refresh alive no longer than this without any progress."""

SUPERVISE_EVERY = 10.0
"""The worker's parent process looks after refreshes this often."""

RETRY_FAILED_AFTER = 900.0
"""The schedule does not start a refresh again sooner than this after one that failed."""

ANSWER_WITHIN = 2.0
"""A request waits for a database that is away no longer than this."""

MAX_DEATHS = 3
"""A piece of work whose process died this often is given up."""
