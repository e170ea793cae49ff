"""Fixtures of the tests of refreshes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app, prepare
from models import db
from tests.support.world import World

Start = Callable[..., FlaskClient]


@pytest.fixture
def start(environment: dict[str, str], world: World) -> Iterator[Start]:
    """Start the application on the test's database, with other settings; None takes one away."""
    started: list[Flask] = []

    def start(**settings: str | None) -> FlaskClient:
        merged = {**environment, **settings}
        app = create_app({name: value for name, value in merged.items() if value is not None})
        prepare(app)
        started.append(app)
        return app.test_client()

    yield start
    for app in started:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
