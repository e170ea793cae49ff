"""Pictures in a real browser, under the policy that the page is served with."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import PictureServer, chromium
from tests.support.pictures import ENORMOUS, FIGURES, PICTURES
from web import assets
from web.charts import BADGE_FIGURES, Badge, Theme, figure_badge
from web.charts.languages import read_data
from web.charts.text import text_width

pytestmark = pytest.mark.needs_chromium

EVERY_PICTURE = "".join(f"<p>{picture.inline()}</p>" for picture in PICTURES.values())
SCHEMES = ("light", "dark")

FILLS = """
() => Object.fromEntries([...document.querySelectorAll(
    ".chart rect[class], .chart .swatch, .chart text, .chart .spark, .chart .chart-panel"
  )].map((each) => {
    const style = getComputedStyle(each);
    return [each.getAttribute("class") || "text",
            each.matches(".spark") ? style.stroke : style.fill];
  }))
"""

# Each text that reaches over its picture's edge, by more than a rounding.
OUTSIDE = """
() => [...document.querySelectorAll("text")].filter((each) => {
  const own = each.getBoundingClientRect();
  const whole = each.ownerSVGElement.getBoundingClientRect();
  return own.width > 0 && (own.left < whole.left - 1 || own.right > whole.right + 1
    || own.top < whole.top - 1 || own.bottom > whole.bottom + 1);
}).map((each) => each.textContent)
"""

# Each text that lies over another one.
OVERLAPPING = """
() => {
  const texts = [...document.querySelectorAll("text")].map((each) => [each.textContent,
    each.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
  const found = [];
  texts.forEach(([text, a], i) => texts.slice(i + 1).forEach(([other, b]) => {
    if (a.left < b.right - 1 && b.left < a.right - 1
        && a.top < b.bottom - 3 && b.top < a.bottom - 3)
      found.push([text, other]);
  }));
  return found;
}
"""

NATURAL_WIDTHS = """
() => [...document.querySelectorAll("text")].map((each) => {
  const set = Number(each.getAttribute("textLength"));
  each.removeAttribute("textLength");
  return [each.textContent, set / 10, each.getComputedTextLength() / 10];
})
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[PictureServer]:
    with PictureServer() as started:
        yield started


@pytest.fixture(scope="module", params=SCHEMES)
def window(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in a system of either scheme; to open one takes longer than most tests."""
    context = browser.new_context(color_scheme=request.param)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(window: Page) -> Iterator[Page]:
    """The page of one scheme; whatever its console says during a test is a failure."""
    said: list[str] = []

    def note(message: object) -> None:
        said.append(str(message))

    window.on("console", note)
    window.on("pageerror", note)
    yield window
    window.remove_listener("console", note)
    window.remove_listener("pageerror", note)
    assert said == []


def scheme_of(page: Page) -> str:
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    return "dark" if dark else "light"


def rgb(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


def theme(scheme: str) -> dict[str, str]:
    css = assets.read_asset(f"theme-{scheme}.css")
    return {name: rgb(value) for name, value in re.findall(r"--([a-z0-9-]+): (#\w{6});", css)}


def expected_fill(css_class: str, colours: dict[str, str]) -> str:
    """Return the colour that an element of some classes must have."""
    names = css_class.split()
    for name in names:
        if name.startswith(("step-", "series-")):
            return colours[name]
        if name == "lang-other":
            return colours["other"]
        if name.startswith("lang-"):
            by_class = {
                "lang-c_2b_2b": "C++",
                "lang-javascript": "JavaScript",
                "lang-css": "CSS",
            }
            language = by_class.get(name, name.removeprefix("lang-").capitalize())
            return rgb(read_data()["colours"][language])
    special = {
        "spark": "accent",
        "chart-panel": "canvas",
        "chart-name": "text",
        "chart-strong": "text",
        "chart-head": "text",
        "chart-warning": "warning",
    }
    return colours[special.get(names[0], "muted")]


def check_fills(page: Page, colours: dict[str, str]) -> None:
    found: dict[str, str] = page.evaluate(FILLS)
    assert found
    assert found == {css_class: expected_fill(css_class, colours) for css_class in found}


def test_colours_within_the_page(page: Page, server: PictureServer):
    page.goto(server.page(EVERY_PICTURE))
    check_fills(page, theme(scheme_of(page)))


@pytest.mark.parametrize("asked", Theme)
@pytest.mark.parametrize("name", ["calendar", "languages", "growth of projects", "card of much"])
def test_colours_of_a_document(page: Page, server: PictureServer, name: str, asked: Theme):
    page.goto(server.document(PICTURES[name].document(asked)))
    check_fills(page, theme(scheme_of(page) if asked is Theme.AUTO else asked))


def test_cells_have_a_size(page: Page, server: PictureServer):
    page.goto(server.page(PICTURES["calendar"].inline()))
    sizes = page.evaluate(
        "[...document.querySelectorAll('rect')].map((e) => [e.getBBox().width, e.getBBox().height])"
    )
    assert {tuple(size) for size in sizes} == {(11, 11)}


def test_no_text_is_cut_off_or_overlaps(page: Page, server: PictureServer):
    page.set_viewport_size({"width": 1000, "height": 800})
    page.goto(server.page(EVERY_PICTURE))
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(OVERLAPPING) == []


def test_a_broken_policy_would_be_noticed(browser: Browser, server: PictureServer):
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(server.page("<svg><rect class='step-4' style='fill: red'/></svg>"))
    assert (
        page.evaluate("getComputedStyle(document.querySelector('rect')).fill")
        == theme("light")["step-4"]
    )
    page.close()
    assert len(said) == 1


BADGES = [
    *(figure_badge(name, figures) for name in BADGE_FIGURES for figures in (FIGURES, ENORMOUS)),
    Badge("Tätigkeit", "Größe, Wörter …"),
    Badge("язык", "Привет, мир"),
    Badge("WWWWWWWW", "iiiiiiii.....|||||"),
]


def test_badges_are_as_wide_as_their_texts(browser: Browser, server: PictureServer):
    page = browser.new_page()
    page.goto(server.page("".join(badge.svg() for badge in BADGES)))
    widths = page.evaluate(NATURAL_WIDTHS)
    page.close()
    assert len(widths) == 4 * len(BADGES)
    for text, given, natural in widths:
        # The table knows characters one by one; the font moves some pairs closer together.
        assert given == pytest.approx(natural, rel=0.04, abs=1), text


def test_table_of_widths_is_what_chromium_measures(browser: Browser, server: PictureServer):
    words = ["lines of code", "0123456789", "The quick brown fox jumps over the lazy dog", "ÄÖÜß €"]
    page = browser.new_page()
    page.goto(server.document("".join([
        '<svg xmlns="http://www.w3.org/2000/svg">',
        *(f'<text font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="110" '
          f'text-rendering="geometricPrecision">{word}</text>' for word in words),
        "</svg>",
    ])))  # fmt: skip
    measured = page.evaluate(
        "[...document.querySelectorAll('text')].map((each) => each.getComputedTextLength() / 10)"
    )
    page.close()
    assert [text_width(word) for word in words] == pytest.approx(measured, rel=0.01)
