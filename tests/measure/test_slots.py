"""Limits across threads and processes, with real locks and killed processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import measure
from cancel import allow_again, stop_all
from errors import Interrupted, MeasureError
from measure import Limit, sweep

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from measure import Limit
with Limit("test", int(sys.argv[2])).hold(int(sys.argv[3]), Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
LIMIT = 60


class Holder:
    """Another process that holds slots until it is told to end."""

    def __init__(self, folder: Path, slots: int, wanted: int = 1) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder), str(slots), str(wanted)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def wait_until_held(self) -> None:
        assert self.process.stdout
        assert self.process.stdout.readline() == b"held\n"

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(LIMIT)
        self.process.stdout.close()


def test_no_more_threads_than_slots(tmp_path: Path):
    limit = Limit("test", 2)
    lock = threading.Lock()
    inside = most = 0

    def work(_: int) -> None:
        nonlocal inside, most
        with limit.hold(1, tmp_path):
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))

    assert most == 2
    assert list(tmp_path.iterdir()) == []


def test_processes_share_the_slots(tmp_path: Path):
    entered = threading.Event()

    def enter() -> None:
        with Limit("test", 2).hold(1, tmp_path):
            entered.set()

    with Holder(tmp_path, 2) as first, Holder(tmp_path, 2) as second:
        first.wait_until_held()
        second.wait_until_held()
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.3)
    thread.join(LIMIT)
    assert entered.is_set()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_gives_its_slots_back(tmp_path: Path):
    with Holder(tmp_path, 2, wanted=2) as holder:
        holder.wait_until_held()
        os.kill(holder.process.pid, signal.SIGKILL)
        holder.process.wait(LIMIT)
    assert len(list(tmp_path.iterdir())) == 2

    with Limit("test", 2).hold(1, tmp_path):
        assert sweep(tmp_path) == 1

    assert list(tmp_path.iterdir()) == []


def test_several_slots_are_taken_together_or_not_at_all(tmp_path: Path):
    limit = Limit("test", 3)
    with Holder(tmp_path, 3, wanted=2) as large:
        large.wait_until_held()
        with limit.hold(1, tmp_path), Holder(tmp_path, 3, wanted=2) as waiting:
            time.sleep(0.3)
            # A process that waits for several slots holds none.
            assert len(list(tmp_path.iterdir())) == 3
            large.__exit__()
            waiting.wait_until_held()
    with limit.hold(9, tmp_path):  # more than there are: all of them
        assert len(list(tmp_path.iterdir())) == 3


def test_one_who_waits_is_interrupted_when_the_process_stops(tmp_path: Path):
    limit = Limit("test", 1)
    with Holder(tmp_path, 1) as holder, ThreadPoolExecutor(2) as pool:
        holder.wait_until_held()

        def wait() -> None:
            with limit.hold(1, tmp_path):
                pass

        waiting = [pool.submit(wait) for _ in range(2)]
        stop_all()
        try:
            for each in waiting:
                with pytest.raises(Interrupted):
                    each.result(LIMIT)
        finally:
            allow_again()


def test_where_no_file_can_be_made_it_says_so(tmp_path: Path):
    with (
        pytest.raises(MeasureError, match="folder for temporary files"),
        Limit("test", 1).hold(1, tmp_path / "missing"),
    ):
        pass


@pytest.mark.parametrize(("size_mb", "slots"), [(0, 1), (11, 1), (12, 2), (5000, 4)])
def test_a_large_repository_takes_the_place_of_several(size_mb: float, slots: int, tmp_path: Path):
    source = measure.Source("https://example.org/x.git", size_mb=size_mb)
    limits = {"cloning": Limit("clone", 8), "counting": Limit("count", 2)}
    assert measure.slots_to_clone(source, **limits) == slots
