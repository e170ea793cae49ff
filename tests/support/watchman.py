"""Wait for the parent process to end, then kill the processes and remove the folders it named.

Run as a program: the parent's pid is the argument; lines of stdin like `+kill 12`, `-kill 12`,
`+remove /folder` add and take back.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path


def serve(parent: int) -> None:
    """Read lines until the parent is gone, then clear up."""
    wanted: dict[str, None] = {}
    pending = b""
    # A forked child of the parent may hold the pipe open, so its end alone would not do.
    while os.getppid() == parent:
        if not select.select([0], [], [], 0.5)[0]:
            continue
        piece = os.read(0, 65536)
        if not piece:
            break
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            order = os.fsdecode(line[1:])
            if line.startswith(b"+"):
                wanted[order] = None
            else:
                wanted.pop(order, None)
    clear_up(list(wanted))


def clear_up(orders: list[str]) -> None:
    """Kill first, so that nothing is written into the folders while they are removed."""
    pids = [int(order.removeprefix("kill ")) for order in orders if order.startswith("kill ")]
    for pid in pids:
        with contextlib.suppress(OSError):
            # PostgreSQL stops immediately with its children on it; Redis ends on it, too.
            os.kill(pid, signal.SIGQUIT)
    deadline = time.monotonic() + 3
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for order in orders:
        if order.startswith("remove "):
            shutil.rmtree(order.removeprefix("remove "), ignore_errors=True)


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return not Path("/proc/self").exists()
    return stat.rpartition(b")")[2].split()[0] != b"Z"


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    serve(int(sys.argv[1]))
