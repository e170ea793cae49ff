"""The export: every page, JSON answer and picture as a file, with relative links."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from flask import Flask
from werkzeug.test import Client, TestResponse

from config import PrivateMode, Settings
from errors import ExportError
from web.accept import EXPORTING
from web.export.folder import ExportFolder
from web.export.layout import Address, Layout
from web.export.links import relative_links

__all__ = ["Exported", "export_site"]

DEFAULT_URL: Final = "http://localhost"


@dataclass(frozen=True)
class Exported:
    """How many files an export has and has removed, and which were changed since the last one."""

    files: int
    removed: int
    changed: list[str]


def export_site(
    app: Flask, folder: Path, *, include_private: bool = False, url: str | None = None
) -> Exported:
    """Write pages, JSON answers and pictures to a folder, and remove those of an earlier export.

    Private repositories are left out unless ``include_private``, whatever PRIVATE_REPOSITORIES
    says. ``url`` is where the site will be. Raises ExportError.
    """
    site = (url or DEFAULT_URL).rstrip("/")
    output = ExportFolder(folder)
    with _rendering(app, include_private=include_private), app.app_context():
        layout = Layout(app)
        waiting = deque(dict.fromkeys(layout.addresses()))
        known = set(waiting)
        while waiting:
            address = waiting.popleft()
            file = layout.find_file(address)
            answer = _ask(app, address, site) if file is not None else None
            if file is None or answer is None:
                continue
            content = answer.get_data()
            if answer.mimetype == "text/html":
                page, linked = relative_links(content.decode(), file, layout, urlsplit(site).path)
                content = page.encode()
                waiting.extend(sorted(linked - known))
                known |= linked
            output.write(file, content)
    removed, changed = output.finish()
    return Exported(len(output.files), removed, changed)


@contextmanager
def _rendering(app: Flask, *, include_private: bool) -> Iterator[None]:
    """Set an application's private mode for an export, and allow any host name."""
    before = {name: app.config[name] for name in ("SETTINGS", "TRUSTED_HOSTS")}
    settings: Settings = before["SETTINGS"]
    mode = PrivateMode.SHOW if include_private else PrivateMode.HIDE
    app.config["SETTINGS"] = replace(settings, private_repositories=mode)
    app.config["TRUSTED_HOSTS"] = None
    try:
        yield
    finally:
        app.config.update(before)


def _ask(app: Flask, address: Address, site: str) -> TestResponse | None:
    """Return the answer of an address, or None where it has none.

    The request bypasses the cache, whose answers depend on the settings that the application was
    started with and may contain private repositories.
    """
    client = Client(partial(Flask.wsgi_app, app))
    answer = client.get(
        quote(address.path, errors="surrogatepass"),
        base_url=f"{site}/",
        query_string=urlencode(address.query),
        environ_base={EXPORTING: True},
        buffered=True,
    )
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        raise ExportError(f"{address.path} answered with status {answer.status_code}")
    return answer
