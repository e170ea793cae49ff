"""The servers and repositories of tests.support work as documented."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from tests.support.git_server import GitServer
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.repos import Entry, RepoBuilder, git_environment, run_git
from tests.support.watchman import alive

ROOT = Path(__file__).parent.parent


@pytest.fixture
def builder(tmp_path: Path) -> RepoBuilder:
    return RepoBuilder(tmp_path / "source")


def clone(url: str, to: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Clone and return the finished process, failed or not."""
    return subprocess.run(
        ["git", "clone", "--quiet", *options, "--", url, str(to)],
        env=git_environment() | variables,
        capture_output=True,
        text=True,
        timeout=600,
    )


def log(folder: Path, form: str) -> list[str]:
    return run_git(folder, "log", f"--format={form}").decode().splitlines()


class TestRepoBuilder:
    def test_dates_zones_and_messages_are_kept(self, builder: RepoBuilder) -> None:
        zone = timezone(timedelta(hours=5, minutes=30))
        first = datetime(2020, 1, 2, 1, tzinfo=zone)
        builder.commit({"a": "1\n"}, when=first, message="One")
        builder.commit({"a": "2\n"}, when=2**40, tz="-0930", message=b"caf\xe9\n\n1\t1\tx")
        assert log(builder.path, "%ci|%ct") == [
            f"36812-02-19 15:06:16 -0930|{2**40}",
            f"2020-01-02 01:00:00 +0530|{int(first.timestamp())}",
        ]

    def test_any_name_goes_into_a_tree(self, builder: RepoBuilder) -> None:
        names = [b"tab\tname", b"new\nline", b"\xff\xfe", b'quo"te', b"deep/er/a b"]
        builder.commit(dict.fromkeys(names, b"x\n"))
        listed = builder.git("ls-tree", "-r", "-z", "--name-only", "HEAD").split(b"\0")[:-1]
        assert sorted(listed) == sorted(names)

    def test_links_programs_and_submodules(self, builder: RepoBuilder) -> None:
        entries = {"link": Entry("120000", b"/etc/passwd"), "run": Entry("100755", b"#!/bin/sh\n")}
        builder.commit({**entries, "sub": Entry("160000", b"1" * 40)})
        modes = [line.split()[0] for line in builder.git("ls-tree", "HEAD").splitlines()]
        assert modes == [b"120000", b"100755", b"160000"]

    def test_merge_takes_both_sides(self, builder: RepoBuilder) -> None:
        builder.commit({"both": "1\n", "gone": "1\n"})
        builder.branch("side")
        builder.commit({"side": "s\n", "gone": None})
        builder.checkout("main")
        builder.commit({"main": "m\n"})
        builder.merge("side")
        assert builder.git("ls-tree", "--name-only", "HEAD").split() == [b"both", b"main", b"side"]
        assert len(builder.git("rev-list", "--parents", "-1", "HEAD").split()) == 3

    def test_rename_is_seen_as_one(self, builder: RepoBuilder) -> None:
        builder.commit({"old": "line\n" * 50})
        builder.rename("old", "new")
        assert builder.git("show", "--numstat", "--format=").split() == [
            b"0",
            b"0",
            b"old",
            b"=>",
            b"new",
        ]

    def test_raw_commit_keeps_a_senseless_date(self, builder: RepoBuilder) -> None:
        builder.commit({"a": "1\n"})
        builder.raw_commit(b"Nobody <> not-a-date")
        assert builder.git("cat-file", "commit", "HEAD").count(b"not-a-date") == 1
        assert len(log(builder.path, "%H")) == 2

    def test_bulk_is_the_same_for_the_same_seed(self, tmp_path: Path) -> None:
        heads = {
            RepoBuilder(tmp_path / n).bulk(500, seed=s) for n, s in (("a", 7), ("b", 7), ("c", 8))
        }
        assert len(heads) == 2

    def test_push_follows_force_and_switched_branch(
        self, builder: RepoBuilder, git_server: GitServer
    ) -> None:
        first = builder.commit({"a": "1\n"})
        builder.commit({"a": "2\n"})
        builder.publish(git_server, "ada/moving")
        builder.reset(first)
        builder.branch("trunk")
        builder.push()
        copy = git_server.path("ada/moving")
        assert run_git(copy, "rev-parse", "HEAD", "main").decode().split() == [first, first]
        assert run_git(copy, "symbolic-ref", "--short", "HEAD") == b"trunk\n"


class TestGitServer:
    def test_full_and_partial_clones(
        self, builder: RepoBuilder, git_server: GitServer, tmp_path: Path
    ) -> None:
        head = builder.bulk(30, edits=20)
        url = builder.publish(git_server, "ada/bulk")
        assert clone(url, tmp_path / "full").returncode == 0
        full = git_server.bytes_sent("ada/bulk")
        assert clone(url, tmp_path / "part", "--filter=blob:none").returncode == 0
        assert run_git(tmp_path / "part", "rev-parse", "HEAD").decode().strip() == head
        assert 0 < git_server.bytes_sent("ada/bulk") - full < full
        missing = run_git(tmp_path / "part", "rev-list", "--all", "--objects", "--missing=print")
        assert b"\n?" in missing
        assert {request.protocol for request in git_server.log} == {"version=2"}
        # Blobs that were left out are asked for on demand.
        numstat = run_git(tmp_path / "part", "log", "--numstat")
        assert numstat == run_git(tmp_path / "full", "log", "--numstat")

    def test_filters_can_be_refused(
        self, builder: RepoBuilder, git_server: GitServer, tmp_path: Path
    ) -> None:
        builder.bulk(20)
        url = builder.publish(git_server, "whole")
        git_server.set_filters("whole", False)
        assert clone(url, tmp_path / "c", "--filter=blob:none").returncode == 0
        assert b"\n?" not in run_git(
            tmp_path / "c", "rev-list", "--all", "--objects", "--missing=print"
        )

    def test_a_private_repository_wants_the_token(
        self, builder: RepoBuilder, git_server: GitServer, tmp_path: Path
    ) -> None:
        builder.commit({"a": "1\n"})
        url = builder.publish(git_server, "ada/secret")
        git_server.private.add("ada/secret")
        assert clone(url, tmp_path / "a").returncode != 0
        inside = url.replace("//", f"//x-access-token:{git_server.token}@")
        assert clone(inside, tmp_path / "b").returncode == 0
        assert any(request.authorization for request in git_server.requests("ada/secret"))

    def test_redirects_to_another_server(
        self, builder: RepoBuilder, git_server: GitServer, tmp_path: Path
    ) -> None:
        builder.commit({"a": "1\n"})
        with GitServer(tmp_path / "other") as other:
            builder.publish(other, "new")
            git_server.redirect("old", other.url("new", host="localhost"))
            assert clone(git_server.url("old"), tmp_path / "c").returncode == 0
            assert other.fetches("new")
        assert [request.status for request in git_server.log] == [302]

    @pytest.mark.parametrize("packed", [False, True])
    def test_chunked_and_packed_request_bodies_are_understood(
        self, builder: RepoBuilder, git_server: GitServer, packed: bool
    ) -> None:
        head = builder.commit({"a": "1\n"})
        path = urlsplit(builder.publish(git_server, "chunky")).path
        body = b"0014command=ls-refs\n0014agent=git/2.39.500010000"
        headers = {"Content-Type": "application/x-git-upload-pack-request"}
        headers["Git-Protocol"] = "version=2"
        if packed:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        connection = http.client.HTTPConnection(git_server.host, git_server.port)
        with contextlib.closing(connection):
            pieces = (body[start : start + 7] for start in range(0, len(body), 7))
            connection.request("POST", f"{path}/git-upload-pack", pieces, headers)
            assert head.encode() in connection.getresponse().read()
            # The whole body was read: the connection is good for another request.
            connection.request("POST", f"{path}/git-upload-pack", body, headers)
            assert head.encode() in connection.getresponse().read()

    @pytest.mark.parametrize("after", [0, 20_000])
    def test_hangs_until_healed(
        self, builder: RepoBuilder, git_server: GitServer, tmp_path: Path, after: int
    ) -> None:
        builder.bulk(300)
        url = builder.publish(git_server, "slow")
        git_server.hang("slow", after=after)
        codes: list[int] = []
        thread = threading.Thread(
            target=lambda: codes.append(clone(url, tmp_path / "c").returncode)
        )
        thread.start()
        thread.join(1)
        assert thread.is_alive()
        assert git_server.fetches("slow")[0].bytes_out == after
        git_server.heal("slow")
        thread.join(20)
        assert codes == [0]

    def test_a_hanging_request_ends_with_its_client(
        self, builder: RepoBuilder, git_server: GitServer, tmp_path: Path
    ) -> None:
        builder.bulk(300)
        url = builder.publish(git_server, "slow")
        git_server.hang("slow", after=20_000)
        with subprocess.Popen(
            ["git", "clone", "--quiet", url, str(tmp_path / "c")],
            env=git_environment(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            while not git_server.fetches("slow"):
                time.sleep(0.01)
            time.sleep(0.3)
            os.killpg(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 50
        while git_server.children and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not git_server.children

    def test_a_cut_pack_fails_once(
        self, builder: RepoBuilder, git_server: GitServer, tmp_path: Path
    ) -> None:
        builder.bulk(300)
        url = builder.publish(git_server, "torn")
        git_server.cut("torn", after=5000, times=1)
        assert clone(url, tmp_path / "c").returncode != 0
        assert git_server.fetches("torn")[0].bytes_out == 5000
        assert clone(url, tmp_path / "c").returncode == 0

    def test_drips_and_fails(
        self, builder: RepoBuilder, git_server: GitServer, tmp_path: Path
    ) -> None:
        builder.commit({"a": "x" * 50})
        url = builder.publish(git_server, "tap")
        git_server.drip("tap", rate=400)
        begun = time.monotonic()
        assert clone(url, tmp_path / "c").returncode == 0
        assert time.monotonic() - begun > 0.5
        git_server.fail("tap", status=503)
        assert "503" in clone(url, tmp_path / "d").stderr

    def test_an_empty_repository_can_be_cloned(
        self, builder: RepoBuilder, git_server: GitServer, tmp_path: Path
    ) -> None:
        assert clone(builder.publish(git_server, "empty"), tmp_path / "c").returncode == 0


class TestRedisServer:
    def test_freezes_thaws_dies_and_comes_back(self) -> None:
        with RedisServer() as server, server.client() as client:
            client.set("a", "1")
            server.freeze()
            with (
                redis.Redis.from_url(server.url, socket_timeout=0.3) as impatient,
                pytest.raises(redis.TimeoutError),
            ):
                impatient.get("a")
            server.thaw()
            assert client.get("a") == b"1"
            server.flush()
            assert client.get("a") is None
            client.set("a", "2")
            url = server.url
            server.kill()
            assert not server.running
            with redis.Redis.from_url(url) as other, pytest.raises(redis.ConnectionError):
                other.ping()
            server.start()
            assert server.url == url
            assert client.get("a") is None
        assert not server.folder.exists()


class TestPostgresServer:
    def test_keeps_databases_apart_and_over_a_restart(
        self, postgres_server: PostgresServer
    ) -> None:
        url, other = postgres_server.create_database(), postgres_server.create_database()
        with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
            connection.commit()
            stop, kill = postgres_server.stop, postgres_server.kill
            for ending in (stop, partial(stop, immediate=True), kill):
                ending()
                postgres_server.start()
                name = url.rpartition("/")[2]
                assert postgres_server.execute("SELECT * FROM kept", name) == [(1,)]
            with pytest.raises(psycopg2.OperationalError):
                cursor.execute("SELECT 1")
        with pytest.raises(psycopg2.errors.UndefinedTable):
            postgres_server.execute("SELECT * FROM kept", other.rpartition("/")[2])
        postgres_server.drop_database(url)
        postgres_server.drop_database(other)

    def test_a_template_is_copied(self, postgres_server: PostgresServer) -> None:
        template = postgres_server.create_database().rpartition("/")[2]
        postgres_server.execute("CREATE TABLE copied (n int)", template)
        copy = postgres_server.create_database(template).rpartition("/")[2]
        assert postgres_server.execute("SELECT * FROM copied", copy) == []


class TestTheEnd:
    PROGRAM = """
import os, sys, threading, time
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
redis, postgres = RedisServer(), PostgresServer()
thread = threading.Thread(target=redis.start)
thread.start()
thread.join()
postgres.__enter__()
time.sleep(0.2)
assert redis.running, "a server outlives the thread that started it"
print(redis.process.pid, postgres.process.pid, redis.folder, postgres.folder, flush=True)
time.sleep(60)
"""

    def test_killed_tests_leave_no_process_and_no_folder(self) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            words = process.stdout.readline().split()
            process.kill()
        pids, folders = [int(word) for word in words[:2]], [Path(word) for word in words[2:]]
        assert len(folders) == 2
        deadline = time.monotonic() + 100
        while any(folder.exists() for folder in folders) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [folder for folder in folders if folder.exists()]
        assert not [pid for pid in pids if alive(pid)]
