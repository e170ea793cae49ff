"""The servers and repositories that the other tests stand on do what they promise."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.git_server import GitServer
from tests.support.repos import Entry, RepoBuilder, git_environment, run_git


@pytest.fixture
def builder(tmp_path: Path) -> RepoBuilder:
    return RepoBuilder(tmp_path / "source")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "served") as server:
        yield server


def clone(url: str, to: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Clone and return the finished process, failed or not."""
    return subprocess.run(
        ["git", "clone", "--quiet", *options, "--", url, str(to)],
        env=git_environment() | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def log(folder: Path, form: str) -> list[str]:
    return run_git(folder, "log", f"--format={form}").decode().splitlines()


class TestRepoBuilder:
    def test_dates_zones_and_messages_are_kept(self, builder: RepoBuilder) -> None:
        zone = timezone(timedelta(hours=5, minutes=30))
        builder.commit({"a": "1\n"}, when=datetime(2020, 1, 2, 1, tzinfo=zone), message="One")
        builder.commit({"a": "2\n"}, when=2**40, tz="-0930", message=b"caf\xe9\n\n1\t1\tx")
        assert log(builder.path, "%ci|%ct") == [
            f"36812-02-19 15:06:16 -0930|{2**40}",
            f"2020-01-02 01:00:00 +0530|{int(datetime(2020, 1, 1, 19, 30, tzinfo=UTC).timestamp())}",
        ]

    def test_any_name_goes_into_a_tree(self, builder: RepoBuilder) -> None:
        names = [b"tab\tname", b"new\nline", b"\xff\xfe", b'quo"te', b"deep/er/a b"]
        builder.commit({name: b"x\n" for name in names})
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
        assert builder.git("show", "--numstat", "--format=").split() == [b"0", b"0", b"old", b"=>", b"new"]

    def test_raw_commit_keeps_a_senseless_date(self, builder: RepoBuilder) -> None:
        builder.commit({"a": "1\n"})
        builder.raw_commit(b"Nobody <> not-a-date")
        assert builder.git("cat-file", "commit", "HEAD").count(b"not-a-date") == 1
        assert len(log(builder.path, "%H")) == 2

    def test_bulk_is_the_same_for_the_same_seed(self, tmp_path: Path) -> None:
        heads = {RepoBuilder(tmp_path / n).bulk(500, seed=s) for n, s in (("a", 7), ("b", 7), ("c", 8))}
        assert len(heads) == 2

    def test_push_follows_force_and_switched_branch(
        self, builder: RepoBuilder, server: GitServer
    ) -> None:
        first = builder.commit({"a": "1\n"})
        builder.commit({"a": "2\n"})
        builder.publish(server, "ada/moving")
        builder.reset(first)
        builder.branch("trunk")
        builder.push()
        copy = server.path("ada/moving")
        assert run_git(copy, "rev-parse", "HEAD", "main").decode().split() == [first, first]
        assert run_git(copy, "symbolic-ref", "--short", "HEAD") == b"trunk\n"


class TestGitServer:
    def test_full_and_partial_clones(
        self, builder: RepoBuilder, server: GitServer, tmp_path: Path
    ) -> None:
        head = builder.bulk(30, edits=20)
        url = builder.publish(server, "ada/bulk")
        assert clone(url, tmp_path / "full").returncode == 0
        full = server.bytes_sent("ada/bulk")
        assert clone(url, tmp_path / "part", "--filter=blob:none").returncode == 0
        assert run_git(tmp_path / "part", "rev-parse", "HEAD").decode().strip() == head
        assert 0 < server.bytes_sent("ada/bulk") - full < full
        missing = run_git(tmp_path / "part", "rev-list", "--all", "--objects", "--missing=print")
        assert b"\n?" in missing
        assert {request.protocol for request in server.log} == {"version=2"}
        # Blobs that were left out are asked for on demand.
        numstat = run_git(tmp_path / "part", "log", "--numstat")
        assert numstat == run_git(tmp_path / "full", "log", "--numstat")

    def test_filters_can_be_refused(
        self, builder: RepoBuilder, server: GitServer, tmp_path: Path
    ) -> None:
        builder.bulk(20)
        url = builder.publish(server, "whole")
        server.set_filters("whole", False)
        assert clone(url, tmp_path / "c", "--filter=blob:none").returncode == 0
        assert b"\n?" not in run_git(
            tmp_path / "c", "rev-list", "--all", "--objects", "--missing=print"
        )

    def test_a_private_repository_wants_the_token(
        self, builder: RepoBuilder, server: GitServer, tmp_path: Path
    ) -> None:
        builder.commit({"a": "1\n"})
        url = builder.publish(server, "ada/secret")
        server.private.add("ada/secret")
        assert clone(url, tmp_path / "a").returncode != 0
        inside = url.replace("//", f"//x-access-token:{server.token}@")
        assert clone(inside, tmp_path / "b").returncode == 0
        assert any(request.authorization for request in server.requests("ada/secret"))

    def test_redirects_to_another_server(
        self, builder: RepoBuilder, server: GitServer, tmp_path: Path
    ) -> None:
        builder.commit({"a": "1\n"})
        with GitServer(tmp_path / "other") as other:
            builder.publish(other, "new")
            server.redirect("old", other.url("new", host="localhost"))
            assert clone(server.url("old"), tmp_path / "c").returncode == 0
            assert other.fetches("new")
        assert [request.status for request in server.log] == [302]

    @pytest.mark.parametrize("packed", [False, True])
    def test_chunked_and_packed_request_bodies_are_understood(
        self, builder: RepoBuilder, server: GitServer, packed: bool
    ) -> None:
        head = builder.commit({"a": "1\n"})
        path = urlsplit(builder.publish(server, "chunky")).path
        body = b"0014command=ls-refs\n0015agent=git/2.39.500010000"
        headers = {"Content-Type": "application/x-git-upload-pack-request"}
        headers["Git-Protocol"] = "version=2"
        if packed:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        connection = http.client.HTTPConnection(server.host, server.port)
        with contextlib.closing(connection):
            pieces = (body[start : start + 7] for start in range(0, len(body), 7))
            connection.request("POST", f"{path}/git-upload-pack", pieces, headers)
            assert head.encode() in connection.getresponse().read()
            # The whole body was read: the connection is good for another request.
            connection.request("POST", f"{path}/git-upload-pack", body, headers)
            assert head.encode() in connection.getresponse().read()

    @pytest.mark.parametrize("after", [0, 20_000])
    def test_hangs_until_healed(
        self, builder: RepoBuilder, server: GitServer, tmp_path: Path, after: int
    ) -> None:
        builder.bulk(300)
        url = builder.publish(server, "slow")
        server.hang("slow", after=after)
        codes: list[int] = []
        thread = threading.Thread(
            target=lambda: codes.append(clone(url, tmp_path / "c").returncode)
        )
        thread.start()
        thread.join(1)
        assert thread.is_alive()
        assert server.fetches("slow")[0].bytes_out == after
        server.heal("slow")
        thread.join(20)
        assert codes == [0]

    def test_a_hanging_request_ends_with_its_client(
        self, builder: RepoBuilder, server: GitServer, tmp_path: Path
    ) -> None:
        builder.bulk(300)
        url = builder.publish(server, "slow")
        server.hang("slow", after=20_000)
        with subprocess.Popen(
            ["git", "clone", "--quiet", url, str(tmp_path / "c")],
            env=git_environment(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            while not server.fetches("slow"):
                time.sleep(0.01)
            time.sleep(0.3)
            os.killpg(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while server.children and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not server.children

    def test_a_cut_pack_fails_once(
        self, builder: RepoBuilder, server: GitServer, tmp_path: Path
    ) -> None:
        builder.bulk(300)
        url = builder.publish(server, "torn")
        server.cut("torn", after=5000, times=1)
        assert clone(url, tmp_path / "c").returncode != 0
        assert server.fetches("torn")[0].bytes_out == 5000
        assert clone(url, tmp_path / "c").returncode == 0

    def test_drips_and_fails(
        self, builder: RepoBuilder, server: GitServer, tmp_path: Path
    ) -> None:
        builder.commit({"a": "x" * 50})
        url = builder.publish(server, "tap")
        server.drip("tap", rate=400)
        begun = time.monotonic()
        assert clone(url, tmp_path / "c").returncode == 0
        assert time.monotonic() - begun > 0.5
        server.fail("tap", status=503)
        assert "503" in clone(url, tmp_path / "d").stderr

    def test_an_empty_repository_can_be_cloned(
        self, builder: RepoBuilder, server: GitServer, tmp_path: Path
    ) -> None:
        assert clone(builder.publish(server, "empty"), tmp_path / "c").returncode == 0
