"""Random histories of all that cloc's count depends on: content, names, copies, links and more."""

from __future__ import annotations

import random

from tests.support.fast_import import Content, Entry
from tests.support.repos import RepoBuilder

DAY = 86_400

CONTENTS: tuple[bytes, ...] = (
    b"",
    b"x = 1\n# note\ny = 2\n",
    b"int main(void) { return 0; }\n/* note */\n// note\n",
    b"#!/usr/bin/env python3\nprint(1)\n",
    b"#!/bin/sh\n# note\necho hello\n",
    b"<?xml version='1.0'?>\n<root>\n<!-- note -->\n<leaf/>\n</root>\n",
    b"one\r\ntwo\r\n\r\n# three\r\n",
    b"# $Id$\nvalue = '$Id$'\n",
    b"\x00\x01\x02binary\x00",
    b"all: build\n\techo $@\n# note\n",
    b"function f() { return 1; }\n% note\n",
    b":- module(m).\nfact(1).\n",
    b"caf\xe9 = 1\n",
    "größe = 1\n".encode("utf-16"),
    b"no line feed at the end",
    b"> main = 1\n\nnote\n",
)

NAMES: tuple[bytes, ...] = (
    b"a.py",
    b"b.py",
    b"c.c",
    b"d.h",
    b"notes.txt",
    b"script",
    b"build",
    b"dist",
    b"Makefile",
    b"pom.xml",
    b"data.unknown",
    b"run.pl",
    b"figure.m",
    b"main.lhs",
    b"Dockerfile",
    b"style.css~",
    b"with,comma.js",
    b'with "quotes".js',
    b"tab\there.rb",
    b"line\nfeed.py",
    b"not-utf8-\xff\xfe.py",
    "größe.go".encode(),
    b" leading.ts",
    b"-dash.sh",
    b"a.d.ts",
    b"1",
)

FOLDERS: tuple[bytes, ...] = (
    b"",
    b"",
    b"src/",
    b"src/inner/",
    b"src.d/",
    b"build/",
    b"lib/build/out/",
    b"1/",
    b"odd \xff/",
)

COUNTED_WHOLE: dict[bytes, Content] = {
    b".gitattributes": b"*.py eol=crlf\n",
    b"src/.gitattributes": b"*.py ident\n",
    b"lib/.gitattributes": b"[attr]wide working-tree-encoding=UTF-16\n*.go wide\n",
    b".config/settings.py": b"x = 1\n",
    b"src/.hg": b"#!/bin/sh\necho\n",
}
"""Files whose count depends on more than blobs and names."""

HARMLESS: dict[bytes, Content] = {
    b".gitattributes": b"* text=auto\n*.sh text eol=lf\n*.py filter=lfs diff=python\n*.c -ident\n",
    b"build/.gitattributes": b"*.py eol=crlf\n",
}


GENERATED_NAMES = (b"package-lock.json", b"yarn.lock", b"x.min.js", b"x-min.css", b"min.js")

GENERATED: dict[bytes, Content] = {
    b".gitattributes": (
        b"[attr]made linguist-generated\n*.c made\nlib/** linguist-vendored\n"
        b"lib/build/** -linguist-vendored\n*.json linguist-generated=false\n*.rb made=false\n"
    ),
    b"src/.gitattributes": b"* linguist-vendored=true\n.gitattributes -linguist-vendored\n",
    b"src/inner/.gitattributes": b"* !linguist-vendored\n*.css -linguist-generated\n",
    b"1/.gitattributes": b"* eol=crlf linguist-vendored\n*.py -linguist-vendored\n",
}
"""Attributes that leave files out as generated, the last one itself, and one whose rules stay."""


def grow(
    repo: RepoBuilder,
    chance: random.Random,
    commits: int,
    step: int = DAY,
    names: tuple[bytes, ...] = NAMES,
    harmless: dict[bytes, Content] = HARMLESS,
) -> list[str]:
    """Add random commits of files of these names and return their names.

    `harmless` are files that are added now and then beside those of COUNTED_WHOLE.
    """
    present: set[bytes] = set()
    made = []
    for number in range(commits):
        changes: dict[bytes, Content] = {}
        if number % 11 == 10:
            changes = dict.fromkeys(present)  # an empty tree
        else:
            for _ in range(chance.randrange(1, 9)):
                changes |= _change(chance, present - changes.keys(), names)
            _special(chance, present, changes, harmless)
        changes = _without_clashes(changes, present)
        present |= {path for path, content in changes.items() if content is not None}
        present -= {path for path, content in changes.items() if content is None}
        made.append(repo.commit(changes, when=repo.clock + chance.randrange(1, 2 * step)))
    return made


def _change(
    chance: random.Random, present: set[bytes], names: tuple[bytes, ...]
) -> dict[bytes, Content]:
    path = chance.choice(FOLDERS) + chance.choice(names)
    kind = chance.random()
    if kind < 0.2 and present:
        return {chance.choice(sorted(present)): None}
    if kind < 0.35:
        return {path: Entry("120000", _target(chance, present))}
    content = chance.choice(CONTENTS)
    if kind < 0.7:  # most are not duplicates, as in life
        content += b"value_%d = %d\n" % (chance.randrange(50), chance.randrange(50))
    return {path: Entry("100755", content) if kind < 0.5 else content}


def _target(chance: random.Random, present: set[bytes]) -> bytes:
    near = [path.rpartition(b"/")[2] for path in sorted(present)]
    return chance.choice(
        [*near, b"../a.py", b"src/a.py", b"/etc/passwd", b"src", b"..", b"x" * 5000]
    )


def _special(
    chance: random.Random,
    present: set[bytes],
    changes: dict[bytes, Content],
    harmless: dict[bytes, Content],
) -> None:
    """Add now and then what makes a commit special, and take it away soon."""
    for path in COUNTED_WHOLE:
        if path in present and chance.random() < 0.6:
            changes[path] = None
    kind = chance.random()
    choices = COUNTED_WHOLE if kind < 0.25 else harmless if kind < 0.5 else {}
    if choices:
        path = chance.choice(sorted(choices))
        changes[path] = choices[path]


def _without_clashes(changes: dict[bytes, Content], present: set[bytes]) -> dict[bytes, Content]:
    """Leave out files that would be folders as well."""
    kept: dict[bytes, Content] = {
        path: None for path, content in changes.items() if content is None
    }
    there = present - kept.keys()
    for path, content in changes.items():
        if content is None:
            continue
        inside = any(other.startswith(path + b"/") for other in there)
        above = any(path.startswith(other + b"/") for other in there)
        if not inside and not above:
            kept[path] = content
            there.add(path)
    return kept
