"""A service that measures what is new, and `flask measure`, which measures everything, agree."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from flask.testing import FlaskClient, FlaskCliRunner

import measure
from measure import fetch
from tests.support.client import projects, refresh
from tests.support.random_author import Author
from tests.support.world import World

pytestmark = [
    pytest.mark.needs_cloc,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
SEEDS = (12, 15, 18, 31)
FIGURES = (
    "head_sha",
    "commits",
    "active_days",
    "time_spent",
    "first_commit",
    "last_finished",
    "code_churn",
    "loc",
    "loc_source",
)


def test_both_tell_the_same_after_every_push(
    client: FlaskClient, runner: FlaskCliRunner, world: World, monkeypatch: pytest.MonkeyPatch
):
    increments: list[bool] = []

    def measured(*arguments: Any) -> measure.Figures | None:
        figures = real(*arguments)
        increments.append(figures is not None and figures.since is not None)
        return figures

    real = measure.measure_push
    # Small windows, so that small histories have shallow boundaries.
    monkeypatch.setattr(fetch, "DEPTHS", (4, 12))
    builders = {f"r{seed}": world.add(f"r{seed}", commits=0) for seed in SEEDS}
    authors = [Author(builders[f"r{seed}"], random.Random(seed)) for seed in SEEDS]
    for _ in range(3):
        for name, builder in builders.items():
            world.push(name, default_branch=builder.current)
        with monkeypatch.context() as watched:
            watched.setattr(measure, "measure_push", measured)
            refresh(client)

        kept = projects(client)
        for name, builder in builders.items():
            result = runner.invoke(args=["measure", str(builder.path), "--json"])
            assert result.exit_code == 0, result.output
            whole = json.loads(result.output)
            assert {n: kept[name][n] for n in FIGURES} == {n: whole[n] for n in FIGURES}, name
            assert kept[name]["languages_loc"] == whole["loc_by_language"], name
        for author in authors:
            author.work()
    assert sum(increments) >= len(SEEDS)
