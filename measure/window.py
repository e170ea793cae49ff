"""The new commits of a history, as far as a shallow clone can prove them.

A shallow clone contains the last generations of a history. Commits at its boundary have no parents
there, so git's `since..head` may contain old commits: an old branch, merged today, leads past the
boundary to commits that are reachable from the measured ones, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Graph = Mapping[str, tuple[str, ...]]


def new_commits(graph: Graph, boundary: frozenset[str], head: str, since: str) -> set[str] | None:
    """Return the commits of since..head in the whole history, or None when that is not certain.

    `graph` maps each commit that can be reached from head to its known parents; those in `boundary`
    have lost theirs. The answer is certain when
    1. `since` is in the graph;
    2. the way down from every new commit ends among the old ones, not at the boundary and, while
       old ones are unknown, not at a root;
    3. wherever a way down from a new commit enters the old ones, all unknown old ones lie below:
       each old commit of the boundary can be reached from there.
    For if a commit taken for new were old, it would lie below an old one of the boundary (e);
    its own ways down enter the old ones at a commit (a) below it by 2; by 3, e lies below a or is
    a, and so it would lie below itself.
    """
    if since not in graph:
        return None
    old = _reached(graph, [since])
    new = _reached(graph, [head], without=old)
    old_boundary = boundary & old
    if boundary & new or (old_boundary and any(not graph[commit] for commit in new)):
        return None
    entries = {parent for commit in new for parent in graph[commit] if parent in old}
    if any(not old_boundary <= _reached(graph, [entry]) for entry in entries):
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
