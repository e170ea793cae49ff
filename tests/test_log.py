"""The format and the context of log lines, in the processes of the service."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from config import LogFormat
from log import log_context, set_up_handler
from tests.support.redis_server import RedisServer
from tests.support.service import ROOT, Service, serving
from tests.support.world import World

CANARY = "zq-canary-5514"


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """What a logger of its own writes in the format of the test's parameter."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    set_up_handler(handler, request.param, redact=False)
    logger = logging.getLogger("tests.log")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


in_format = pytest.mark.parametrize("written", [*LogFormat], indirect=True)
in_text = pytest.mark.parametrize("written", [LogFormat.TEXT], indirect=True)
in_json = pytest.mark.parametrize("written", [LogFormat.JSON], indirect=True)


@in_text
def test_text_says_what_it_is_about(written: StringIO):
    with log_context(refresh="r1"):
        with log_context(repository="me/\x1b[2Ja"):
            logging.getLogger("tests.log").info("measuring")
        logging.getLogger("tests.log").info("done")
    logging.getLogger("tests.log").info("idle")

    inner, outer, none = (line[20:] for line in written.getvalue().splitlines())
    assert inner == r"INFO    tests.log [refresh=r1 repository=me/\x1b[2Ja]: measuring"
    assert outer == "INFO    tests.log [refresh=r1]: done"
    assert none == "INFO    tests.log: idle"


@in_json
def test_json_is_one_object_in_a_line(written: StringIO):
    with log_context(refresh="r1", repository="é\u2028"):
        try:
            raise ValueError("first\nsecond")
        except ValueError:
            logging.getLogger("tests.log").exception("failed: %s", "a\nb")

    text = written.getvalue()
    assert text.isascii()
    (line,) = text.splitlines()
    said = json.loads(line)
    assert said["message"] == "failed: a\nb"
    assert (said["refresh"], said["repository"]) == ("r1", "é\u2028")
    assert (said["level"], said["logger"]) == ("ERROR", "tests.log")
    assert said["exception"].endswith("ValueError: first\nsecond")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", said["time"])


@in_format
def test_context_ends_with_its_block(written: StringIO):
    with pytest.raises(ValueError, match="x"), log_context(refresh="r1"):
        raise ValueError("x")
    logging.getLogger("tests.log").info("idle")
    assert "r1" not in written.getvalue()


def test_text_of_exceptions_is_left_out_of_json_too():
    code = (
        "import logging, log, config\n"
        "log.configure_logging(config.LogFormat.JSON, redact=True)\n"
        "try:\n"
        "    raise ValueError('quoted row')\n"
        "except ValueError:\n"
        "    logging.getLogger('app').exception('failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stderr)
    assert said["exception"].endswith("ValueError")
    assert "quoted row" not in said["exception"]


# The processes of the service


def lines_of(service: Service) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.logs().splitlines() if line]


def refresh_on(service: Service) -> str:
    """Have the workers refresh, and return the refresh's id."""
    service.start_worker()
    service.start_web()
    assert service.post().status_code == 202
    ended = service.wait_for_end()
    assert ended["status"] == "completed"
    return str(ended["id"])


@pytest.mark.usefixtures("_no_lines")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_line_of_a_refresh_has_its_id_and_repository(
    environment: dict[str, str], redis_server: RedisServer, world: World, tmp_path: Path
):
    world.add("alpha")
    world.add("beta")
    world.git.fail("beta")
    environment |= {"REDIS_URL": redis_server.url, "LOG_FORMAT": "json"}

    with serving(environment, tmp_path / "service") as service:
        refresh_id = refresh_on(service)
        lines = lines_of(service)

    assert {"gunicorn.error", "refresh.drain", "rq.worker"} <= {line["logger"] for line in lines}
    about = {line["message"]: line for line in lines if line["logger"] in ("jobs", "refresh.drain")}
    assert {line.get("refresh") for line in about.values()} == {refresh_id}
    assert about["measured alpha"]["repository"] == "alpha"
    (failed,) = [each for text, each in about.items() if "could not be measured" in text]
    assert failed["repository"] == "beta"
    (listed,) = [line for line in lines if "repositories listed" in line["message"]]
    assert listed["refresh"] == refresh_id
    assert "repository" not in listed


@pytest.mark.usefixtures("_no_lines")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("mode", ["count", "hide"])
def test_no_line_names_a_private_repository(
    environment: dict[str, str],
    redis_server: RedisServer,
    world: World,
    tmp_path: Path,
    mode: str,
):
    world.add("alpha")
    world.add(CANARY, private=True)
    environment |= {"REDIS_URL": redis_server.url, "LOG_FORMAT": "json"}

    with serving(environment | {"PRIVATE_REPOSITORIES": mode}, tmp_path / "service") as service:
        refresh_on(service)
        assert CANARY not in service.logs()
        named = {line.get("repository") for line in lines_of(service)} - {None}

    assert named == ({"alpha", "a private repository"} if mode == "count" else {"alpha"})
