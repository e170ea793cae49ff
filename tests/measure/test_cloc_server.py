"""A preloaded cloc counts what cloc counts, within the same limits, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cancel import CancelScope, allow_again, stop_all
from errors import CommandError, CommandOutOfMemory, CommandTimeout, Interrupted
from measure import Count, Options, PreloadedCloc, warm_up
from measure.cloc import COUNT, find_cloc
from measure.cloc_server.fork_server import ForkServer, ServerGone
from measure.cloc_server.preloaded import find_server
from measure.command import STDERR_KEPT, Deadline
from measure.loc import count
from tests.support.measuring import options
from tests.support.processes import alive, wait_for
from tests.support.service import descendants

pytestmark = pytest.mark.needs_cloc

ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
ROOT = Path(__file__).parents[2]
MEMORY_MB = 100
# Prints its own process id and that of a child, which outlives it unless it is killed.
SPIN = """
my $child = fork;
if (!$child) { sleep 60; exit }
open(my $told, '>', 'pids') or die; print $told "$$ $child\\n"; close $told;
"""

Serve = Callable[[str], ForkServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that starts a server for a Perl script."""
    servers = []

    def start(script: str) -> ForkServer:
        program = tmp_path / "program"
        program.write_text(f"#!/usr/bin/env perl\nuse strict;\n{script}\n")
        folder = tmp_path / "private"
        folder.mkdir()
        servers.append(ForkServer(program, ENV, folder, MEMORY_MB))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def cloc_options(tmp_path: Path) -> Options:
    return options(tmp_path / "scratch", cloc_path=shutil.which("cloc"))


def counted(tree: Path, chosen: Options, scratch: Path) -> Count:
    scratch.mkdir(exist_ok=True)
    return count(tree, scratch, chosen, Deadline(600), CancelScope())


def plain_count(tree: Path) -> int:
    table = subprocess.run(
        ["cloc", "--csv", "--timeout", "0", "."], cwd=tree, capture_output=True, check=True
    )
    return int(table.stdout.decode().strip().rpartition(",")[2])


def pids(tmp_path: Path) -> list[int]:
    path = tmp_path / "pids"
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
    return [int(word) for word in path.read_text().split()]


def run_and_leave(
    server: ForkServer, tmp_path: Path, how: Callable[[CancelScope], object]
) -> list[int]:
    """Run, do something meanwhile that ends the run, and return its processes."""
    scope = CancelScope()

    def act() -> None:
        pids(tmp_path)
        how(scope)

    thread = threading.Thread(target=act)
    thread.start()
    try:
        with pytest.raises(Interrupted):
            server.run(cwd=tmp_path, env=ENV, timeout=300, scope=scope)
    finally:
        thread.join()
    return pids(tmp_path)


def test_several_at_once_count_what_cloc_counts_alone(tmp_path: Path):
    chosen = cloc_options(tmp_path)
    trees = [tmp_path / f"tree{number}" for number in range(5)]
    for number, tree in enumerate(trees):
        tree.mkdir()
        for suffix in ("py", "c", "js", "sh", "html")[number:]:
            (tree / f"file.{suffix}").write_text(f"line {number} of {suffix};\n" * 5)
            (tree / f"same.{suffix}").write_text("one line, many times\n")
    truth = [plain_count(tree) for tree in trees]
    assert len(set(truth)) == 5

    with PreloadedCloc(chosen), ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(
                lambda number: counted(trees[number % 5], chosen, tmp_path / f"scratch{number}"),
                range(20),
            )
        )

    assert [result.loc for result in results] == truth * 4
    assert {(result.source, result.reason) for result in results} == {("cloc", None)}


def test_forked_processes_share_it(tmp_path: Path):
    chosen = cloc_options(tmp_path)
    (tmp_path / "a.py").write_text("x = 1\n")

    with PreloadedCloc(chosen):
        pid = os.fork()
        if pid == 0:
            server = find_server(find_cloc(chosen.cloc_path, chosen.search_path))
            done = (
                server is not None
                and b"SUM" in server.run(*COUNT, cwd=tmp_path, env=ENV, timeout=300).stdout
            )
            os._exit(0 if done else 1)
        assert os.waitpid(pid, 0)[1] == 0


def test_nothing_is_left_of_it(tmp_path: Path):
    chosen = cloc_options(tmp_path)
    cloc = find_cloc(chosen.cloc_path, chosen.search_path)

    with PreloadedCloc(chosen):
        assert find_server(cloc)

    assert find_server(cloc) is None
    assert chosen.scratch
    assert not list(chosen.scratch.iterdir())


def test_one_that_is_gone_is_done_without_and_renewed(tmp_path: Path):
    chosen = cloc_options(tmp_path)
    cloc = find_cloc(chosen.cloc_path, chosen.search_path)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a.py").write_text("x = 1\n")

    with PreloadedCloc(chosen) as preloaded:
        first = find_server(cloc)
        assert first
        for child in psutil.Process().children():
            if child.cwd().startswith(str(chosen.scratch)):
                child.kill()
        wait_for(lambda: not first.is_running())
        result = counted(tmp_path / "tree", chosen, tmp_path / "scratch")
        preloaded.renew()
        second = find_server(cloc)
        assert second is not first
        assert second
        done = second.run(*COUNT, cwd=tmp_path / "tree", env=ENV, timeout=300)
        assert done.stdout.endswith(b"1,SUM,0,0,1\n")

    assert (result.loc, result.source) == (1, "cloc")


def test_a_cloc_that_was_exchanged_is_not_counted_with(tmp_path: Path):
    program = tmp_path / "cloc"
    program.write_text("#!/usr/bin/env perl\nprint qq(old\\n);\n")
    program.chmod(0o755)
    chosen = options(tmp_path / "scratch", cloc_path=str(program))
    cloc = find_cloc(str(program), chosen.search_path)

    with PreloadedCloc(chosen) as preloaded:
        old = find_server(cloc)
        assert old
        assert old.run(cwd=tmp_path, env=ENV, timeout=300).stdout == b"old\n"
        program.write_text("#!/usr/bin/env perl\nprint qq(new\\n);\n")
        os.utime(program, (1, 1))
        assert find_server(cloc) is None
        preloaded.renew()
        new = find_server(cloc)
        assert new
        assert new.run(cwd=tmp_path, env=ENV, timeout=300).stdout == b"new\n"


def test_the_preloaded_one_tells_its_version(tmp_path: Path):
    program = tmp_path / "cloc"
    compiled = tmp_path / "compiled"
    program.write_text(
        "#!/usr/bin/env perl\n"
        f"BEGIN {{ open(my $log, '>>', '{compiled}') or die; print $log qq(once\\n) }}\n"
        "print $ARGV[-1] eq '--version' ? qq(1.99\\n) : qq(no table\\n);\n"
    )
    program.chmod(0o755)
    chosen = options(tmp_path / "scratch", cloc_path=str(program))

    with PreloadedCloc(chosen):
        assert warm_up(chosen) == "cloc 1.99"

    assert compiled.read_text() == "once\n"


@pytest.mark.parametrize("content", ["#!/bin/sh\necho 1.99\n", "MZ\0\0", ""])
def test_what_is_no_perl_program_is_not_preloaded(content, tmp_path: Path):
    program = tmp_path / "cloc"
    program.write_text(content)
    program.chmod(0o755)
    chosen = options(tmp_path / "scratch", cloc_path=str(program))

    with PreloadedCloc(chosen):
        assert find_server(find_cloc(str(program), chosen.search_path)) is None


def test_one_without_a_cloc_is_none(tmp_path: Path):
    with PreloadedCloc(options(tmp_path / "scratch", cloc_path=str(tmp_path / "none"))):
        assert not list((tmp_path / "scratch").glob("*/socket"))


def test_the_switch_turns_it_off(tmp_path: Path):
    chosen = replace(cloc_options(tmp_path), preload_cloc=False)

    with PreloadedCloc(chosen) as preloaded:
        preloaded.renew()
        assert find_server(find_cloc(chosen.cloc_path, chosen.search_path)) is None
        assert not list((tmp_path / "scratch").iterdir())


def test_where_no_folder_can_be_made_there_is_none(tmp_path: Path):
    chosen = replace(cloc_options(tmp_path), scratch=tmp_path / "nowhere")

    with PreloadedCloc(chosen) as preloaded:
        preloaded.renew()
        assert find_server(find_cloc(chosen.cloc_path, chosen.search_path)) is None


def test_a_folder_with_a_long_path_will_do(tmp_path: Path):
    chosen = options(tmp_path / ("d" * 120), cloc_path=shutil.which("cloc"))

    with PreloadedCloc(chosen):
        server = find_server(find_cloc(chosen.cloc_path, chosen.search_path))
        assert server
        assert server.run(*COUNT, cwd=ROOT / "migrations", env=ENV, timeout=300).stdout


def test_a_run_gets_its_arguments_folder_and_environment_alone(tmp_path: Path, serve: Serve):
    server = serve(
        "use Cwd; print join('|', @ARGV, getcwd(), -t STDIN ? 1 : 0, scalar(<STDIN>) // 'nothing',"
        " map { qq($_=$ENV{$_}) } sort keys %ENV);"
    )
    folder = tmp_path / "a folder"
    folder.mkdir()

    env = {"B": "x=y", "A": ""}
    arguments = ("one", "two words", "", "C=z")
    told = server.run(*arguments, cwd=folder, env=env, timeout=300).stdout.decode().split("|")

    assert told == ["one", "two words", "", "C=z", str(folder), "0", "nothing", "A=", "B=x=y"]
    again = server.run(*arguments[:2], cwd=folder, env=env, timeout=300)
    assert again.stdout.startswith(b"one|two words|/")


def test_a_run_does_not_see_what_another_has_done(serve: Serve, tmp_path: Path):
    server = serve("our $number; $number++; chdir '/'; $ENV{X}++; print $number, $ENV{X} - 1;")

    answers = {server.run(cwd=tmp_path, env=ENV | {"X": "0"}, timeout=300).stdout for _ in range(5)}

    assert answers == {b"10"}


def test_output_is_bytes_of_any_length(serve: Serve, tmp_path: Path):
    server = serve("print qq(\\0\\xff) x 500_000;")

    assert server.run(cwd=tmp_path, env=ENV, timeout=300).stdout == b"\0\xff" * 500_000


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3;", 3), ("$! = 9; die;", 9), ("kill SEGV => $$; sleep 9;", -11)]
)
def test_a_failure_carries_its_code(script, code, serve: Serve, tmp_path: Path):
    with pytest.raises(CommandError) as caught:
        serve(script).run(cwd=tmp_path, env=ENV, timeout=300)

    assert caught.value.code == code
    assert not isinstance(caught.value, CommandTimeout)


def test_the_end_of_stderr_comes_along(serve: Serve, tmp_path: Path):
    server = serve("print STDERR 'x' x 300_000, qq(a\\0b\\n); print 'done'; exit $ENV{CODE};")

    told = server.run(cwd=tmp_path, env=ENV | {"CODE": "0"}, timeout=300)
    with pytest.raises(CommandError) as caught:
        server.run(cwd=tmp_path, env=ENV | {"CODE": "1"}, timeout=300)

    assert told.stdout == b"done"
    assert len(told.stderr) == STDERR_KEPT
    assert told.stderr.endswith("xa?b\n")
    assert caught.value.output == told.stderr


def test_a_program_that_does_not_compile_is_said(serve: Serve, tmp_path: Path):
    with pytest.raises(ServerGone):
        serve("no such thing at all {").run(cwd=tmp_path, env=ENV, timeout=300)


def test_time_is_up(serve: Serve, tmp_path: Path):
    server = serve(SPIN + "1 while 1;")

    begun = time.monotonic()
    with pytest.raises(CommandTimeout):
        server.run(cwd=tmp_path, env=ENV, timeout=1)

    assert time.monotonic() - begun < 50
    wait_for(lambda: not any(map(alive, pids(tmp_path))))
    with pytest.raises(CommandTimeout):
        server.run(cwd=tmp_path, env=ENV, timeout=0)


def test_memory_is_limited_for_each_run(serve: Serve, tmp_path: Path):
    server = serve("my @all; do { push @all, 'x' x 1000 } while $ENV{BOMB}; print 'done';")

    for _ in range(2):
        with pytest.raises(CommandOutOfMemory):
            server.run(cwd=tmp_path, env=ENV | {"BOMB": "1"}, timeout=60)
        assert server.run(cwd=tmp_path, env=ENV | {"BOMB": "0"}, timeout=60).stdout == b"done"


def test_what_a_run_leaves_behind_ends_with_it(serve: Serve, tmp_path: Path):
    serve(SPIN + "print 'done';").run(cwd=tmp_path, env=ENV, timeout=300)

    wait_for(lambda: not any(map(alive, pids(tmp_path))))


def test_cancelling_its_scope_ends_a_run(serve: Serve, tmp_path: Path):
    left = run_and_leave(serve(SPIN + "sleep 60;"), tmp_path, CancelScope.cancel)

    wait_for(lambda: not any(map(alive, left)))


def test_stopping_all_ends_a_run_and_forbids_the_next(serve: Serve, tmp_path: Path):
    server = serve(SPIN + "sleep 60;")
    try:
        left = run_and_leave(server, tmp_path, lambda _: stop_all())
        with pytest.raises(Interrupted):
            server.run(cwd=tmp_path, env=ENV, timeout=300)
    finally:
        allow_again()

    wait_for(lambda: not any(map(alive, left)))


def test_a_run_asked_to_stop_is_an_interruption(serve: Serve, tmp_path: Path):
    server = serve(SPIN + "sleep 60;")

    left = run_and_leave(server, tmp_path, lambda _: os.kill(pids(tmp_path)[0], signal.SIGTERM))

    wait_for(lambda: not any(map(alive, left)))


def test_a_guard_asked_to_stop_takes_its_run_along(serve: Serve, tmp_path: Path):
    server = serve(SPIN + "sleep 60;")

    def stop_the_guard(_: CancelScope) -> None:
        os.kill(parent(pids(tmp_path)[0]), signal.SIGTERM)

    left = run_and_leave(server, tmp_path, stop_the_guard)

    wait_for(lambda: not any(map(alive, left)))


def test_the_time_limit_outlives_the_guard(serve: Serve, tmp_path: Path):
    server = serve(SPIN + "1 while 1;")

    def run() -> None:
        with pytest.raises(ServerGone):
            server.run(cwd=tmp_path, env=ENV, timeout=1.5)

    thread = threading.Thread(target=run)
    thread.start()
    spinning = pids(tmp_path)[0]
    os.kill(parent(spinning), signal.SIGKILL)

    assert alive(spinning)
    wait_for(lambda: not alive(spinning))
    os.kill(pids(tmp_path)[1], signal.SIGKILL)
    thread.join()


def test_a_run_and_its_server_end_with_the_process_that_wanted_them(tmp_path: Path):
    program = tmp_path / "program"
    program.write_text(f"#!/usr/bin/env perl\n{SPIN} sleep 60;\n")
    (tmp_path / "private").mkdir()
    script = (
        "import os, pathlib; from measure.cloc_server.fork_server import ForkServer\n"
        "here = pathlib.Path('.').absolute(); env = dict(os.environ)\n"
        "server = ForkServer(here / 'program', env, here / 'private')\n"
        "server.run(cwd=here, env=env, timeout=600)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    left = [*pids(tmp_path), *descendants(owner.pid)]
    assert len(set(left)) > 2
    assert all(map(alive, left))
    owner.kill()
    owner.wait()

    wait_for(lambda: not any(map(alive, left)))


def parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("PPid:"))
