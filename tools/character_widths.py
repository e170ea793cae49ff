"""Generate the table of character widths for the layout of badges and legends.

    python -m tools.character_widths

Chromium measures each character as SVG text, in the first of Verdana and DejaVu Sans that is
installed (they have nearly the same metrics). Playwright and /usr/bin/chromium must be there.
"""

from __future__ import annotations

import json
from collections import defaultdict

from playwright.sync_api import sync_playwright

from tools.chromium import ARGUMENTS, EXECUTABLE
from web.charts.text import FONT_FAMILY, FONT_SIZE, WIDTHS_FILE

RANGES = (
    (0x20, 0x7E),
    (0xA0, 0x17F),
    (0x370, 0x3FF),
    (0x400, 0x4FF),
    (0x2010, 0x2044),
    (0x20A0, 0x20BF),
    (0x2190, 0x21FF),
    (0x2212, 0x2212),
    (0x2500, 0x25FF),
    (0x2713, 0x2717),
)

# Between two bars, because a space at the end of a text has no width.
MEASURE = """
([characters, family, size, weight]) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
  text.setAttribute("font-family", family);
  text.setAttribute("font-size", size * 10);
  text.setAttribute("font-weight", weight);
  text.setAttribute("text-rendering", "geometricPrecision");
  text.setAttribute("xml:space", "preserve");
  svg.append(text);
  document.body.append(svg);
  const width = (content) => {
    text.textContent = content;
    return text.getComputedTextLength() / 10;
  };
  const bars = width("||");
  return characters.map((character) => width("|" + character + "|") - bars);
}
"""


def _is_visible(character: str) -> bool:
    return character.isprintable() or character == "\xa0"


def main() -> None:
    """Measure every character of the ranges in both weights and write the table."""
    characters = [
        chr(code)
        for first, last in RANGES
        for code in range(first, last + 1)
        if _is_visible(chr(code))
    ]
    table: dict[str, dict[str, str]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=list(ARGUMENTS))
        page = browser.new_page()
        page.set_content("<!doctype html><body>")
        for weight in ("normal", "bold"):
            widths = page.evaluate(MEASURE, [characters, FONT_FAMILY, FONT_SIZE, weight])
            groups: dict[str, str] = defaultdict(str)
            for character, width in zip(characters, widths, strict=True):
                groups[f"{width:.2f}"] += character
            table[weight] = dict(sorted(groups.items(), key=lambda item: float(item[0])))
        measured_by = f"Chromium {browser.version}"
        browser.close()
    data = {"font": FONT_FAMILY, "size": FONT_SIZE, "measured_by": measured_by, **table}
    WIDTHS_FILE.write_text(json.dumps(data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
