"""Listing repositories and asking for their facts, over real HTTP."""

from __future__ import annotations

import gzip
import json
import logging
import signal
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config import read_settings
from errors import (
    GitHubError,
    GitHubUnavailable,
    ProjectTrackerError,
    RateLimited,
    RepositoryBlocked,
    RepositoryGone,
    TokenMissing,
    TokenRefused,
)
from github_api import Repository, RetryPolicy
from github_api import connect as connect_github
from github_api.rate_limit import limited_until
from github_api.source import GitHub
from tests.support.github_api import TOKEN, GitHubApi

PUSHED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
NOW = datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC)
CANARY = "canary-of-a-private-mine"


@pytest.fixture
def api(github_api: GitHubApi) -> GitHubApi:
    return github_api


def connect(api: GitHubApi | str, token: str = TOKEN, **policy: Any) -> GitHub:
    url = api if isinstance(api, str) else api.url
    settings = read_settings({"GITHUB_ACCESS_TOKEN": token, "GITHUB_API_URL": url})
    return connect_github(settings, RetryPolicy(**({"deadline": 100, "backoff": 0.01} | policy)))


@pytest.fixture
def github(api: GitHubApi) -> Iterator[GitHub]:
    github = connect(api)
    yield github
    github.close()


def names(github: GitHub) -> list[str]:
    return [repository.name for repository in github.fetch_repositories().repositories]


def test_a_repository_is_listed_with_its_facts(api: GitHubApi, github: GitHub) -> None:
    github_id = api.add(
        "mine",
        "http://127.0.0.1/mine.git",
        private=True,
        archived=True,
        size=321,
        pushed_at=PUSHED,
        default_branch="trunk",
    )
    listing = github.fetch_repositories()
    assert listing.sees_private
    assert listing.repositories == [
        Repository(
            github_id=github_id,
            name="mine",
            full_name="octocat/mine",
            clone_url="http://127.0.0.1/mine.git",
            html_url="https://github.invalid/octocat/mine",
            private=True,
            archived=True,
            default_branch="trunk",
            pushed_at=PUSHED,
            size_kb=321,
            owner="octocat",
        )
    ]


def test_a_repository_survives_being_written_as_json(api: GitHubApi, github: GitHub) -> None:
    api.add("one", pushed_at=PUSHED)
    api.add("other", pushed_at=None, default_branch=None)
    for repository in github.fetch_repositories().repositories:
        assert Repository.from_json(json.loads(json.dumps(repository.to_json()))) == repository


def test_all_pages_are_listed_at_one_call_each(api: GitHubApi, github: GitHub) -> None:
    wanted = [f"repository-{number}" for number in range(150)]
    for name in wanted:
        api.add(name)
    assert names(github) == wanted
    assert [request.path for request in api.requests] == ["/user/repos"] * 2
    assert api.requests[1].query == api.requests[0].query | {"page": "2"}


def test_forks_and_repositories_of_others_are_left_out(api: GitHubApi, github: GitHub) -> None:
    api.add("own")
    api.add("fork", fork=True)
    api.add("theirs", owner="somebody")
    assert names(github) == ["own"]


def test_a_repository_seen_on_two_pages_is_listed_once(api: GitHubApi, github: GitHub) -> None:
    for number in range(101):
        api.add(f"repository-{number}")
    moved = {"id": 1001, "name": "moved", "clone_url": "http://127.0.0.1/x", "private": False}
    api.fail("page=2", 200, body=[moved])
    listed = github.fetch_repositories().repositories
    assert len(listed) == 100
    assert [repository.name for repository in listed].count("moved") == 1


def test_two_repositories_under_one_name_are_listed_again(api: GitHubApi, github: GitHub) -> None:
    for number in range(101):
        api.add(f"repository-{number}")
    # As when the first was renamed, and the last took its name, between the two pages.
    taken = {"id": 1101, "name": "repository-0", "clone_url": "http://127.0.0.1/x"}
    api.fail("page=2", 200, body=[taken])
    listed = github.fetch_repositories().repositories
    assert [repository.name for repository in listed] == [f"repository-{n}" for n in range(101)]
    assert len(api.requests) == 4


def test_a_name_listed_twice_every_time_is_no_listing(api: GitHubApi, github: GitHub) -> None:
    for number in range(101):
        api.add(f"repository-{number}")
    taken = {"id": 1101, "name": "repository-0", "clone_url": "http://127.0.0.1/x"}
    api.fail("page=2", 200, body=[taken], times=None)
    with pytest.raises(GitHubUnavailable, match="under one name"):
        github.fetch_repositories()
    assert len(api.requests) == 6


def test_long_names_stay_apart_when_they_are_cut(api: GitHubApi, github: GitHub) -> None:
    api.add("n" * 300)
    api.add("n" * 301)
    first, second = names(github)
    assert len(first) == len(second) == 255
    assert first != second
    assert names(github) == [first, second]


def test_the_time_of_a_listing_is_that_of_githubs_clock(api: GitHubApi, github: GitHub) -> None:
    api.add("mine")
    [repository] = github.fetch_repositories().repositories
    assert repository.listed_at is not None
    assert abs(repository.listed_at - datetime.now(UTC)) < timedelta(minutes=3)
    assert Repository.from_json(repository.to_json()).listed_at == repository.listed_at


def test_a_page_on_another_host_is_asked_of_the_api_itself(api: GitHubApi) -> None:
    with GitHubApi() as other:
        for path in (f"//{other.url[7:]}/user/repos", "/user/repos"):
            link = {"Link": f'<{other.url}{path}>; rel="next"'}
            api.heal()
            api.fail("/user/repos", 200, link, [], times=None)
            with pytest.raises(GitHubError):
                connect(api, attempts=1).fetch_repositories()
        assert other.requests == []


def test_an_account_without_repositories_has_an_empty_listing(github: GitHub) -> None:
    assert github.fetch_repositories().repositories == []


@pytest.mark.parametrize(
    ("scopes", "sees_private"),
    [
        ("repo", True),
        ("read:org, repo, workflow", True),
        ("public_repo", False),
        ("", False),
        (None, True),
    ],
)
def test_the_scopes_of_the_token_tell_whether_private_ones_are_seen(
    scopes: str | None, sees_private: bool
) -> None:
    with GitHubApi(scopes=scopes) as api:
        api.add("public")
        api.add("secret", private=True)
        listing = connect(api).fetch_repositories()
    assert listing.sees_private is sees_private
    assert len(listing.repositories) == (2 if sees_private else 1)


@pytest.mark.parametrize(
    ("field", "value", "attribute", "expected"),
    [
        ("default_branch", None, "default_branch", None),
        ("pushed_at", None, "pushed_at", None),
        ("pushed_at", "yesterday", "pushed_at", None),
        ("pushed_at", 1700000000, "pushed_at", None),
        ("pushed_at", "0001-01-01T00:00:00+23:00", "pushed_at", None),
        ("pushed_at", "2026-03-04T07:06:07+02:00", "pushed_at", PUSHED),
        ("size", None, "size_kb", 0),
        ("size", -1, "size_kb", 0),
        ("size", float("inf"), "size_kb", 0),
        ("size", "12", "size_kb", 0),
        ("html_url", None, "html_url", ""),
        ("full_name", None, "full_name", "odd"),
        ("private", None, "private", True),
        ("archived", None, "archived", False),
        ("name", "é\tÜ .git", "name", "é\tÜ .git"),
        ("name", "half\ud800", "name", "half?"),
    ],
)
def test_odd_facts_of_a_repository_are_taken_as_unknown(
    api: GitHubApi, github: GitHub, field: str, value: object, attribute: str, expected: object
) -> None:
    api.update(api.add("odd"), **{field: value})
    [repository] = github.fetch_repositories().repositories
    assert getattr(repository, attribute) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b"[",
        b"<html>rest a while</html>",
        b"[null]",
        b"[[]]",
        b'[{"id": 1, "name": "a"}]',
        b'[{"id": "1", "name": "a", "clone_url": "b"}]',
        b'[{"id": true, "name": "a", "clone_url": "b"}]',
        b'[{"id": 9223372036854775808, "name": "a", "clone_url": "b"}]',
        b'[{"id": 1, "name": null, "clone_url": "b"}]',
        b"[" * 100_000,
        b'[{"id": ' + b"9" * 5000 + b"}]",
        b"\xff\xfe",
    ],
)
def test_a_listing_that_cannot_be_read_is_no_listing(
    api: GitHubApi, github: GitHub, body: bytes
) -> None:
    api.fail("/user/repos", 200, body=body, times=None)
    with pytest.raises(GitHubUnavailable, match="could not be read"):
        github.fetch_repositories()


def test_a_listing_whose_second_page_fails_is_no_listing(api: GitHubApi, github: GitHub) -> None:
    for number in range(150):
        api.add(f"repository-{number}")
    api.fail("page=2", 502, times=None)
    with pytest.raises(GitHubUnavailable, match="status 502"):
        github.fetch_repositories()
    api.heal()
    assert len(names(github)) == 150


def test_pages_that_lead_in_a_circle_are_no_listing(api: GitHubApi, github: GitHub) -> None:
    circle = {"Link": f'<{api.url}/user/repos?page=2>; rel="next"'}
    api.fail("/user/repos", 200, circle, [], times=None)
    with pytest.raises(GitHubUnavailable):
        github.fetch_repositories()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_is_tried_again(api: GitHubApi, github: GitHub, status: int) -> None:
    api.add("mine")
    api.fail("/user/repos", status, times=2)
    assert names(github) == ["mine"]
    assert len(api.requests) == 3


def test_an_answer_cut_off_is_tried_again(api: GitHubApi, github: GitHub) -> None:
    api.add("mine")
    api.cut("/user/repos")
    assert names(github) == ["mine"]


def test_tries_are_bounded(api: GitHubApi) -> None:
    api.fail("", 500, times=None)
    with pytest.raises(GitHubUnavailable):
        connect(api, attempts=3).fetch_repositories()
    assert len(api.requests) == 3


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(GitHubUnavailable, match="could not be reached"):
        connect(f"http://127.0.0.1:{port}").fetch_repositories()


def test_a_silent_server_is_given_up(api: GitHubApi) -> None:
    api.latency = 0.5
    with pytest.raises(GitHubUnavailable, match="too long"):
        connect(api, read_timeout=0.1, attempts=2).fetch_repositories()


def test_a_body_that_drips_is_cut_off_at_the_deadline(api: GitHubApi) -> None:
    api.add("mine")
    api.drip("/user/repos", interval=0.02)
    github = connect(api, deadline=0.4)
    start = time.monotonic()
    with pytest.raises(GitHubUnavailable, match="too long"):
        github.fetch_repositories()
    assert 0.3 < time.monotonic() - start < 10
    api.heal()
    assert names(github) == ["mine"]


def test_headers_that_drip_are_cut_off_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            try:
                while True:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Header: "[:1])
                    time.sleep(0.02)
            except OSError:
                connection.close()

        thread = threading.Thread(target=drip)
        thread.start()
        github = connect(f"http://127.0.0.1:{server.getsockname()[1]}", deadline=0.4)
        start = time.monotonic()
        with pytest.raises(GitHubUnavailable, match="too long"):
            github.fetch_repositories()
        assert time.monotonic() - start < 10
        thread.join()


def test_the_deadline_is_for_all_pages_together(api: GitHubApi) -> None:
    for number in range(500):
        api.add(f"repository-{number}")
    api.latency = 0.2
    with pytest.raises(GitHubUnavailable, match="too long"):
        connect(api, deadline=0.5).fetch_repositories()


def test_a_refused_token_is_told_at_once(api: GitHubApi) -> None:
    with pytest.raises(TokenRefused, match="GITHUB_ACCESS_TOKEN"):
        connect(api, token="ghp_expired").fetch_repositories()
    assert len(api.requests) == 1


def test_a_token_that_may_not_list_is_refused_in_words(api: GitHubApi, github: GitHub) -> None:
    body = {"message": "Resource not accessible by personal access token"}
    api.fail("/user/repos", 403, body=body)
    with pytest.raises(TokenRefused, match="scope"):
        github.fetch_repositories()


def test_a_missing_token_is_told_before_anything_is_asked(api: GitHubApi) -> None:
    with pytest.raises(TokenMissing):
        connect_github(read_settings({"GITHUB_API_URL": api.url})).fetch_repositories()
    assert api.requests == []


def test_an_address_without_the_api_is_told(api: GitHubApi, github: GitHub) -> None:
    api.fail("", 404, times=None)
    with pytest.raises(GitHubUnavailable, match="GITHUB_API_URL"):
        github.fetch_repositories()


def test_a_used_up_quota_tells_until_when(api: GitHubApi, github: GitHub) -> None:
    api.limit_rate(0, resets_in=600)
    with pytest.raises(RateLimited) as caught:
        github.fetch_repositories()
    assert caught.value.until == datetime.fromtimestamp(api.resets_at, UTC)
    assert len(api.requests) == 1


def test_a_quota_that_comes_back_soon_is_waited_for(api: GitHubApi, github: GitHub) -> None:
    api.add("mine")
    api.limit_rate(0, resets_in=0.1)
    assert names(github) == ["mine"]
    assert len(api.requests) == 2


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_that_ends_soon_is_waited_for(
    api: GitHubApi, github: GitHub, status: int
) -> None:
    api.add("mine")
    api.limit_secondary(status=status, retry_after=1)
    start = time.monotonic()
    assert names(github) == ["mine"]
    assert 1 <= time.monotonic() - start < 20


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("retry_after", [None, 90])
def test_a_secondary_limit_that_lasts_tells_until_when(
    api: GitHubApi, status: int, retry_after: int | None
) -> None:
    api.limit_secondary(status=status, retry_after=retry_after)
    with pytest.raises(RateLimited) as caught:
        connect(api, max_wait=30).fetch_repositories()
    wait = caught.value.until - datetime.now(UTC)
    assert abs(wait - timedelta(seconds=retry_after or 60)) < timedelta(seconds=2)


def test_all_waiting_for_limits_is_bounded(api: GitHubApi) -> None:
    api.limit_secondary(retry_after=1, times=None)
    with pytest.raises(RateLimited):
        connect(api, max_wait=1.5, attempts=100).fetch_repositories()
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    ("status", "headers", "body", "until"),
    [
        (403, {"retry-after": "30"}, "", NOW + timedelta(seconds=30)),
        (429, {"retry-after": "Sat, 01 Aug 2026 12:10:00 GMT"}, "", NOW + timedelta(minutes=10)),
        (429, {"retry-after": "soon"}, "", NOW + timedelta(minutes=1)),
        (429, {"retry-after": "9" * 400}, "", NOW + timedelta(days=30)),
        (
            403,
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1785589200"},
            "",
            NOW + timedelta(hours=1),
        ),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "never"}, "", None),
        (403, {"x-ratelimit-remaining": "7", "x-ratelimit-reset": "1785589200"}, "", None),
        (403, {}, '{"message": ["API rate limit exceeded"]}', None),
        (403, {}, '{"message": "API rate limit exceeded"}', NOW + timedelta(minutes=1)),
        (404, {"retry-after": "30"}, "", None),
    ],
)
def test_the_end_of_a_limit_is_read_from_whatever_states_it(
    status: int, headers: dict[str, str], body: str, until: datetime | None
) -> None:
    assert limited_until(status, headers, body, NOW) == until


def test_the_quota_is_known_after_the_first_answer(api: GitHubApi, github: GitHub) -> None:
    assert connect(api).quota is None
    api.limit_rate(100, resets_in=600)
    github.fetch_repositories()
    assert github.quota is not None
    assert (github.quota.limit, github.quota.remaining) == (5000, 99)
    assert github.quota.resets_at == datetime.fromtimestamp(api.resets_at, UTC)


def test_languages_are_found_by_full_name_and_by_id(api: GitHubApi, github: GitHub) -> None:
    github_id = api.add("mine", languages={"C++": 10, "Jupyter Notebook": 20})
    for repository in ("octocat/mine", github_id):
        assert github.fetch_languages(repository) == {"C++": 10, "Jupyter Notebook": 20}
    assert len(api.requests) == 2


def test_a_hundred_languages_are_kept_and_the_rest_added_up(api: GitHubApi, github: GitHub) -> None:
    api.add("mine", languages={f"L{number}": number for number in range(150)})
    languages = github.fetch_languages("octocat/mine")
    assert languages == {f"L{n}": n for n in range(50, 150)} | {"Other": sum(range(50))}
    assert list(languages)[-1] == "Other"


def test_a_main_language_with_a_long_name_is_cut(api: GitHubApi, github: GitHub) -> None:
    api.add("mine", language="C" * 101)
    assert len(github.fetch_repositories().repositories[0].language or "") == 100


def test_a_repository_has_commits_unless_github_calls_it_empty(
    api: GitHubApi, github: GitHub
) -> None:
    full, empty = api.add("full", size=0), api.add("empty", size=1)
    api.empty("empty")
    assert github.has_commits(full)
    assert not github.has_commits(empty)
    with pytest.raises(RepositoryGone):
        github.has_commits(1)


def test_long_languages_are_cut_and_stay_apart(api: GitHubApi, github: GitHub) -> None:
    api.add("mine", languages={"C" * 101: 1, "C" * 102: 2, "C\0": 3, "C": 4})
    languages = github.fetch_languages("octocat/mine")
    assert sorted(languages.values()) == [1, 2, 7]
    assert max(map(len, languages)) == 100
    assert languages["C"] == 7


@pytest.mark.parametrize("body", ["[]", "", '{"C": null}', '{"C": true}', '{"C": -1}'])
def test_languages_that_cannot_be_read_are_no_languages(
    api: GitHubApi, github: GitHub, body: str
) -> None:
    api.fail("/languages", 200, body=body, times=None)
    with pytest.raises(GitHubUnavailable, match="could not be read"):
        github.fetch_languages(1)


@pytest.mark.parametrize("change", ["rename", "transfer"])
def test_a_repository_that_moved_is_followed(api: GitHubApi, github: GitHub, change: str) -> None:
    github_id = api.add("mine", languages={"C": 1})
    getattr(api, change)("mine", "elsewhere")
    assert github.fetch_languages("octocat/mine") == {"C": 1}
    moved = github.fetch_repository(github_id)
    assert "elsewhere" in moved.full_name


def test_a_removed_repository_is_gone(api: GitHubApi, github: GitHub) -> None:
    github_id = api.add("mine")
    api.remove("mine")
    for repository in (github_id, "octocat/mine"):
        with pytest.raises(RepositoryGone):
            github.fetch_languages(repository)
    with pytest.raises(RepositoryGone):
        github.fetch_repository(github_id)


@pytest.mark.parametrize("status", [403, 451])
def test_a_blocked_repository_is_told_from_a_rate_limit(
    api: GitHubApi, github: GitHub, status: int
) -> None:
    github_id = api.add("mine")
    api.block("mine", status)
    for ask in (github.fetch_languages, github.fetch_repository):
        with pytest.raises(RepositoryBlocked):
            ask(github_id)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_token_does_not_follow_a_redirect_to_another_address(
    api: GitHubApi, status: int
) -> None:
    with GitHubApi() as other:
        api.fail("/user/repos", status, {"Location": f"{other.url}/user/repos"}, times=None)
        with pytest.raises(GitHubUnavailable, match="GITHUB_API_URL"):
            connect(api, attempts=2).fetch_repositories()
        assert other.requests == []


@pytest.mark.parametrize("location", ["/user/repos", "http://[bad", "//127.0.0.1:99999/x"])
def test_redirects_without_an_end_are_unavailable(api: GitHubApi, location: str) -> None:
    api.fail("", 302, {"Location": location}, times=None)
    with pytest.raises(GitHubUnavailable):
        connect(api, attempts=1).fetch_repositories()


def test_threads_share_one_client_without_mixing_answers(api: GitHubApi, github: GitHub) -> None:
    ids = [api.add(f"r{number}", languages={"C": number}) for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(github.fetch_languages, ids)) == [{"C": n} for n in range(200)]


def test_a_connection_is_used_again_and_one_dropped_by_the_server_is_replaced(
    api: GitHubApi, github: GitHub
) -> None:
    api.add("mine")
    assert names(github) == names(github) == ["mine"]
    api.drop_connections()
    assert names(github) == ["mine"]


def failures() -> dict[str, dict[str, Any]]:
    return {
        "server error": {"status": 500},
        "broken answer": {"status": 200, "body": f'{{"{CANARY}": '},
        "redirect": {"status": 301, "headers": {"Location": f"https://{CANARY}.invalid/x"}},
        "odd headers": {"status": 500, "headers": {CANARY: "a\r\nbroken line"}},
        "limit": {"status": 429, "headers": {"Retry-After": "100"}, "body": CANARY},
        "blocked": {"status": 451, "body": {"message": CANARY}},
        "gone": {"status": 404, "body": {"message": CANARY}},
        "refused": {"status": 401, "body": {"message": CANARY}},
        "odd refusal": {"status": 422, "body": {"message": CANARY}},
    }


@pytest.mark.parametrize("failure", failures())
def test_no_message_and_no_log_line_holds_a_name_a_url_or_the_token(
    api: GitHubApi, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    caplog.set_level(logging.INFO)
    api.add(CANARY, private=True)
    api.fail(CANARY, times=None, **failures()[failure])
    with pytest.raises(ProjectTrackerError) as caught:
        connect(api, attempts=2, max_wait=0).fetch_languages(f"octocat/{CANARY}")
    for text in (str(caught.value), caplog.text):
        assert CANARY not in text
        assert TOKEN not in text
        assert "127.0.0.1" not in text


def test_following_a_rename_logs_no_name(
    api: GitHubApi, github: GitHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api.add(CANARY, private=True)
    api.rename(CANARY, "other")
    github.fetch_languages(f"octocat/{CANARY}")
    assert CANARY not in caplog.text


def test_the_token_is_not_logged_even_for_debugging(
    api: GitHubApi, github: GitHub, caplog: pytest.LogCaptureFixture
) -> None:
    # An application of another test may have set their levels.
    for name in ("", "github", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name)
    github.fetch_repositories()
    assert caplog.records
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("token", ["ghp_with\u2028separator", "ghp_é"])
def test_a_malformed_token_is_refused_without_being_repeated(api: GitHubApi, token: str) -> None:
    with pytest.raises(ProjectTrackerError) as caught:
        connect(api, token=token).fetch_repositories()
    assert token not in str(caught.value)
    assert api.requests == []


def test_an_error_of_the_caller_passes_through_and_leaves_the_client_usable(
    api: GitHubApi, github: GitHub
) -> None:
    # Like a job's timeout, which is raised at any point of the job.
    class TimeIsUp(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise TimeIsUp

    api.add("mine")
    api.drip("/user/repos")
    former = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(TimeIsUp):
            github.fetch_repositories()
    finally:
        signal.signal(signal.SIGALRM, former)
    api.heal()
    assert names(github) == ["mine"]


@pytest.mark.long
def test_ten_thousand_repositories_are_listed_quickly_and_in_little_memory(
    api: GitHubApi, github: GitHub
) -> None:
    for number in range(10_000):
        api.add(f"repository-{number}")
    start = time.process_time()
    listed = github.fetch_repositories().repositories
    assert time.process_time() - start < 5
    assert len(listed) == 10_000
    assert len(api.requests) == 100
    tracemalloc.start()
    listed = github.fetch_repositories().repositories
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


def test_compressed_answers_are_read(api: GitHubApi, github: GitHub) -> None:
    packed = gzip.compress(b'{"C": 12}')
    api.fail("/languages", 200, {"Content-Encoding": "gzip"}, packed)
    assert github.fetch_languages(1) == {"C": 12}


def test_every_error_is_one_of_the_projects_own(api: GitHubApi) -> None:
    for status in (400, 405, 410, 418, 422, 499, 501, 599):
        api.heal()
        api.fail("", status, body=b"\x00", times=None)
        with pytest.raises(GitHubError):
            connect(api, attempts=1).fetch_repository(1)
