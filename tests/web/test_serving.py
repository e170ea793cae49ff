"""The real servers, gunicorn with its settings and `python app.py`, with hostile clients."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

from app import create_app
from models import Project, db
from tests.support.service import LIMIT, ROOT, Service, serving, wait_until
from tests.support.wire import TELLTALES, besieged, connect, exchange, read_reply

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/refresh HTTP/1.1\r\nHost: localhost\r\n"
HUNDRED_MB = 100 * 1024**2
MANY = 60
# Enough that an answer does not fit the buffers of both ends.
PROJECTS = 10_000

NO_HTTP = {
    b"GARBAGE\r\n\r\n": 400,
    b"\x00\x01\x02\r\n\r\n": 400,
    b"GET / HTTP/1.1\n\n": 400,
    b"GET / HTTP/9.9\r\n\r\n": 400,
    b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: morse\r\n\r\n": 501,
    b"GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n": 417,
    b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n": 414,
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 10_000 + b"\r\n\r\n": 431,
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n": 431,
    b"a" * 100_000: 431,
}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A gunicorn over many projects, shared by the tests of this file."""
    folder = tmp_path_factory.mktemp("web")
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": f"sqlite:///{folder / 'tracker.sqlite'}",
        "REFRESH_INTERVAL_HOURS": "0",
    }
    with serving(environment, folder / "service") as service:
        service.start_web()
        app = create_app(environment)
        with app.app_context():
            db.session.add_all(
                Project(name=f"project{number}", github_id=number, url="https://x.test/" * 10)
                for number in range(PROJECTS)
            )
            db.session.commit()
            db.engine.dispose()
        yield service


@pytest.mark.parametrize(
    ("origin", "may_read"), [(b"http://localhost:3000", True), (b"https://evil.test", False)]
)
def test_a_page_of_a_listed_origin_may_read_gunicorns_own_errors(
    web: Service, origin: bytes, may_read: bool
):
    line = b"Origin: " + origin + b"\r\n"
    for request, status in {
        b"GET / HTTP/9.9\r\n" + line + b"\r\n": 400,
        b"GET / HTTP/1.1\r\n" + line + b"no colon\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\n" + line + b"X: " + b"a" * 10_000 + b"\r\n\r\n": 431,
        b"GET / HTTP/1.1\r\n" + line + b"X: " + b"a" * 100_000: 431,
    }.items():
        reply = exchange(web.port, request)
        assert reply.status == status
        allowed = reply.headers.get("Access-Control-Allow-Origin")
        assert allowed == (origin.decode() if may_read else None)
        assert ("Access-Control-Expose-Headers" in reply.headers) is may_read
        assert reply.headers["Vary"] == "Origin"


def test_gunicorn_is_the_version_that_the_worker_was_tested_with():
    text = (ROOT / "gunicorn.conf.py").read_text()
    tested = re.search(r'^TESTED_WITH = "(.*)"$', text, re.M)
    assert tested
    assert f"gunicorn=={tested[1]}" in (ROOT / "requirements.txt").read_text().splitlines()


def test_another_version_of_gunicorn_ends_the_start_in_words():
    code = (
        "import gunicorn, runpy; gunicorn.__version__ = '99.0'; runpy.run_path('gunicorn.conf.py')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("cannot start: gunicorn 99.0 is installed")
    assert len(ended.stderr.splitlines()) == 1


def test_what_the_worker_overrides_is_there():
    for name in (
        "accept",
        "finish_request",
        "handle_request",
        "handle_error",
        "murder_pending",
        "_cap_keepalive",
        "enqueue_req",
    ):
        assert callable(getattr(ThreadWorker, name))
    source = inspect.getsource(ThreadWorker)
    for used in ("self.nr_conns", "self.poller", "self.alive", "self.worker_connections"):
        assert used in source
    # Answers go out through sendall alone, where no file is sent.
    assert "sock.sendall(data)" in inspect.getsource(util.write)
    assert {"init", "close"} <= set(vars(TConn))


def assert_prompt(service: Service, seconds: float = 2) -> None:
    """Send requests for some seconds, and check that each is answered soon."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # A fraction of the slow clients' timeouts.
        answer = requests.get(f"{service.url}/api/health", timeout=8)
        assert answer.status_code == 200
        time.sleep(0.1)


def test_what_is_no_http_is_told_in_json(web: Service):
    for request, status in NO_HTTP.items():
        reply = exchange(web.port, request)
        assert reply.status == status, (request[:80], reply)
        assert reply.headers["Content-Type"] == "application/json"
        assert isinstance(reply.json["error"], str)
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert not [word for word in TELLTALES if word.encode() in reply.body]


def test_requests_follow_each_other_on_one_connection(web: Service):
    with connect(web.port) as client:
        for _ in range(3):
            client.sendall(HEAD + b"\r\n")
            assert read_reply(client).status == 200
        # Two at once, the second in two pieces.
        client.sendall(HEAD + b"\r\n" + HEAD)
        assert read_reply(client).status == 200
        client.sendall(b"Connection: close\r\n\r\n")
        assert read_reply(client).headers["Connection"] == "close"
        assert client.recv(1) == b""


def test_a_head_may_come_in_pieces(web: Service):
    with connect(web.port) as client:
        for byte in HEAD + b"\r\n":
            client.sendall(bytes([byte]))
            time.sleep(0.002)
        assert read_reply(client).status == 200


def test_an_idle_connection_is_closed(web: Service):
    with connect(web.port) as client:
        started = time.monotonic()
        assert client.recv(1) == b""
        assert 5 < time.monotonic() - started < 100


@pytest.mark.parametrize("chunked", [False, True])
def test_a_hundred_megabytes_are_turned_away_unread(web: Service, chunked: bool):
    piece = b"x" * 1024**2
    announced = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % HUNDRED_MB
    if chunked:
        piece = b"%x\r\n%b\r\n" % (len(piece), piece)
    before = memory(web)
    with connect(web.port) as client:
        client.sendall(POST + announced + b"\r\n\r\n")
        most = before
        with contextlib.suppress(ConnectionError, TimeoutError):
            for _ in range(100):
                client.sendall(piece)
                most = max(most, memory(web))
        reply = read_reply(client)
    assert reply.status == 413
    assert isinstance(reply.json["error"], str)
    assert reply.headers["Connection"] == "close"
    assert most - before < 20 * 1024**2
    assert_prompt(web, 0.2)


def memory(service: Service) -> int:
    gunicorn = psutil.Process(service.processes[0].pid)
    return sum(each.memory_info().rss for each in [gunicorn, *gunicorn.children(recursive=True)])


def test_an_ordinary_client_gets_its_refusal(web: Service):
    answer = requests.post(f"{web.url}/api/refresh", data=b"x" * 5 * 1024**2, timeout=LIMIT)

    assert answer.status_code == 413
    assert answer.json()["error"]


SLOW = {
    "heads": (HEAD, b"X"),
    "second heads": (HEAD + b"\r\n" + HEAD, b"X"),
    "silent": (b"", b""),
    "bodies": (POST + b"Content-Length: 1000\r\n\r\n", b"x"),
    "chunked bodies": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "never closing": (HEAD + b"Connection: close\r\n\r\n", b"x"),
    "refused": (b"GARBAGE\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_keep_nobody_waiting(web: Service, kind: str):
    opening, drip = SLOW[kind]
    with besieged(web.port, MANY, opening, drip=drip) as count:
        assert_prompt(web)
        assert count() >= MANY


def test_more_slow_clients_than_there_is_room_for_keep_nobody_out(web: Service):
    with besieged(web.port, 600, HEAD, drip=b"X"):
        assert_prompt(web)


def test_clients_that_do_not_read_keep_nobody_waiting_for_long(web: Service):
    request = b"GET /api/projects HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with besieged(web.port, 16, request, receive_buffer=4096):
        # Until the answers are put together, and after that.
        assert_prompt(web, 12)


def test_an_answer_that_is_taken_slowly_arrives_whole(web: Service):
    request = b"GET /api/projects HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.settimeout(LIMIT)
        client.connect(("127.0.0.1", web.port))
        for _ in range(2):  # the connection is kept
            client.sendall(request)
            time.sleep(0.5)
            reply = read_reply(client)
            assert reply.status == 200
            assert len(reply.json) == PROJECTS


@pytest.fixture
def local(environment: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    """`python app.py`."""
    with serving(environment, tmp_path / "service") as service:
        service.start_local()
        yield service


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_python_app_py_serves_this_machine_alone_without_a_debugger(local: Service):
    process = psutil.Process(local.processes[0].pid)
    listening = [each for each in process.net_connections() if each.status == psutil.CONN_LISTEN]
    assert [(each.laddr.ip, each.laddr.port) for each in listening] == [("127.0.0.1", local.port)]
    assert process.children() == []  # no reloader

    for host in (f"localhost:{local.port}", "127.0.0.1", socket.gethostname()):
        assert status_under(local, host) == 200
    for host in ("evil.test", f"evil.test:{local.port}", "localhost.evil.test"):
        assert status_under(local, host) == 400

    for path in ("/console", "/?__debugger__=yes&cmd=resource&f=debugger.js"):
        answer = requests.get(local.url + path, timeout=LIMIT)
        assert answer.headers["Content-Type"] == "application/json"
        assert "debugger" not in answer.text.lower()
    for request in (b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"a b c d\r\n\r\n"):
        assert closing_error(local.port, request)


def status_under(service: Service, host: str) -> int:
    """Send a request with another host name, as DNS rebinding does."""
    request = f"GET /api/projects HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    with connect(service.port) as client, client.makefile("rb") as stream:
        client.sendall(request.encode())
        return int(stream.readline().split()[1])


@pytest.mark.parametrize(
    ("host", "address"), [(None, "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("127.0.0.2", "127.0.0.2")]
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("command", [("app.py",), ("gunicorn", "app:app")], ids=lambda it: it[0])
def test_a_start_listens_where_host_says_and_tells_it(
    environment: dict[str, str], tmp_path: Path, command: tuple[str, ...], host, address: str
):
    if host is not None:
        environment["HOST"] = host
    with serving(environment, tmp_path / "service") as service:
        process = psutil.Process(service.start(*command).pid)
        said = f"http://{address}:{service.port}"
        wait_until(lambda: said in service.logs(), LIMIT, "the start tells the address")
        # gunicorn tells its address before, `python app.py` before it accepts.
        assert (address, service.port) in [
            (each.laddr.ip, each.laddr.port)
            for each in process.net_connections()
            if each.status == psutil.CONN_LISTEN
        ]


def closing_error(port: int, request: bytes) -> bytes:
    """Send what is no HTTP to a server that announces no length, and return the body."""
    with connect(port) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as stream:
            head, _, body = stream.read().rpartition(b"\r\n\r\n")
    assert b"application/json" in head or not head
    assert body.startswith(b'{"error": "')
    return body
