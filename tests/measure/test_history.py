"""The parser of git log's output: chunk borders, misleading names, dates, memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from measure.history import read_history

ROOT = Path(__file__).parents[2]
NONE: frozenset[str] = frozenset()
LOG = (
    b"@86399\0\n1\t2\ta.py\0-\t-\tb.bin\0003\t4\t\0@9\0\n5\t6\tx\0"
    b"@86400\0@\0\n-\t-\tc.bin\0007\t8\tdist/d.js\0"
    b"@99999999999999999999\0\n10\t0\t\0dist/x\0src/x\00020\t0\t\0src/y\0dist/y\0"
)


def test_every_figure_is_read():
    history = read_history([LOG], NONE)

    assert (history.commits, history.additions, history.deletions) == (4, 41, 14)
    assert history.churn == 55
    assert history.first_commit == datetime(1970, 1, 1, 23, 59, 59, tzinfo=UTC)
    assert history.last_commit == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert {day: (d.commits, d.additions, d.deletions) for day, d in history.days.items()} == {
        date(1970, 1, 1): (1, 4, 6),
        date(1970, 1, 2): (1, 0, 0),
        date(9999, 12, 31): (1, 30, 0),
    }


def test_folders_are_left_out_by_the_new_name():
    history = read_history([LOG], frozenset({"dist", "b.bin"}))

    assert (history.additions, history.deletions) == (1 + 3 + 10, 2 + 4)


def test_a_folder_is_left_out_at_any_depth_and_by_its_whole_name():
    log = b"@1\0\n" + b"".join(
        b"1\t0\t%s\0" % path
        for path in (b"dist/a", b"x/dist/a", b"x/y/dist/z/a", b"dist", b"x/dist", b"adist/b", b"/a")
    )

    assert read_history([log], frozenset({"dist"})).additions == 4


def test_names_that_are_not_utf_8_can_be_left_out():
    log = b"@1\0\n1\t0\t\xff/a\0001\t0\tb\xff/a\0"

    assert read_history([log], frozenset({"\udcff"})).additions == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_chunks_may_end_anywhere(size):
    chunks = [LOG[start : start + size] for start in range(0, len(LOG), size)]

    assert read_history(chunks, frozenset({"dist"})) == read_history([LOG], frozenset({"dist"}))


def test_nothing_is_a_history_of_no_commit():
    history = read_history([], NONE)

    assert (history.commits, history.churn, history.first_commit, history.days) == (0, 0, None, {})


def test_days_do_not_depend_on_this_host_s_time_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")

    assert list(read_history([b"@1700006399\0"], NONE).days) == [date(2023, 11, 14)]


def many_lines() -> Iterator[bytes]:
    chance = random.Random(1)
    for number in range(30):
        yield b"".join(
            b"@%d\0\n" % (1_500_000_000 + number * 90_000)
            + b"".join(b"%d\t3\tsrc/m%d/f.py\0" % (n, chance.randrange(99999)) for n in range(100))
            for _ in range(100)
        )


def long_names() -> Iterator[bytes]:
    """Yield commits with authors and folders of half a megabyte, of which no two are alike."""
    for number in range(300):
        long = b"%d" % number + b"x" * 500_000
        yield b"@1\n%s@example.org\nAda\0\n1\t2\t%s/f.py\0" % (long, long)


@pytest.mark.parametrize(
    ("lines", "commits", "most_kb"),
    [("many_lines", 3_000, 20_000), ("long_names", 300, 120_000)],
)
@pytest.mark.parametrize("generated", ["None", "GeneratedFiles(None, None)"])
def test_memory_does_not_grow_with_the_history(
    lines: str, commits: int, most_kb: int, generated: str
):
    script = (
        "import resource; from measure.authors import Authors\n"
        "from measure.generated import GeneratedFiles; from measure.history import read_history\n"
        f"from tests.measure.test_history import {lines}\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"known = (frozenset({{'dist'}}), Authors(['a@b']), {generated})\n"
        f"assert read_history({lines}(), *known).commits == {commits}\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        check=True,
    )

    assert int(done.stdout) < most_kb
