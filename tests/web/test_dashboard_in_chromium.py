"""The page in a real browser, from a real server, with what the fake of GitHub has."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from app import create_app
from tests.support.browser import chromium
from tests.support.redis_server import RedisServer
from tests.support.service import LIMIT, Service, serving
from tests.support.world import World
from web import assets
from web.export import export_site

pytestmark = [pytest.mark.needs_chromium, pytest.mark.needs_cloc]

WAIT = LIMIT * 1000
TOKEN = "open-sesame"

# What axe finds in order is much, and takes long to come over.
VIOLATIONS = """
async () => (await axe.run({resultTypes: ["violations"]})).violations
  .map(({id, nodes}) => [id, nodes])
"""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def account(world: World) -> World:
    """Two repositories that can be measured and one that cannot."""
    world.add("alpha", commits=2)
    world.add("beta", commits=5, languages={"Rust": 10})
    world.add("broken")
    world.git.fail("broken", status=500)
    return world


@contextmanager
def started(environment: dict[str, str], folder: Path, **variables: str) -> Iterator[Service]:
    given = {**environment, "HOME": os.environ.get("HOME", "/"), **variables}
    with serving(given, folder) as service:
        service.start_web()
        yield service


@pytest.fixture
def service(environment: dict[str, str], account: World, tmp_path: Path) -> Iterator[Service]:
    with started(environment, tmp_path) as service:
        yield service


@pytest.fixture
def refreshed(service: Service) -> Service:
    assert service.post().status_code == 200
    return service


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open pages; what the console says and requests to other hosts are failures."""
    contexts: list[BrowserContext] = []
    said: list[str] = []

    def note_foreign(url: str, origin: str) -> None:
        if not url.startswith(origin):
            said.append(url)

    def open_page(url: str, **options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(WAIT)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        origin = re.match(r"https?://[^/]+/", url)
        assert origin
        page.on("request", lambda request: note_foreign(request.url, origin[0]))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    # The answers that a test provokes are the browser's to complain of.
    assert [each for each in said if "401" not in each and "ERR_" not in each] == []


def names(page: Page) -> list[str]:
    return page.locator("#projects tbody tr:visible th a").all_text_contents()


def check_accessibility(page: Page) -> None:
    page.evaluate(Path(AXE_FILE_PATH).read_text())
    assert page.evaluate(VIOLATIONS) == []


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve files as a static host does, and return its origin."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def rgb(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 360),
        ("dark", 1600),
        *(
            pytest.param(scheme, width, marks=pytest.mark.long)
            for scheme, width in (("dark", 360), ("light", 768), ("dark", 768), ("light", 1600))
        ),
    ],
)
def test_colours_and_accessibility(refreshed: Service, open_page: Open, scheme: str, width: int):
    theme = assets.read_asset(f"theme-{scheme}.css")
    colours = {name: rgb(value) for name, value in re.findall(r"--([\w-]+): (#\w{6});", theme)}
    for path in ("/dashboard", "/dashboard/alpha"):
        page = open_page(
            refreshed.url + path,
            color_scheme=scheme,
            viewport={"width": width, "height": 900},
            bypass_csp=False,
        )
        fill = "getComputedStyle(document.querySelector('.picture rect.step-0')).fill"
        assert page.evaluate(fill) == colours["step-0"]
        body = "getComputedStyle(document.documentElement).backgroundColor"
        assert page.evaluate(body) == colours["canvas"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        check_accessibility(page)


def test_sorting_filtering_and_opening(refreshed: Service, open_page: Open):
    page = open_page(f"{refreshed.url}/dashboard")
    header = page.locator("#projects th", has_text="Commits")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert names(page)[:2] == ["beta", "alpha"]
    header.get_by_role("button").press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(page)[-1] == "beta"
    page.locator("#filter-text").fill("ALP")
    assert names(page) == ["alpha"]
    expect(page.locator("#shown")).to_have_text("1 of 3")
    page.locator("#filter-text").fill("nothing like it")
    expect(page.locator("#none-shown")).to_be_visible()
    page.locator("#filter-text").fill("")
    page.locator("#filter-language").select_option("Rust")
    assert names(page) == ["beta"]
    page.get_by_role("link", name="beta").click()
    expect(page.locator("h1")).to_have_text("beta")
    expect(page.locator(".origin").first).to_have_text(refreshed.url)


def test_a_refresh_is_watched_to_its_end(service: Service, open_page: Open):
    page = open_page(f"{service.url}/dashboard")
    expect(page.get_by_text("Nothing has been measured yet")).to_be_visible()
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("#refresh-said")).to_contain_text("could not be measured", timeout=WAIT)
    assert sorted(names(page)) == ["alpha", "beta", "broken"]
    expect(page.locator(".message.warning")).to_contain_text("broken:")
    expect(page.locator("#refreshing")).to_be_hidden()
    expect(page.get_by_role("button", name="Refresh", exact=True)).to_be_enabled()
    expect(page.locator("#refreshed")).to_contain_text("just now")


def test_a_refresh_that_a_worker_runs_is_watched(
    environment: dict[str, str],
    own_redis: RedisServer,
    account: World,
    tmp_path: Path,
    open_page: Open,
):
    with started(environment, tmp_path, REDIS_URL=own_redis.url) as service:
        page = open_page(f"{service.url}/dashboard")
        check_accessibility(page)
        with page.expect_response("**/api/refresh") as asked:
            page.get_by_role("button", name="Refresh").click()
        assert asked.value.status == 202
        # Nobody works yet.
        expect(page.locator("#refreshing")).to_be_visible()
        expect(page.locator("#refresh-done")).to_contain_text("GitHub is being asked")
        check_accessibility(page)
        other = open_page(f"{service.url}/dashboard")
        expect(other.get_by_text("The first refresh is under way")).to_be_visible()
        service.start_worker()
        for each in (page, other):
            expect(each.locator("#refresh-said")).to_contain_text("could not be", timeout=WAIT)
            assert sorted(names(each)) == ["alpha", "beta", "broken"]
            check_accessibility(each)


def test_polls_that_fail_are_survived(service: Service, open_page: Open):
    page = open_page(f"{service.url}/dashboard")
    failed: list[str] = []

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    def fail_twice(route: Route) -> None:
        if len(failed) < 2:
            failed.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/api/refresh", lose_the_answer)
    page.route("**/api/refresh/jobs", fail_twice)
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("#refresh-said")).to_contain_text("could not be measured", timeout=WAIT)
    assert len(failed) == 2


def test_the_token_is_asked_for(
    environment: dict[str, str], account: World, tmp_path: Path, open_page: Open
):
    with started(environment, tmp_path, REFRESH_TOKEN=TOKEN) as service:
        page = open_page(f"{service.url}/dashboard")
        page.get_by_role("button", name="Refresh").click()
        field = page.get_by_label("Refresh token")
        expect(field).to_be_focused()
        check_accessibility(page)
        field.fill("wrong")
        field.press("Enter")
        expect(page.locator("#refresh-said")).to_have_text("That is not the token.")
        field.fill(TOKEN)
        field.press("Enter")
        expect(page.locator("#refresh-said")).to_contain_text("could not", timeout=WAIT)
        assert "alpha" in names(page)


def test_everything_is_there_without_javascript(refreshed: Service, open_page: Open):
    page = open_page(f"{refreshed.url}/dashboard", java_script_enabled=False)
    assert sorted(names(page)) == ["alpha", "beta", "broken"]
    expect(page.locator(".picture .chart").first).to_be_visible()
    expect(page.locator("#refresh")).to_be_hidden()
    expect(page.locator("noscript code").first).to_be_visible()
    page.get_by_role("link", name="alpha").click()
    expect(page.locator("h1")).to_have_text("alpha")


def test_an_exported_site_works_below_a_path(refreshed: Service, tmp_path: Path, open_page: Open):
    app = create_app(refreshed.environment)
    export_site(app, tmp_path / "site" / "figures")
    with served(tmp_path / "site") as origin:
        page = open_page(f"{origin}/figures/")
        assert sorted(names(page)) == ["alpha", "beta", "broken"]
        check_accessibility(page)
        page.get_by_role("link", name="alpha").click()
        expect(page.locator("h1")).to_have_text("alpha")
        check_accessibility(page)
        line = page.locator(".line code", has_text="card").text_content()
        assert line == f"![alpha]({origin}/figures/api/card/alpha.svg)"
        page.locator(".choice a").nth(1).click()
        expect(page.locator(".choice a").nth(1)).to_have_attribute("aria-current", "true")
        for name, path in (
            ("These figures as JSON", "api/project/alpha.json"),
            ("The API", "api/openapi.json"),
        ):
            address = page.get_by_role("link", name=name).evaluate("link => link.href")
            assert address == f"{origin}/figures/{path}"
            assert page.request.get(address).ok
        page.get_by_role("link", name="← All projects").click()
        expect(page.locator("#projects")).to_be_visible()


def test_a_browser_that_asks_for_the_root_is_sent_to_the_page(refreshed: Service, open_page: Open):
    assert open_page(f"{refreshed.url}/").url.endswith("/dashboard")
