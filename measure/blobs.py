"""Counting blobs with cloc, each once for each of its names, without a checkout of a commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from errors import CommandOutOfMemory

from .checkout import sizes, write_files
from .cloc import Cloc
from .cloc_server.preloaded import find_server
from .figures import out_of_memory
from .git import Git
from .trees import Counts, Pair
from .workspace import remove

BATCH_FILES = 20_000
BATCH_BYTES = 128 << 20
"""Bytes on the disk at a time, unless a single file is larger."""


def count_blobs(git: Git, cloc: Cloc, pairs: Iterable[Pair]) -> Iterator[Counts]:
    """Yield the counts of files, in the order of `pairs`, a batch at a time.

    Raises ClocFailed, and MeasureError where git cannot write them.
    """
    for batch in _batches(git, list(dict.fromkeys(pairs))):
        yield _count_batch(git, cloc, batch)


def _batches(git: Git, pairs: list[Pair]) -> Iterator[list[Pair]]:
    size = sizes(git, (blob for blob, _ in pairs))
    batch: list[Pair] = []
    taken = 0
    for pair in pairs:
        if batch and (len(batch) == BATCH_FILES or taken + size[pair[0]] > BATCH_BYTES):
            yield batch
            batch, taken = [], 0
        batch.append(pair)
        taken += size[pair[0]]
    if batch:
        yield batch


def _count_batch(git: Git, cloc: Cloc, batch: list[Pair]) -> Counts:
    """Write the files of a batch, those of equal names to different folders, and count them.

    They stay until the next batch; the last one's are removed with the workspace.
    """
    folder = git.folder / "batch"
    if folder.exists():
        remove(folder)
    records = folder.with_suffix(".files")
    paths = dict(zip(_paths(batch), batch, strict=True))
    with records.open("wb") as file:
        for path, (blob, _) in paths.items():
            file.write(b"100644 blob %s\t%s\0" % (blob, path))
    try:
        write_files(git, records, folder)
        memory_mb, server = git.options.memory_mb, find_server(cloc)
        rows = cloc.count_files(folder, git.folder, git.work.left(), memory_mb, git.scope, server)
    except CommandOutOfMemory as error:
        raise out_of_memory("counting its lines", git.options) from error
    counts: Counts = dict.fromkeys(batch)
    for path, language, lines in rows:
        counts[paths[path]] = language, lines
    return counts


def _paths(pairs: Iterable[Pair]) -> Iterator[bytes]:
    """Put each file into the first of the numbered folders that holds none of its name."""
    taken: Counter[bytes] = Counter()
    for _, name in pairs:
        folded = name.lower()  # not every file system distinguishes capitals
        yield b"%d/%s" % (taken[folded], name)
        taken[folded] += 1
