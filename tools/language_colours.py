"""Generate the colours of languages, as GitHub shows them, from linguist's list of languages.

    python -m tools.language_colours path/to/languages.yml 9.6.0

The list is lib/linguist/languages.yml of https://github.com/github-linguist/linguist (MIT licence).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import yaml

from web.charts import languages

SOURCE = "https://github.com/github-linguist/linguist"
LICENCE = "MIT, Copyright (c) 2017 GitHub, Inc."

# Names of cloc and pygount for languages that have another name in linguist.
COUNTERS_NAMES = {
    "ANTLR Grammar": "ANTLR",
    "Ant": "Ant Build System",
    "Apex Class": "Apex",
    "Apex Trigger": "Apex",
    "Arduino Sketch": "C++",
    "Bourne Again Shell": "Shell",
    "Bourne Shell": "Shell",
    "C Shell": "Tcsh",
    "C# Designer": "C#",
    "C/C++ Header": "C",
    "ClojureC": "Clojure",
    "ClojureScript": "Clojure",
    "DOS Batch": "Batchfile",
    "Delphi Form": "Pascal",
    "F# Script": "F#",
    "Fish Shell": "Shell",
    "Fortran 77": "Fortran",
    "Fortran 90": "Fortran",
    "Fortran 95": "Fortran",
    "Freemarker Template": "FreeMarker",
    "Godot Scene": "GDScript",
    "Godot Shaders": "GDShader",
    "HTML EEx": "HTML+EEX",
    "JSX": "JavaScript",
    "Jinja Template": "Jinja",
    "Korn Shell": "Shell",
    "LLVM IR": "LLVM",
    "Oracle PL/SQL": "PLSQL",
    "PHP/Pascal": "PHP",
    "Properties": "Java Properties",
    "Pug": "Pug",
    "ReasonML": "Reason",
    "Rmd": "RMarkdown",
    "Ruby HTML": "HTML+ERB",
    "SQL Data": "SQL",
    "SQL Stored Procedure": "SQL",
    "Tcl/Tk": "Tcl",
    "VB for Applications": "VBA",
    "Vala Header": "Vala",
    "Verilog-SystemVerilog": "SystemVerilog",
    "Visual Basic Script": "VBScript",
    "Visualforce Component": "Apex",
    "Visualforce Page": "Apex",
    "Vuejs Component": "Vue",
}


def read_list(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the colour of each language that has one, and the other names of languages."""
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    colours = {name: entry["color"].lower() for name, entry in listed.items() if "color" in entry}
    own_names = {name.casefold() for name in listed}
    aliases = {
        alias.casefold(): name
        for name in colours
        for alias in listed[name].get("aliases", [])
        if alias.casefold() not in own_names
    }
    aliases |= {alias.casefold(): name for alias, name in COUNTERS_NAMES.items() if name in colours}
    return colours, dict(sorted(aliases.items()))


def main() -> None:
    """Write the colours as JSON for the charts and as a style sheet for the page."""
    path, version = Path(sys.argv[1]), sys.argv[2]
    colours, aliases = read_list(path)
    if not all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in colours.values()):
        raise SystemExit("a colour is not written as #rrggbb")
    data = {
        "source": f"{SOURCE}, lib/linguist/languages.yml, version {version}",
        "licence": LICENCE,
        "colours": colours,
        "aliases": aliases,
    }
    languages.DATA_FILE.write_text(
        json.dumps(data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
    )
    languages.read_data.cache_clear()
    languages.STYLE_FILE.write_text(languages.style_file(), encoding="utf-8")


if __name__ == "__main__":
    main()
