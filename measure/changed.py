"""A commit's lines of code; only files that have not been counted before are counted."""

from __future__ import annotations

from dataclasses import replace

from .blobs import count_blobs
from .checkout import Listing, check_out
from .cloc import Cloc, ClocFailed, find_cloc
from .figures import Count
from .git import Git
from .loc import count
from .partial_clone import fetch_all
from .trees import AttributesCheck, Counts, Tree, read_tree, sum_tree


def count_changed(git: Git, listing: Listing, known: Counts) -> tuple[Count, Counts]:
    """Count a commit; return its lines of code, and the counts of its files for the next commit.

    `known` are the counts of another commit's files by the same cloc; they may be empty. Where the
    count depends on more than blobs and names, the commit is checked out and counted as a whole,
    and no counts of files are returned. Raises MeasureError and Interrupted.
    """
    tree = read_tree(git, listing, AttributesCheck(git))
    if tree is not None:
        try:
            cloc = find_cloc(git.options.cloc_path, git.options.search_path)
            counts = _complete(git, cloc, tree, known)
            languages = sum_tree(tree, counts)
            counter = f"cloc {cloc.version()}"
            counted = Count(sum(languages.values()), "cloc", counter, None, languages)
            return replace(counted, excluded_files=listing.excluded_files), counts
        except ClocFailed:
            pass  # a full count reports the reason, and goes on without cloc
    fetch_all(git, listing)
    check_out(git, listing)
    counted = count(git.tree, git.folder, git.options, git.work, git.scope)
    return replace(counted, excluded_files=listing.excluded_files), {}


def _complete(git: Git, cloc: Cloc, tree: Tree, known: Counts) -> Counts:
    """Return the counts of a tree's files, counting those that are not known."""
    counts = {pair: known[pair] for pair in tree.pairs() if pair in known}
    for batch in count_blobs(git, cloc, (pair for pair in tree.pairs() if pair not in known)):
        counts |= batch
    return counts
