"""cloc counts; where it cannot, pygount; where that cannot, an estimate, each with its reason."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cancel import CancelScope
from errors import Interrupted
from measure import Count, NotCounted, Options, best_counter, fingerprint, warm_up
from measure import estimate as estimate_module
from measure.cloc import ClocFailed, Table, find_cloc, parse_csv
from measure.command import Deadline
from measure.estimate import BYTES_PER_LINE, estimate
from measure.figures import not_counted
from measure.loc import SHARE_OF_CLOC, SHARE_OF_PYGOUNT, count
from tests.support.measuring import options

HEADER = 'files,language,blank,comment,code,"github.com/AlDanial/cloc v 1.96  T=0.01 s"\n'
TABLE = HEADER + "2,Python,1,2,30\n1,C,0,0,5\n3,SUM,1,2,35\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.py").write_text("import os\n\n# comment\nprint(os.name)\n")
    (folder / "src" / "b.py").write_text('"""Docstring."""\nx = 1\ny = [\n    2,\n]\n')
    # pygount does not count a line of brackets alone as code; cloc does.
    (folder / "c.c").write_text("int main(void) {\n    return 0; /* done */\n}\n")
    return folder


@pytest.fixture
def stub(tmp_path: Path):
    """Return a function that writes a cloc script and returns the options to use it."""

    def make(script: str, **changes: object) -> Options:
        program = tmp_path / "stub-cloc"
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = --version ]; then echo 1.99; exit; fi\n{script}\n'
        )
        program.chmod(0o755)
        return options(tmp_path / "scratch", cloc_path=str(program), **changes)

    return make


def counted(tree: Path, chosen: Options) -> Count:
    assert chosen.scratch
    return count(tree, chosen.scratch, chosen, Deadline(chosen.measure_timeout), CancelScope())


@pytest.mark.needs_cloc
def test_cloc_counts_the_code_column(tree: Path, tmp_path: Path):
    result = counted(tree, options(tmp_path / "scratch"))

    assert (result.loc, result.source, result.reason) == (9, "cloc", None)
    assert result.languages == {"Python": 6, "C": 3}
    assert result.counter == best_counter(options(tmp_path / "scratch"))


@pytest.mark.needs_cloc
def test_cloc_s_options_file_of_this_user_takes_no_part(tree: Path, tmp_path: Path, monkeypatch):
    config = tmp_path / ".config" / "cloc"
    config.mkdir(parents=True)
    (config / "options.txt").write_text("--exclude-lang=Python\n")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert counted(tree, options(tmp_path / "scratch")).loc == 9


@pytest.mark.needs_cloc
@pytest.mark.parametrize("megabytes", [50, pytest.param(200, marks=pytest.mark.long)])
def test_a_single_very_long_line_is_survived(tree: Path, tmp_path: Path, megabytes: int):
    with (tree / "one-line.py").open("wb") as file:
        file.truncate(megabytes * 1_000_000)
    with (tree / "long.js").open("wb") as file:
        file.write(b"var x = '" + b"y" * 20_000_000 + b"';")

    result = counted(tree, options(tmp_path / "scratch"))

    assert result.source == "cloc"
    assert result.languages["Python"] == 6


@pytest.mark.long
@pytest.mark.needs_cloc
def test_a_file_that_takes_long_is_counted_all_the_same(tree: Path, tmp_path: Path):
    # Each string is searched from the beginning of its line: some seconds for 2,000.
    (tree / "slow.py").write_text("x = 1\n" * 900 + "y = (" + '"""a""" ' * 2000 + ")\n")

    result = counted(tree, options(tmp_path / "scratch", measure_timeout=600))

    assert (result.source, result.languages["Python"]) == ("cloc", 6 + 901)
    assert result.not_counted == ()


@pytest.mark.needs_cloc
def test_files_that_cloc_names_as_not_counted_are_said(tree: Path, stub):
    errors = r"\n3 errors:\nLine count, exceeded timeout:  ./b: c.js\nUnable to read:  ./z.c\n"
    errors += r"Line count, exceeded timeout:  ./a.js\n"
    result = counted(tree, stub(f"printf '{errors}' >&2; printf '%s' '{TABLE}'"))

    assert (result.loc, result.source, result.reason) == (35, "cloc", None)
    assert result.not_counted == (
        NotCounted("cannot be read", 1, ("z.c",)),
        NotCounted("cloc took too long", 2, ("a.js", "b: c.js")),
    )


def test_a_cloc_that_could_read_nothing_has_failed(tree: Path, stub):
    result = counted(tree, stub("printf 'Unable to read:  ./a.py\n' >&2"))

    assert (result.source, result.loc, result.cloc_failed) == ("pygount", 7, True)


def test_the_paths_of_files_left_out_are_ten_at_most():
    left_out = not_counted(("cannot be read", f"{number:02}.c") for number in range(30))

    assert left_out == (
        NotCounted("cannot be read", 30, tuple(f"{number:02}.c" for number in range(10))),
    )


@pytest.mark.parametrize(
    ("large", "source"), [(11_000_000, "pygount"), (12_000_000 + 11_000_000, "estimate")]
)
def test_a_fallback_that_leaves_files_out_says_so_or_gives_way(large, source, tmp_path: Path, stub):
    tree = tmp_path / "tree"
    tree.mkdir()
    chosen = stub("kill -9 $$", measure_timeout=600)
    for number in range(3):
        line = f"x{number} = '{'y' * 100_000}'\n"
        (tree / f"{number}.py").write_text(line * 40)
    (tree / "large.sql").write_bytes(b"SELECT 1;\n" * (large // 10))
    (tree / "large.bin").write_bytes(b"\0" * 30_000_000)

    result = counted(tree, chosen)

    assert (result.source, result.cloc_failed) == (source, True)
    if source == "pygount":
        assert result.loc == 120
        assert result.not_counted == (NotCounted("larger than 10 MB", 1, ("large.sql",)),)
    else:
        assert result.languages["SQL"] == large // BYTES_PER_LINE
        assert result.not_counted == ()


def test_files_that_pygount_takes_for_generated_are_said(tree: Path, tmp_path: Path):
    (tree / "made.py").write_text("# Generated by hand; do not edit.\nx = 1\n")

    result = counted(tree, options(tmp_path / "scratch", search_path=str(tmp_path)))

    assert (result.source, result.cloc_failed) == ("pygount", False)
    assert result.not_counted == (NotCounted("generated", 1, ("made.py",)),)


def test_the_version_is_asked_for_where_no_table_tells_it(tree: Path, stub):
    result = counted(tree, stub("true"))

    assert (result.loc, result.source, result.counter) == (0, "cloc", "cloc 1.99")


def test_warnings_on_stderr_confuse_nobody(tree: Path, stub):
    result = counted(tree, stub(f"echo 9,SUM,9,9,9 >&2; printf '%s' '{TABLE}'"))

    assert (result.loc, result.source, result.counter) == (35, "cloc", "cloc 1.96")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "cloc failed with code 3"),
        ("kill -SEGV $$", "cloc failed with code"),
        ("head -c 100000 /dev/urandom; echo x", "cloc wrote something that is not its table"),
    ],
)
def test_pygount_counts_where_cloc_cannot(script, reason, tree: Path, stub):
    result = counted(tree, stub(script))

    assert (result.source, result.loc) == ("pygount", 7)
    assert result.reason is not None
    assert result.reason.startswith(reason)
    assert result.counter.startswith("pygount ")


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("rubbish\n", "cloc wrote something that is not its table"),
        (HEADER, "cloc's table has no sum"),
        (f"{HEADER}1,C,x", "cloc wrote a table that cannot be read"),
        (f"{HEADER}1,C,1,1,many\n", "cloc wrote a table that cannot be read"),
        (f"{HEADER}1,C,0,0,1\n1,SUM,0,0,7\n", "cloc's table has no sum"),
    ],
)
def test_a_table_that_is_not_whole_is_a_failure_of_cloc(output: str, reason: str):
    with pytest.raises(ClocFailed, match=reason):
        parse_csv(output)


def test_a_cloc_that_hangs_leaves_time_for_pygount(tree: Path, stub, monkeypatch):
    monkeypatch.setattr("measure.loc.SHARE_OF_CLOC", 0.02)
    result = counted(tree, stub("sleep 600", measure_timeout=60))

    assert (result.source, result.reason) == ("pygount", "cloc took too long")


def test_every_counter_leaves_time_for_the_next():
    assert 0 < SHARE_OF_CLOC < 1
    assert 0 < SHARE_OF_PYGOUNT < 1


def test_a_cloc_asked_to_stop_is_an_interruption(tree: Path, stub):
    with pytest.raises(Interrupted):
        counted(tree, stub("kill -TERM $$; sleep 5"))


def test_no_cloc_is_said(tree: Path, tmp_path: Path):
    result = counted(tree, options(tmp_path / "scratch", search_path=str(tmp_path)))

    assert (result.source, result.reason) == ("pygount", "cloc is not installed")


def test_a_cloc_path_that_is_no_program_is_said(tree: Path, tmp_path: Path):
    result = counted(tree, options(tmp_path / "scratch", cloc_path=str(tmp_path / "none")))

    assert (result.source, result.reason) == ("pygount", "CLOC_PATH names no program")


def test_a_program_that_is_not_cloc_is_not_believed(tree: Path, tmp_path: Path):
    chosen = options(tmp_path / "scratch", cloc_path=shutil.which("true"))

    assert counted(tree, chosen).reason == "cloc does not tell its version"
    assert best_counter(chosen).startswith("pygount ")


def test_an_estimate_stands_in_for_both(tree: Path, stub, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    result = counted(tree, stub("exit 1"))

    assert result.source == "estimate"
    assert result.reason == "cloc failed with code 1; pygount failed with code 1"
    assert 0 < result.loc < 20


def test_a_pygount_that_hangs_leaves_an_estimate(tree: Path, stub, tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nsleep 600\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr("measure.loc.SHARE_OF_PYGOUNT", 0.02)

    result = counted(tree, stub("exit 1", measure_timeout=60))

    assert (result.source, result.reason) == (
        "estimate",
        "cloc failed with code 1; pygount took too long",
    )


def test_a_pygount_that_writes_rubbish_leaves_an_estimate(tree: Path, stub, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/echo")

    assert counted(tree, stub("exit 1")).source == "estimate"


def test_pygount_counts_what_a_checkout_may_hold(tree: Path, tmp_path: Path):
    (tree / "copy.py").write_bytes((tree / "src" / "a.py").read_bytes())
    (tree / "empty.py").touch()
    (tree / "binary.py").write_bytes(bytes(range(256)))
    (tree / "broken.json").write_text("{")
    (tree / "link.py").symlink_to("/etc/passwd")
    (tree / "dangling.py").symlink_to("nowhere")
    (tree / "latin.py").write_bytes(b"# \xe9\nx = '\xe9'\nprint(x)\n")
    Path(str(tree / "odd"), "\udcff\n.py").parent.mkdir()
    (tree / "odd" / "\udcff\n.py").write_text("print(1)\nprint(2)\n")

    result = counted(tree, options(tmp_path / "scratch", search_path=str(tmp_path)))

    assert result.source == "pygount"
    assert result.languages["Python"] == 5 + 2 + 2


def test_an_estimate_goes_by_the_sizes_of_source_files(tmp_path: Path):
    (tmp_path / "a.py").write_bytes(b"x" * BYTES_PER_LINE * 10)
    (tmp_path / "b.PY").write_bytes(b"x")
    (tmp_path / "c.unknown").write_bytes(b"x" * 1000)
    (tmp_path / "empty.c").touch()
    (tmp_path / "link.py").symlink_to("a.py")

    languages, left_out = estimate(tmp_path)

    assert languages == {"Python": 11}
    assert left_out == (NotCounted(estimate_module.UNKNOWN, 1, ("c.unknown",)),)


def test_no_code_is_a_count():
    assert parse_csv("") == parse_csv("\n") == Table({}, None)


def test_lines_ahead_of_the_table_are_passed_over():
    assert parse_csv(f"Warning: 9,SUM,9,9,9\n\n{TABLE}") == Table({"Python": 30, "C": 5}, "1.96")


def test_languages_with_odd_names_are_read():
    table = parse_csv(HEADER + '1,"Odd, ""quoted""",0,0,3\n1,SUM,0,0,3\n')

    assert table.languages == {'Odd, "quoted"': 3}


def test_heroku_s_apt_folder_brings_its_perl(tmp_path: Path):
    usr = tmp_path / ".apt" / "usr"
    for folder in ("bin", "share/perl5", "share/perl/5.34.0", "lib/x86_64-linux-gnu/perl/5.34"):
        (usr / folder).mkdir(parents=True)
    program = usr / "bin" / "cloc"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo 1.99 && exit\n'
        "case $PERL5LIB in *share/perl5*share/perl/5.34.0*gnu/perl/5.34) "
        f"printf '%s' '{TABLE}';; esac"
    )
    program.chmod(0o755)
    (tmp_path / "tree").mkdir()
    chosen = options(tmp_path / "scratch", search_path=f"{usr / 'bin'}:/usr/bin:/bin")

    assert counted(tmp_path / "tree", chosen).loc == 35


def test_a_cloc_that_was_exchanged_tells_its_new_version(stub):
    chosen = stub("")
    assert best_counter(chosen) == "cloc 1.99"
    assert chosen.cloc_path
    program = Path(chosen.cloc_path)
    program.write_text("#!/bin/sh\necho 2.00\n")

    assert best_counter(chosen) == "cloc 2.00"


def test_threads_run_cloc_for_its_version_once(stub):
    chosen = stub("")
    assert chosen.cloc_path
    program = Path(chosen.cloc_path)
    runs = program.with_name("runs")
    program.write_text(f"#!/bin/sh\necho >> {runs}\nsleep 0.2\necho 1.99\n")
    with ThreadPoolExecutor(4) as pool:
        counters = list(pool.map(best_counter, [chosen] * 4))

    assert counters == ["cloc 1.99"] * 4
    assert runs.read_text() == "\n"


def test_a_cloc_that_vanishes_is_done_without(tree: Path, stub, monkeypatch):
    chosen = stub(f"printf '%s' '{TABLE}'")
    cloc = find_cloc(chosen.cloc_path, chosen.search_path)
    monkeypatch.setattr("measure.loc.find_cloc", lambda *_: cloc)
    Path(cloc.path).unlink()

    assert counted(tree, chosen).source == "pygount"


def test_a_cloc_that_cannot_start_is_not_chosen(tmp_path: Path):
    program = tmp_path / "cloc"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)

    with pytest.raises(ClocFailed, match="cloc failed with code 12"):
        find_cloc(None, f"{tmp_path}:/usr/bin").version()


def test_the_fingerprint_changes_with_what_counts(tmp_path: Path):
    plain = options(tmp_path / "scratch")
    excluding = options(tmp_path / "scratch", exclude_dirs=frozenset({"dist", "build"}))

    words = {
        fingerprint("cloc 1.96", plain),
        fingerprint("cloc 2.00", plain),
        fingerprint("cloc 1.96", excluding),
    }
    assert len(words) == 3
    assert fingerprint("cloc 1.96", options(tmp_path / "s", clone_timeout=1)) in words


def test_the_fingerprint_changes_with_git_but_not_with_its_corrections(tmp_path: Path):
    words = []
    for version in ("2.39.2", "2.39.5", "2.40.1"):
        folder = tmp_path / version
        folder.mkdir()
        (folder / "git").write_text(f"#!/bin/sh\necho git version {version}\n")
        (folder / "git").chmod(0o755)
        words.append(fingerprint("cloc 1.96", options(tmp_path / "s", search_path=str(folder))))

    assert words[0] == words[1] != words[2]


def test_what_is_warmed_up_runs_no_program_for_a_fingerprint(stub, monkeypatch):
    chosen = stub("")
    counter = warm_up(chosen)

    def refuse(*_arguments, **_options):
        raise AssertionError("a program is run")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert counter == best_counter(chosen) == "cloc 1.99"
    assert fingerprint(counter, chosen)


def test_pygount_runs_as_a_program_of_its_own(tree: Path):
    program = Path(__file__).parents[2] / "measure" / "pygount_count.py"
    done = subprocess.run([sys.executable, "-I", program, tree], capture_output=True, check=True)

    found = json.loads(done.stdout)
    assert found["languages"] == {"Python": 5, "C": 2}
    assert found["too_large"] == found["failed"] == found["generated"] == []
