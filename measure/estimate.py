"""Lines of code as the sizes of files suggest them, for when nothing else can count."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

VERSION = "1"
BYTES_PER_LINE = 40  # of code; blank lines and comments are in it
LARGEST = 100 * 1024 * 1024  # what is larger was not written by hand; cloc's limit as well

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


def estimate(tree: Path) -> dict[str, int]:
    """Return the estimated lines of code of each language below a folder."""
    sizes: Counter[str] = Counter()
    for where, _, names in os.walk(tree):
        for path in (Path(where, name) for name in names):
            language = BY_SUFFIX.get(path.suffix.lower())
            if language and not path.is_symlink() and (size := path.stat().st_size) <= LARGEST:
                sizes[language] += size
    return {language: -(-size // BYTES_PER_LINE) for language, size in sizes.items() if size}
