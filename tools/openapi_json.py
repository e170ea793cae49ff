"""Converts openapi.yaml to web/openapi.json, which the service returns.

python -m tools.openapi_json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from web.api import OPENAPI as TARGET

SOURCE = Path(__file__).resolve().parent.parent / "openapi.yaml"


def convert(text: str) -> str:
    """Return YAML as JSON, one value per line, so that changes merge."""
    described: dict[str, Any] = yaml.safe_load(text)
    return json.dumps(described, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    TARGET.write_text(convert(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
