"""What a shallow clone can prove, on random histories cut at random depths."""

from __future__ import annotations

import random
from collections import deque

import pytest

from measure.window import new_commits

Parents = dict[str, tuple[str, ...]]


def random_history(chance: random.Random) -> Parents:
    """Make a history with merges of branches young and old, and now and then a second root."""
    names = [f"c{number}" for number in range(chance.randint(2, 40))]
    history: Parents = {names[0]: ()}
    for place, name in enumerate(names[1:], 1):
        known = names[:place]
        recent = known[-chance.choice([1, 1, 1, 3, 10]) :]
        parents = {chance.choice(recent)}
        if chance.random() < 0.35:
            parents.add(chance.choice(known))
        history[name] = () if chance.random() < 0.03 else tuple(sorted(parents))
    return history


def reached(history: Parents, start: str) -> set[str]:
    found, todo = set(), [start]
    while todo:
        commit = todo.pop()
        if commit not in found:
            found.add(commit)
            todo += history[commit]
    return found


def cut(history: Parents, head: str, depth: int) -> tuple[Parents, frozenset[str]]:
    """Return what `git clone --depth` brings: the last generations and those without parents."""
    distance, todo = {head: 1}, deque([head])
    while todo:
        commit = todo.popleft()
        for parent in history[commit]:
            if parent not in distance and distance[commit] < depth:
                distance[parent] = distance[commit] + 1
                todo.append(parent)
    edge = {c for c in distance if any(parent not in distance for parent in history[c])}
    edge |= {c for c in distance if distance[c] == depth and history[c]}
    graph = {c: () if c in edge else history[c] for c in distance}
    return graph, frozenset(edge)


@pytest.mark.parametrize("seed", range(10))
def test_the_answer_is_the_whole_history_s_or_none(seed):
    chance = random.Random(seed)
    certain = 0
    for _ in range(2000):
        history = random_history(chance)
        head = f"c{len(history) - 1}"
        since = chance.choice(list(history))
        graph, edge = cut(history, head, chance.randint(1, 12))
        answer = new_commits(graph, edge, head, since)
        if answer is not None:
            certain += 1
            assert answer == reached(history, head) - reached(history, since)
    assert certain > 200


def linear(length: int) -> Parents:
    return {f"c{n}": (f"c{n - 1}",) if n else () for n in range(length)}


def test_a_straight_line_needs_no_more_than_the_commit_measured_last():
    graph, edge = cut(linear(100), "c99", 5)

    assert new_commits(graph, edge, "c99", "c97") == {"c98", "c99"}


def test_nothing_is_new_when_the_head_was_measured():
    graph, edge = cut(linear(100), "c99", 5)

    assert new_commits(graph, edge, "c99", "c99") == set()


def test_a_commit_beyond_the_edge_proves_nothing():
    graph, edge = cut(linear(100), "c99", 5)

    assert new_commits(graph, edge, "c99", "c50") is None


def test_a_young_branch_merged_is_told_for_certain():
    history = linear(100) | {"b1": ("c95",), "b2": ("b1",), "m": ("c99", "b2")}
    graph, edge = cut(history, "m", 20)

    assert new_commits(graph, edge, "m", "c99") == {"b1", "b2", "m"}


def test_a_branch_from_below_the_edge_proves_nothing():
    history = linear(100) | {"b1": ("c50",), "b2": ("b1",), "m": ("c99", "b2")}
    graph, edge = cut(history, "m", 20)

    assert new_commits(graph, edge, "m", "c99") is None


def test_an_old_branch_that_was_merged_before_is_not_taken_for_new():
    side = {f"s{n}": (f"s{n - 1}",) if n else ("c94",) for n in range(30)}
    history = linear(100) | side
    history["c95"] = ("c94", "s29")
    history["m"] = ("c99", "s5")
    graph, edge = cut(history, "m", 12)

    assert new_commits(graph, edge, "m", "c99") is None
