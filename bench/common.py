"""Shared by the benchmarks: new processes, their cost, and tables."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

# A new interpreter for each part: no part profits from imports or caches of another.
spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Cost:
    """Elapsed seconds, and CPU seconds of a process and of its children.

    `programs` is the number of programs that it has started.
    """

    wall: float
    own: float
    children: float
    programs: int

    @property
    def cpu(self) -> float:
        """Return all CPU seconds."""
        return self.own + self.children


class Meter:
    """The cost of a process and its ended children since the meter was made."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._own, self._children = _cpu()
        self._programs = _programs

    def read(self) -> Cost:
        """Return the cost up to now."""
        own, children = _cpu()
        wall = time.perf_counter() - self._wall
        return Cost(wall, own - self._own, children - self._children, _programs - self._programs)


class Repeating(ABC):
    """A thread that repeats a step every so many seconds, for the length of a block."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @abstractmethod
    def step(self) -> None:
        """Do what is repeated."""

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.step()


_programs = 0


def _count_program(event: str, _arguments: tuple[Any, ...]) -> None:
    global _programs
    if event == "subprocess.Popen":
        _programs += 1


sys.addaudithook(_count_program)


def _cpu() -> tuple[float, float]:
    own, children = (
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    return own, children


def peak_mb() -> float:
    """Return the most memory that this process has held at once, in MB.

    rusage includes the peak of the process that this one was forked from; the system's own table,
    where there is one, does not.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1e6 if sys.platform == "darwin" else 1e3)
    kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kib * 1024 / 1e6


def in_process(work: Callable[..., T], *arguments: Any) -> T:
    """Run a function of a module in a new process and return its result, or raise."""
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_run, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    try:
        done, result = ours.recv()
    except EOFError:
        raise RuntimeError(f"{work.__name__}: its process ended without a result") from None
    finally:
        process.join()
    if not done:
        raise RuntimeError(f"{work.__name__}:\n{result}")
    return result


def _run(pipe: Connection, work: Callable[..., T], arguments: tuple[Any, ...]) -> None:
    try:
        pipe.send((True, work(*arguments)))
    except Exception:  # noqa: BLE001 - whatever it is, the parent raises it
        pipe.send((False, traceback.format_exc()))


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    words = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--quick", action="store_true", help="a small run, to see that it works")
    return words


def machine() -> str:
    """Return one line on the machine and the versions of the programs."""
    return ", ".join(
        (
            f"{os.cpu_count()} cores ({_processor()})",
            platform.system(),
            f"Python {platform.python_version()}",
            _say("git", "--version").replace("git version", "git"),
            f"cloc {_say('cloc', '--version')}",
        )
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _say(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def print_table(
    title: str, headers: Sequence[str], rows: Iterable[Sequence[str | float | int | None]]
) -> None:
    """Print a table in Markdown, numbers to the right."""
    texts = [list(headers), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    print(f"\n{title}\n")
    for number, cells in enumerate(texts):
        padded = [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        print(f"| {' | '.join(padded)} |")
        if number == 0:
            rule = [
                "-" * width if place == 0 else "-" * (width - 1) + ":"
                for place, width in enumerate(widths)
            ]
            print(f"| {' | '.join(rule)} |")
    print(flush=True)


def _text(cell: str | float | int | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.2f}" if cell < 100 else f"{cell:,.0f}"
    return cell if isinstance(cell, str) else f"{cell:,}"


def say(text: str) -> None:
    """Print the benchmark's progress, apart from its tables."""
    print(f"… {text}", file=sys.stderr, flush=True)
