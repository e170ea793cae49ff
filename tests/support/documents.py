"""openapi.yaml, and the comparison of answers with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from werkzeug.test import TestResponse

ROOT = Path(__file__).resolve().parent.parent.parent
# What openapi.yaml says, as a test holds; reading YAML takes a tenth of a second.
OPENAPI: dict[str, Any] = json.loads((ROOT / "web" / "openapi.json").read_text())
ADDRESS = "urn:openapi"
REGISTRY: Registry = Registry().with_resource(ADDRESS, DRAFT202012.create_resource(OPENAPI))
NO_DATABASE = {"DATABASE_URL": "postgresql://nobody:nothing@127.0.0.1:1/nowhere"}


def routes_of(app: Flask) -> set[str]:
    """Return every route of the code but the pages' own files, as `GET /api/project/<name>`."""
    return {
        f"{method} {re.sub('<[a-z]+:', '<', rule.rule)}"
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def in_openapi(route: str) -> str:
    """Write a route as OpenAPI does: `GET /a/<b>` is `GET /a/{b}`."""
    return re.sub(r"<([a-z_]+)>", r"{\1}", route)


def described(route: str) -> dict[str, Any]:
    """Find a route's operation in openapi.yaml."""
    method, path = in_openapi(route).split()
    operation: dict[str, Any] = OPENAPI["paths"][path][method.lower()]
    return operation


def answer_of(route: str, status: int | str) -> dict[str, Any]:
    """Return openapi.yaml's response for a status of a route; AssertionError if there is none."""
    answers = described(route)["responses"]
    assert str(status) in answers, f"openapi.yaml does not have {status} at {route}"
    answer: dict[str, Any] = answers[str(status)]
    if "$ref" in answer:
        answer = OPENAPI["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return answer


def check_payload(payload: Any, schema: dict[str, Any]) -> None:
    """Validate a payload by a schema of openapi.yaml; raises ValidationError."""
    # References are resolved in the document that the schema is a part of.
    absolute = json.loads(json.dumps(schema).replace('"#/', f'"{ADDRESS}#/'))
    Draft202012Validator(
        absolute, registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER
    ).validate(payload)


def check_answer(route: str, answer: TestResponse) -> Any:
    """Validate an answer by openapi.yaml's response of its route and status; return its JSON."""
    said = answer_of(route, answer.status_code)
    check_payload(answer.json, said["content"]["application/json"]["schema"])
    for name in said.get("headers", {}):
        assert name in answer.headers
    return answer.json
