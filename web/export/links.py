"""The links of a page: their addresses, and the relative links of a static site."""

from __future__ import annotations

import html
import posixpath
import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from web.export.layout import FOLLOWED, Address, Layout

LINK: Final = re.compile(r'(?P<before>\s(?:href|src|data)=")(?P<url>/(?!/)[^"]*)(?=")')


def relative_links(page: str, file: str, layout: Layout, root: str) -> tuple[str, set[Address]]:
    """Make a page's links relative to its file; return the page and the linked addresses.

    ``root`` is the path of the site's URL. Links to what is not exported stay as they are.
    """
    found = set()

    def replace(match: re.Match[str]) -> str:
        url = html.unescape(match["url"])
        address = _read(url, root)
        target = layout.find_file(address)
        if target is None:
            return match[0]
        found.add(address)
        relative = quote(posixpath.relpath(target, posixpath.dirname(file) or "."))
        parts = urlsplit(url)
        # The version of an asset stays, so that no browser shows an old one.
        query = f"?{parts.query}" if target.startswith("static/") and parts.query else ""
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        return match["before"] + html.escape(relative + query + fragment)

    return LINK.sub(replace, page), found


def _read(url: str, root: str) -> Address:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if root and path.startswith(f"{root}/"):
        path = path.removeprefix(root)
    if path.startswith("/static/"):
        return Address(path)
    given = dict(parse_qsl(parts.query))
    return Address(path, tuple((name, given[name]) for name in FOLLOWED if name in given))
