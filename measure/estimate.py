"""Lines of code estimated from the sizes of files, for when no counter works."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from .figures import NotCounted, not_counted

VERSION = "1"
TOO_LARGE = "larger than 100 MB"
UNKNOWN = "of a kind that the estimate does not know"
BYTES_PER_LINE = 40  # of code; blank lines and comments are in it
LOOKED_AT = 8000  # bytes
LARGEST = 100 * 1024 * 1024  # larger files were not written by hand; cloc's limit, too

LANGUAGES = {
    "Assembly": ".asm .s",
    "Bourne Shell": ".sh .bash",
    "C": ".c",
    "C#": ".cs",
    "C++": ".cc .cpp .cxx",
    "C/C++ Header": ".h .hh .hpp",
    "CSS": ".css",
    "Clojure": ".clj",
    "Dart": ".dart",
    "Elixir": ".ex .exs",
    "Erlang": ".erl",
    "Go": ".go",
    "HTML": ".htm .html",
    "Haskell": ".hs",
    "JSON": ".json",
    "JSX": ".jsx",
    "Java": ".java",
    "JavaScript": ".js .mjs",
    "Julia": ".jl",
    "Kotlin": ".kt .kts",
    "Lua": ".lua",
    "Markdown": ".md",
    "OCaml": ".ml",
    "Objective-C": ".m",
    "PHP": ".php",
    "Perl": ".pl .pm",
    "Python": ".py",
    "R": ".r",
    "Ruby": ".rb",
    "Rust": ".rs",
    "SQL": ".sql",
    "Sass": ".sass .scss",
    "Scala": ".scala",
    "Svelte": ".svelte",
    "Swift": ".swift",
    "TOML": ".toml",
    "Tcl/Tk": ".tcl",
    "TypeScript": ".ts .tsx",
    "Vuejs Component": ".vue",
    "XML": ".xml",
    "YAML": ".yaml .yml",
}
BY_SUFFIX = {suffix: name for name, suffixes in LANGUAGES.items() for suffix in suffixes.split()}


def estimate(tree: Path) -> tuple[dict[str, int], tuple[NotCounted, ...]]:
    """Return the estimated lines of code by language below a folder, and the files left out."""
    sizes: Counter[str] = Counter()
    left_out: list[tuple[str, str]] = []
    for where, _, names in os.walk(tree):
        for path in (Path(where, name) for name in names):
            if path.is_symlink() or not (size := path.stat().st_size):
                continue
            language = BY_SUFFIX.get(path.suffix.lower())
            if language and size <= LARGEST:
                sizes[language] += size
            elif is_text(path):
                reason = TOO_LARGE if size > LARGEST else UNKNOWN
                left_out.append((reason, printable(path.relative_to(tree))))
    languages = {language: -(-size // BYTES_PER_LINE) for language, size in sizes.items()}
    return languages, not_counted(left_out)


def is_text(path: Path) -> bool:
    """Return whether a file is text, by git's rule: no NUL near its beginning."""
    with path.open("rb") as file:
        return b"\0" not in file.read(LOOKED_AT)


def printable(path: Path | str) -> str:
    """Return a path of any bytes as text that can be shown and stored."""
    return os.fsencode(path).decode(errors="replace")
