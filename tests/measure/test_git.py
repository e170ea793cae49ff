"""Cloning is safe, and fails with a reason, whatever the server or the repository does."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cancel import allow_again, stop_all
from errors import EmptyRepository, Interrupted, MeasureError
from measure import Source, measure, remote_head
from measure.git import Git
from measure.git_environment import ASKPASS, CONFIGURATION, allowed_protocol
from tests.support.fast_import import Content
from tests.support.git_server import GitServer
from tests.support.measuring import options
from tests.support.processes import wait_for
from tests.support.repos import Entry, RepoBuilder, run_git

pytestmark = pytest.mark.usefixtures("preloaded_cloc")

TOKEN = "ghp_canary0123456789"
LOOPBACK = "http://127.0.0.1:1"


@pytest.fixture
def repo(tmp_path: Path) -> RepoBuilder:
    built = RepoBuilder(tmp_path / "source")
    built.commit({"a.py": b"print(1)\n", "b.py": b"print(2)\n"})
    return built


@pytest.fixture
def url(repo: RepoBuilder, git_server: GitServer) -> str:
    return repo.publish(git_server, "subject")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def wrapped_git(tmp_path: Path) -> Callable[[str], str]:
    """Return a search path on which a script stands before git."""

    def wrap(script: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "git"
        program.write_text(f"#!/bin/sh\n{script}\n".replace("GIT", shutil.which("git") or ""))
        program.chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    return wrap


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(facts[1]) == pid:
            child = int(status.parent.name)
            found += [child, *children(child)]
    return found


def named(name: str) -> list[int]:
    """Return the processes of a name below this one."""
    return [
        pid
        for pid in children(os.getpid())
        if name in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[0]
    ]


def test_a_private_repository_is_cloned_with_the_token(url, git_server: GitServer, scratch):
    git_server.token = TOKEN
    git_server.private.add("subject")

    figures = measure(Source(url, TOKEN), options(scratch))

    assert figures.history.commits == 1
    assert remote_head(Source(url, TOKEN), options(scratch)) == figures.head_sha


def test_the_token_is_in_no_argument_and_no_file(
    url, git_server: GitServer, scratch, tmp_path, wrapped_git
):
    git_server.token = TOKEN
    git_server.private.add("subject")
    path = wrapped_git(
        f'printf "%s\\n" "$@" >> {tmp_path}/arguments\n'
        f'GIT "$@"; code=$?\n'
        f'grep -rlF -- {TOKEN} "${{HOME%/home}}" >> {tmp_path}/files\n'
        f"exit $code"
    )

    measure(Source(url, TOKEN), options(scratch, search_path=path))

    assert "clone" in (tmp_path / "arguments").read_text()
    assert TOKEN not in (tmp_path / "arguments").read_text()
    assert (tmp_path / "files").read_text() == ""


def test_a_wrong_token_is_refused_in_words(url, git_server: GitServer, scratch):
    git_server.private.add("subject")

    with pytest.raises(MeasureError, match="the server refused access"):
        measure(Source(url, "wrong"), options(scratch))


def test_no_token_is_refused_in_words(url, git_server: GitServer, scratch):
    git_server.private.add("subject")

    with pytest.raises(MeasureError, match="the server refused access"):
        measure(Source(url), options(scratch))


def test_a_redirect_is_not_followed_and_gets_no_token(url, git_server, scratch, tmp_path):
    with GitServer(tmp_path / "other", token=TOKEN) as other:
        other.create("thief")
        other.private.add("thief")
        git_server.redirect("subject", other.url("thief", host="localhost"))

        with pytest.raises(MeasureError, match="sends to another address"):
            measure(Source(url, TOKEN), options(scratch))
        assert other.log == []


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Username for 'https://git.example': ", "x-access-token"),
        ("Password for 'https://x-access-token@git.example': ", TOKEN),
        ("Password for 'https://x-access-token@git.example.evil': ", ""),
        ("Password for 'https://x-access-token@evil.example': ", ""),
        ("Password for 'http://x-access-token@git.example': ", ""),
        ("Username for 'https://evil.example': ", ""),
    ],
)
def test_the_token_is_given_for_its_own_server_alone(prompt, answer):
    env = {
        "PROJECT_TRACKER_ORIGIN": "https://git.example",
        "PROJECT_TRACKER_ORIGIN_AS_USER": "https://x-access-token@git.example",
        "PROJECT_TRACKER_TOKEN": TOKEN,
    }
    done = subprocess.run([ASKPASS, prompt], env=env, capture_output=True, text=True)

    assert done.stdout.strip() == answer


@pytest.mark.parametrize(
    "address",
    [
        "http://github.com/a/b",
        "ssh://git@github.com/a/b",
        "git://github.com/a/b",
        "file:///etc",
        "ext::sh -c touch% /tmp/owned://x",
        "https://user:password@github.com/a/b",
        "http://127.0.0.1.evil.example/a/b",
        "http:///a",
    ],
)
def test_other_kinds_of_address_are_refused(address, scratch):
    with pytest.raises(MeasureError, match="its address"):
        measure(Source(address), options(scratch))


@pytest.mark.parametrize(
    ("address", "protocol"),
    [
        ("https://github.com/a/b.git", "https"),
        ("http://localhost:1/a", "http"),
        ("http://127.8.9.1/a", "http"),
        ("http://[::1]:80/a", "http"),
        ("/some/where", "file"),
        ("-dash", "file"),
    ],
)
def test_one_protocol_is_allowed(address, protocol):
    assert allowed_protocol(address) == protocol


def test_a_local_path_is_measured(repo: RepoBuilder, scratch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert measure(Source("source"), options(scratch)).history.commits == 1


def test_a_local_path_of_another_owner_is_measured(repo: RepoBuilder, scratch):
    if os.geteuid():
        pytest.skip("only root can give files away")
    for folder, _, files in os.walk(repo.path):
        for name in (".", *files):
            os.chown(Path(folder, name), 12345, 12345)

    assert measure(Source(str(repo.path)), options(scratch)).history.commits == 1


def test_an_incomplete_local_repository_is_refused(repo: RepoBuilder, scratch, tmp_path):
    repo.commit({"a.py": b"print(3)\n"})
    run_git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repo.path}", "shallow")

    with pytest.raises(MeasureError, match="history is not complete"):
        measure(Source(str(tmp_path / "shallow")), options(scratch))


def test_a_branch_can_be_named(repo: RepoBuilder, url, scratch):
    repo.branch("other")
    repo.commit({"c.py": b"1\n"})
    repo.checkout("main")
    repo.push()

    assert measure(Source(url, branch="other"), options(scratch)).history.commits == 2
    assert measure(Source(url), options(scratch)).history.commits == 1
    assert remote_head(Source(url, branch="other"), options(scratch)) == repo.sha("other")
    assert remote_head(Source(url, branch="none"), options(scratch)) is None


def test_a_missing_branch_of_a_repository_with_commits_is_not_empty(url, scratch):
    with pytest.raises(MeasureError, match="its default branch is not there") as caught:
        measure(Source(url, branch="gone"), options(scratch))
    assert not isinstance(caught.value, EmptyRepository)


def test_a_detached_head_is_measured(repo: RepoBuilder, url, git_server: GitServer, scratch):
    repo.commit({"c.py": b"1\n"})
    repo.push()
    run_git(git_server.path("subject"), "update-ref", "--no-deref", "HEAD", repo.sha("main~1"))

    assert measure(Source(url), options(scratch)).history.commits == 1


def test_a_repository_that_is_not_there(git_server: GitServer, scratch, tmp_path):
    with pytest.raises(MeasureError, match="the repository was not found"):
        measure(Source(git_server.url("nothing")), options(scratch))
    with pytest.raises(MeasureError, match="the repository was not found"):
        measure(Source(str(tmp_path / "nothing")), options(scratch))


def test_a_server_that_is_not_there(scratch):
    with pytest.raises(MeasureError, match="the server could not be reached"):
        measure(Source(f"{LOOPBACK}/a.git"), options(scratch))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "the server failed"),
        (503, "the server failed"),
        (403, "the server refused access"),
        (404, "the repository was not found"),
        (429, "the server wants fewer requests"),
        (451, "the repository was not found"),
    ],
)
def test_a_status_is_said_in_words(status, words, url, git_server: GitServer, scratch):
    git_server.fail("subject", status=status)

    with pytest.raises(MeasureError, match=words):
        measure(Source(url), options(scratch))


@pytest.mark.parametrize("since", [None, "1" * 40])
@pytest.mark.parametrize("page", [b"", b"Down for maintenance", b"<p>Down</p>\n" * 9])
def test_a_page_for_browsers_is_no_empty_repository(
    page, since, url, git_server: GitServer, scratch
):
    git_server.maintain("subject", page)

    with pytest.raises(MeasureError) as caught:
        measure(Source(url), options(scratch), since)
    assert not isinstance(caught.value, EmptyRepository)


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_an_empty_repository_is_known_in_every_protocol(
    version, git_server: GitServer, scratch, monkeypatch
):
    monkeypatch.setitem(CONFIGURATION, "protocol.version", version)
    git_server.create("empty")

    with pytest.raises(EmptyRepository):
        measure(Source(git_server.url("empty")), options(scratch))


@pytest.mark.parametrize("after", [0, 100])
def test_a_server_that_hangs_is_given_up(after, url, git_server: GitServer, scratch, monkeypatch):
    monkeypatch.setattr("measure.git_environment.SILENCE", 1)
    git_server.hang("subject", after=after)

    with pytest.raises(MeasureError, match="the server stopped sending"):
        measure(Source(url), options(scratch))
    assert list(scratch.iterdir()) == []


def test_a_server_that_drips_is_given_up(repo, url, git_server: GitServer, scratch):
    repo.commit({"noise": os.urandom(100_000)})
    repo.push()
    git_server.drip("subject", rate=50)

    with pytest.raises(MeasureError, match=r"cloning it took longer than CLONE_TIMEOUT \(2 s\)"):
        measure(Source(url), options(scratch, clone_timeout=2))
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("since", [None, "1" * 40])
@pytest.mark.parametrize("after", [50, 5000])
def test_a_pack_that_breaks_off(after, since, repo, url, git_server: GitServer, scratch):
    repo.commit({"noise": os.urandom(100_000)})
    repo.push()
    git_server.cut("subject", after=after)

    with pytest.raises(MeasureError, match="connection lost during clone"):
        measure(Source(url), options(scratch), since)
    assert list(scratch.iterdir()) == []


def test_the_words_hold_nothing_of_the_repository(url, git_server: GitServer, scratch):
    for fault in (functools.partial(git_server.cut, after=50), git_server.fail):
        fault("subject")
        with pytest.raises(MeasureError) as caught:
            measure(Source(url, TOKEN), options(scratch))
        assert not any(part in str(caught.value) for part in ("subject", "127.0", "/", TOKEN))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    yield folder
    # Lazily: a program that has just ended may still be in the list.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("content", [os.urandom(3_000_000), b"x = 1\n" * 500_000])
def test_a_full_disk_is_said_in_words(content, repo, url, small_disk):
    repo.commit({"large.py": content})
    repo.push()

    with pytest.raises(MeasureError, match=r"disk.*full"):
        measure(Source(url), options(small_disk))
    assert list(small_disk.iterdir()) == []


def test_a_program_asked_to_stop_is_an_interruption(url, git_server: GitServer, scratch):
    git_server.hang("subject")
    seen: list[BaseException] = []

    def work() -> None:
        try:
            measure(Source(url), options(scratch))
        except Interrupted as error:
            seen.append(error)

    # What Heroku does: the signal goes to each process, git's helper may be the first.
    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: named("git-remote-http"))
    for pid in named("git-remote-http"):
        os.kill(pid, signal.SIGTERM)
    thread.join(100)

    assert len(seen) == 1
    assert list(scratch.iterdir()) == []


def test_stopping_all_interrupts_a_measurement(url, git_server: GitServer, scratch):
    git_server.hang("subject")
    timer = threading.Timer(0.5, stop_all)
    timer.start()
    try:
        with pytest.raises(Interrupted):
            measure(Source(url), options(scratch))
    finally:
        timer.join()
        allow_again()

    assert list(scratch.iterdir()) == []
    assert not named("git")


def test_a_history_that_takes_too_long_ends_the_count(url, scratch, wrapped_git):
    path = wrapped_git('case " $* " in *" log "*) sleep 60;; esac; exec GIT "$@"')

    with pytest.raises(MeasureError, match=r"reading it took .* MEASURE_TIMEOUT \(2 s\)"):
        measure(Source(url), options(scratch, search_path=path, measure_timeout=2))
    assert list(scratch.iterdir()) == []


def test_a_checkout_that_fails_ends_the_history(url, scratch, wrapped_git):
    path = wrapped_git(
        'case " $* " in *" log "*) sleep 300;; *" checkout-index "*) exit 9;; esac; exec GIT "$@"'
    )
    begun = time.monotonic()

    with pytest.raises(MeasureError, match="git failed with code 9"):
        measure(Source(url), options(scratch, search_path=path))
    assert time.monotonic() - begun < 100


def test_this_host_s_configuration_takes_no_part(url, scratch, tmp_path, monkeypatch):
    config = tmp_path / ".gitconfig"
    config.write_text("[core]\n\thooksPath = /nowhere\n[diff]\n\trenames = false\n[broken\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", "/nowhere")

    assert measure(Source(url), options(scratch)).history.commits == 1


def test_links_out_of_the_checkout_are_not_followed(repo, url, scratch, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("secret = 1\n" * 1000)
    files: dict[str, Content] = {
        "absolute.py": Entry("120000", str(outside / "secret.py").encode()),
        "folder": Entry("120000", str(outside).encode()),
        "through.py": Entry("120000", b"folder/secret.py"),
        "relative.py": Entry("120000", b"../" * 30 + str(outside)[1:].encode() + b"/secret.py"),
        "sub/up.py": Entry("120000", b"../../../repository/config"),
        "git.py": Entry("120000", b".git/config"),
    }
    repo.commit(files)
    repo.push()

    assert measure(Source(url), options(scratch)).count.loc == 2


def test_no_name_passes_for_a_file_outside(repo, url, scratch, tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_text("secret = 1\n" * 1000)
    # cloc keeps "size,language,path" in lines of a file.
    repo.commit({f"x\n11000,Python,{secret}": b"print(1)\n" * 3})
    repo.push()

    assert measure(Source(url), options(scratch)).count.loc == 2


def test_a_tree_of_4000_folders_is_measured(repo, url, scratch):
    repo.commit({"d/" * 4000 + "x.py": b"print(3)\n"})
    repo.push()

    figures = measure(Source(url), options(scratch))

    assert figures.history.churn == 3
    assert figures.count.loc == 2
    assert list(scratch.iterdir()) == []


def test_an_incremental_measurement_asks_for_little(repo, url, git_server: GitServer, scratch):
    repo.bulk(3000, files=40)
    old = repo.head
    repo.commit({"new.py": b"print(1)\n"})
    repo.branch("young", "HEAD~5")
    repo.commit({"young.py": b"print(2)\n"})
    repo.checkout("main")
    repo.merge("young")
    repo.push()
    full = measure(Source(url), options(scratch))
    everything = git_server.bytes_sent("subject")
    git_server.log.clear()

    part = measure(Source(url), options(scratch), old)

    assert (part.since, part.history.commits, part.history.churn) == (old, 3, 2)
    assert replace(part, since=None, history=full.history, advance=None) == full
    assert git_server.bytes_sent("subject") < everything / 5
    assert len(git_server.fetches("subject")) == 1


def test_an_unchanged_head_adds_nothing(repo, url, scratch):
    figures = measure(Source(url), options(scratch), repo.head)

    assert (figures.since, figures.history.commits, figures.history.days) == (repo.head, 0, {})
    assert figures.count.loc == 2


@pytest.mark.parametrize("since", ["1" * 40, "not a commit", "--all", ""])
def test_an_unknown_commit_means_everything(since, repo, url, scratch):
    figures = measure(Source(url), options(scratch), since)

    assert (figures.since, figures.history.commits) == (None, 1)


def test_a_branch_exchanged_between_two_fetches_is_measured_as_cloned_last(
    repo, url, scratch, monkeypatch
):
    monkeypatch.setattr("measure.fetch.DEPTHS", (2, 4))
    repo.bulk(20)
    repo.push()
    deepen, since, start = Git.deepen, repo.sha("HEAD~15"), repo.sha("HEAD~19")

    def exchange(git: Git, depth: int) -> None:
        repo.reset(start)
        repo.commit({"other.py": b"1\n"})
        repo.push()
        deepen(git, depth)

    monkeypatch.setattr(Git, "deepen", exchange)

    figures = measure(Source(url), options(scratch), since)

    assert (figures.head_sha, figures.since, figures.history.commits) == (repo.head, None, 3)


def test_changed_attributes_mean_everything(repo, url, scratch):
    old = repo.head
    repo.commit({"deep/.gitattributes": b"*.py -diff\n"})
    repo.push()

    assert measure(Source(url), options(scratch), old).since is None


def test_of_a_server_without_shallow_clones_everything_is_cloned(repo, scratch, tmp_path):
    # A dumb server: files, listed by `git update-server-info`.
    old = repo.head
    repo.commit({"c.py": b"1\n"})
    run_git(repo.bare(tmp_path / "files" / "plain.git"), "update-server-info")
    handler = functools.partial(QuietFiles, directory=str(tmp_path / "files"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        source = Source(f"http://127.0.0.1:{server.server_port}/plain.git")
        figures = measure(source, options(scratch), old)
        server.shutdown()

    assert (figures.since, figures.history.commits) == (old, 1)


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
