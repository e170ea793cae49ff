"""The environment that git runs in.

It is built from scratch, so that no configuration, hook, filter, credential helper or proxy of this
host is used. The token is only in git's environment, from which `askpass.sh` prints it: it is in no
argument, URL, file or message.
"""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from errors import MeasureError

from .figures import Options, Source

ASKPASS = Path(__file__).with_name("askpass.sh")
SILENCE = 60  # seconds without a byte after which a transfer is aborted

CONFIGURATION = {
    "advice.detachedHead": "false",
    "core.fsmonitor": "false",
    "core.fsync": "none",  # a clone exists for seconds
    "core.hooksPath": "/dev/null",
    "core.symlinks": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "http.followRedirects": "false",  # or another host could request the token
    # A byte a second is what git's own keep-alive sends while a server prepares a large pack.
    "http.lowSpeedLimit": "1",
    "init.defaultBranch": "main",
    "maintenance.auto": "false",
    "protocol.version": "2",
    "safe.bareRepository": "explicit",
    "submodule.recurse": "false",
}


def environment(source: Source, options: Options, folder: Path) -> dict[str, str]:
    """Return git's environment, built from scratch, with `folder` as its home."""
    configuration = CONFIGURATION | {
        "http.lowSpeedTime": str(max(1, min(SILENCE, options.clone_timeout)))
    }
    env = {
        "PATH": options.search_path,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder),
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": allowed_protocol(source.url),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": str(len(configuration)),
        # Otherwise git log flushes its output after every commit.
        "GIT_FLUSH": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        # Otherwise malloc maps and unmaps pages for each file of more than 128 kB at every commit,
        # which takes a third of the time of a history of such files.
        "MALLOC_MMAP_THRESHOLD_": str(4 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
    }
    for number, (key, value) in enumerate(configuration.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    if source.token is not None and allowed_protocol(source.url) != "file":
        parts = urlsplit(source.url)
        env |= {
            "GIT_ASKPASS": str(ASKPASS),
            "PROJECT_TRACKER_ORIGIN": f"{parts.scheme}://{parts.netloc}",
            "PROJECT_TRACKER_ORIGIN_AS_USER": f"{parts.scheme}://x-access-token@{parts.netloc}",
            "PROJECT_TRACKER_TOKEN": source.token,
        }
    return env


def allowed_protocol(url: str) -> str:
    """Return the one protocol that a source may use: https, http on loopback, or file.

    Raises MeasureError for any other address, and for one with a user name or password in it.
    """
    if "://" not in url:
        return "file"
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise MeasureError("its address holds a user name or password")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname)):
        return parts.scheme
    raise MeasureError("its address is neither https:// nor a local folder")


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
