"""Which commits are new, as far as a shallow clone can prove it.

A shallow clone holds the last generations of a history. Commits at its edge are there without
their parents, so asking git for `since..head` in it may name commits that are old in truth: an old
branch, merged today, leads down past the edge to commits that the measured ones lead to as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Graph = Mapping[str, tuple[str, ...]]


def new_commits(graph: Graph, edge: frozenset[str], head: str, since: str) -> set[str] | None:
    """Return the commits of since..head in the whole history, or None when that is not certain.

    `graph` maps each commit that can be reached from head to its known parents; those in `edge`
    have lost theirs. The answer is certain when
    1. `since` is in the graph;
    2. the way down from every new commit ends among the old ones, neither at the edge nor, while
       old ones are unknown, at a root;
    3. wherever a way down from a new commit enters the old ones, all unknown old ones lie below:
       each old commit of the edge can be reached from there.
    For if a commit taken for new were old in truth, it would lie below an old one of the edge (e);
    its own ways down enter the old ones at a commit (a) below it by 2; by 3, e lies below a or is
    a, and so it would lie below itself.
    """
    if since not in graph:
        return None
    old = _reached(graph, [since])
    new = _reached(graph, [head], without=old)
    old_edge = edge & old
    if edge & new or (old_edge and any(not graph[commit] for commit in new)):
        return None
    entries = {parent for commit in new for parent in graph[commit] if parent in old}
    if any(not old_edge <= _reached(graph, [entry]) for entry in entries):
        return None
    return new


def _reached(graph: Graph, starts: Iterable[str], without: Iterable[str] = ()) -> set[str]:
    stop = set(without)
    reached: set[str] = set()
    todo = [commit for commit in starts if commit not in stop]
    while todo:
        commit = todo.pop()
        if commit not in reached:
            reached.add(commit)
            todo += [parent for parent in graph[commit] if parent not in stop]
    return reached
