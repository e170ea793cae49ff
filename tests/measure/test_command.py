"""Programs are run without a shell, within their time, and end with everything they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cancel import CancelScope, allow_again, stop_all
from errors import CommandError, CommandOutOfMemory, CommandTimeout, Interrupted
from measure import command
from measure.command import CompletedOutput, run, stream
from tests.support.processes import alive, read_pid, wait_for

ENV = {"PATH": os.environ["PATH"]}
ROOT = Path(__file__).parents[2]


def shell(script: str, tmp_path: Path, timeout: float = 200, **options: Any) -> CompletedOutput:
    return run(["sh", "-c", script], cwd=tmp_path, env=ENV, timeout=timeout, **options)


@pytest.fixture
def stoppable() -> Iterator[None]:
    yield
    allow_again()


def test_output_and_input_are_bytes(tmp_path: Path):
    done = run(["cat"], cwd=tmp_path, env=ENV, timeout=100, stdin=b"\0\xff" * 500_000)

    assert done.stdout == b"\0\xff" * 500_000


def test_the_environment_is_what_is_given(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SECRET", "1")

    assert b"SECRET" not in run(["env"], cwd=tmp_path, env=ENV, timeout=100).stdout


def test_no_shell_reads_the_arguments(tmp_path: Path):
    done = run(["echo", "$(touch x); `touch x`"], cwd=tmp_path, env=ENV, timeout=100)

    assert done.stdout == b"$(touch x); `touch x`\n"
    assert not list(tmp_path.iterdir())


def test_a_failure_carries_the_code_and_the_end_of_stderr(tmp_path: Path):
    with pytest.raises(CommandError) as caught:
        shell("echo oops >&2; exit 3", tmp_path)

    assert (caught.value.code, caught.value.output) == (3, "oops\n")
    assert not isinstance(caught.value, CommandTimeout)


def test_a_missing_program_is_a_failure(tmp_path: Path):
    with pytest.raises(CommandError) as caught:
        run(["no-such-program"], cwd=tmp_path, env=ENV, timeout=100)

    assert caught.value.code == 127


def test_any_amount_of_stderr_neither_blocks_nor_fills_memory(tmp_path: Path):
    script = "head -c 300000000 /dev/zero >&2; echo done; echo end >&2"

    done = shell(script, tmp_path)

    assert done.stdout == b"done\n"
    assert len(done.stderr) == command.STDERR_KEPT
    assert done.stderr.endswith("end\n")


def test_time_is_up_for_all_that_was_started(tmp_path: Path):
    begun = time.monotonic()

    with pytest.raises(CommandTimeout):
        shell("sleep 60 & echo $! > child; wait", tmp_path, timeout=0.5)

    assert time.monotonic() - begun < 50
    wait_for(lambda: not alive(read_pid(tmp_path / "child")))


def test_time_is_up_for_a_program_that_ignores_the_polite_signal(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(command, "GRACE", 1)

    with pytest.raises(CommandTimeout):
        shell("trap '' TERM; while :; do sleep 0.1; done", tmp_path, timeout=0.5)


ALLOCATE = {
    "perl": ["perl", "-e", "my @all; push @all, 'x' x 1000 while 1;"],
    "python": [sys.executable, "-c", "bytearray(10**9)"],
    "child": ["sh", "-c", "perl -e 'my @all; push @all, 1 while 1;'; exit 3"],
}


@pytest.mark.parametrize("program", ALLOCATE)
def test_memory_is_limited(program: str, tmp_path: Path):
    with pytest.raises(CommandOutOfMemory):
        run(ALLOCATE[program], cwd=tmp_path, env=ENV, timeout=60, memory_mb=100)
    with (
        pytest.raises(CommandOutOfMemory),
        contextlib.closing(
            stream(ALLOCATE[program], cwd=tmp_path, env=ENV, timeout=60, memory_mb=100)
        ) as chunks,
    ):
        list(chunks)


def test_enough_memory_is_enough(tmp_path: Path):
    script = [sys.executable, "-c", "print(len(bytearray(10**8)))"]

    assert run(script, cwd=tmp_path, env=ENV, timeout=60, memory_mb=200).stdout == b"100000000\n"


def test_no_time_left_is_a_timeout(tmp_path: Path):
    with pytest.raises(CommandTimeout):
        run(["true"], cwd=tmp_path, env=ENV, timeout=0)


def test_a_program_s_own_code_124_is_no_timeout(tmp_path: Path):
    with pytest.raises(CommandError) as caught:
        shell("exit 124", tmp_path)

    assert not isinstance(caught.value, CommandTimeout)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_program_ended_from_outside_was_interrupted(number, tmp_path: Path):
    with pytest.raises(Interrupted):
        shell(f"kill -{number} $$; sleep 5", tmp_path)


def test_a_whole_group_ended_from_outside_was_interrupted(tmp_path: Path):
    def end_group() -> None:
        os.killpg(os.getpgid(read_pid(tmp_path / "pid")), signal.SIGTERM)

    thread = threading.Thread(target=end_group)
    thread.start()
    with pytest.raises(Interrupted):
        shell("echo $$ > pid; sleep 30", tmp_path)
    thread.join()


def test_a_program_killed_outright_has_failed(tmp_path: Path):
    with pytest.raises(CommandError) as caught:
        shell("kill -9 $$", tmp_path)

    assert caught.value.code in (-9, 137)
    assert not isinstance(caught.value, CommandTimeout)


def test_what_stays_behind_in_the_group_is_ended(tmp_path: Path):
    shell("sleep 60 >/dev/null 2>&1 & echo $! > child", tmp_path)

    wait_for(lambda: not alive(read_pid(tmp_path / "child")))


def test_a_stream_comes_while_the_program_runs(tmp_path: Path):
    script = ["sh", "-c", "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two"]
    with contextlib.closing(stream(script, cwd=tmp_path, env=ENV, timeout=200)) as chunks:
        assert next(chunks) == b"one\n"
        (tmp_path / "go").touch()
        assert b"".join(chunks) == b"two\n"


def test_a_stream_ends_with_its_failure(tmp_path: Path):
    seen: list[bytes] = []
    with pytest.raises(CommandError):
        seen.extend(stream(["sh", "-c", "echo 1; exit 1"], cwd=tmp_path, env=ENV, timeout=100))

    assert seen == [b"1\n"]


def test_closing_a_stream_ends_the_program(tmp_path: Path):
    script = ["sh", "-c", "echo $$ > pid; yes"]
    chunks = stream(script, cwd=tmp_path, env=ENV, timeout=200)
    next(chunks)
    pid = read_pid(tmp_path / "pid")
    chunks.close()

    wait_for(lambda: not alive(pid))


def test_an_exception_in_the_reader_ends_the_program(tmp_path: Path):
    def read() -> None:
        script = ["sh", "-c", "echo $$ > pid; yes"]
        with contextlib.closing(stream(script, cwd=tmp_path, env=ENV, timeout=200)) as chunks:
            for _ in chunks:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read()
    wait_for(lambda: not alive(read_pid(tmp_path / "pid")))


def test_a_cancelled_scope_ends_its_own_programs_alone(tmp_path: Path):
    scope = CancelScope()
    results: list[tuple[str, str]] = []

    def sleep(name: str, held: CancelScope | None) -> None:
        try:
            shell(f"echo $$ > {name}; while [ ! -e go ]; do sleep 0.05; done", tmp_path, scope=held)
            results.append((name, "done"))
        except Interrupted:
            results.append((name, "interrupted"))

    threads = [
        threading.Thread(target=sleep, args=arguments)
        for arguments in [("held", scope), ("free", None)]
    ]
    for thread in threads:
        thread.start()
    for name in ("held", "free"):
        read_pid(tmp_path / name)
    scope.cancel()
    threads[0].join()
    (tmp_path / "go").touch()
    threads[1].join()

    assert results == [("held", "interrupted"), ("free", "done")]
    with pytest.raises(Interrupted):
        shell("true", tmp_path, scope=scope)


def test_stopping_all_ends_what_runs_and_forbids_what_comes(tmp_path: Path, stoppable):
    results: list[int] = []

    def sleep(number: int) -> None:
        try:
            shell(f"echo $$ > {number}; sleep 60", tmp_path)
        except Interrupted:
            results.append(number)

    threads = [threading.Thread(target=sleep, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    pids = [read_pid(tmp_path / str(number)) for number in range(4)]
    stop_all()
    for thread in threads:
        thread.join(50)

    assert sorted(results) == [0, 1, 2, 3]
    assert not any(map(alive, pids))
    with pytest.raises(Interrupted):
        shell("true", tmp_path)
    assert shell("echo cleared", tmp_path, even_if_stopped=True).stdout == b"cleared\n"


def test_stopping_all_works_in_a_signal_handler(tmp_path: Path, stoppable):
    old = signal.signal(signal.SIGUSR1, lambda *_: stop_all())
    try:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        with pytest.raises(Interrupted):
            shell("sleep 30", tmp_path)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_the_time_limit_outlives_this_process(tmp_path: Path):
    script = (
        "import os, pathlib; from measure.command import run\n"
        "run(['sh', '-c', 'echo $$ > pid; sleep 60'], cwd=pathlib.Path('.'),"
        " env=dict(os.environ), timeout=6)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    pid = read_pid(tmp_path / "pid")
    owner.kill()
    owner.wait()

    assert alive(pid)
    wait_for(lambda: not alive(pid))
