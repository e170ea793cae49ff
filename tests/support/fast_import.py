"""Commands of `git fast-import`, as bytes, and the contents of made-up histories."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """An entry of a tree that is not a plain file.

    Modes: 100755 program, 120000 link (data: its target), 160000 submodule (data: a commit's sha).
    """

    mode: str
    data: bytes


Name = str | bytes
Content = str | bytes | Entry | None
Files = Mapping[str, Content] | Mapping[bytes, Content] | Mapping[Name, Content]


def edited(
    texts: dict[str, list[str]], commits: int, edits: int, seed: int
) -> Iterator[dict[str, str]]:
    """Yield, for each commit, the files it changes: `edits` of `texts`, which change with it."""
    chance = random.Random(seed)
    names = list(texts)
    for _ in range(commits):
        picked = chance.sample(names, min(edits, len(names)))
        yield {name: _edit(texts[name], chance) for name in picked}


def _edit(text: list[str], chance: random.Random) -> str:
    """Replace, add or remove a few lines and return the file's whole content."""
    for _ in range(1 + chance.randrange(3)):
        place = chance.randrange(len(text))
        text[place] = f"value_{chance.randrange(10**6)} = {chance.randrange(10**9)}"
    if chance.random() < 0.3:
        text.insert(chance.randrange(len(text)), f"# note {chance.randrange(10**9)}")
    elif len(text) > 5 and chance.random() < 0.3:
        del text[chance.randrange(len(text))]
    return "\n".join(text) + "\n"


def changes(files: Files) -> list[bytes]:
    """Return the commands that change files to a content, or (None) remove them."""
    return [_changed(path, content) for path, content in files.items()]


def _changed(path: Name, content: Content) -> bytes:
    name = quoted(path)
    if content is None:
        return b"D %s" % name
    if isinstance(content, str):
        content = content.encode()
    entry = content if isinstance(content, Entry) else Entry("100644", content)
    if entry.mode == "160000":
        return b"M 160000 %s %s" % (entry.data, name)
    return b"M %s inline %s\n%s" % (entry.mode.encode(), name, data(entry.data))


def data(content: bytes) -> bytes:
    """Return a block of data with its length before it."""
    return b"data %d\n%s" % (len(content), content)


def quoted(path: Name) -> bytes:
    """Quote a path as fast-import reads it, whatever bytes it holds."""
    raw = os.fsencode(path)
    return b'"%s"' % b"".join(
        bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\' else b"\\%03o" % byte
        for byte in raw
    )
