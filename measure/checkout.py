"""The files of one commit on the disk: what cloc would see in a plain clone, and nothing else.

Folders that are left out are not written. git writes no symbolic links (core.symlinks is off);
those that lead to a file of the checkout are restored afterwards, because cloc follows them, and
others are not, for the same reason.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .bounds import CheckoutBudget, StepBudget
from .generated import GeneratedFiles, generated_files
from .git import Git
from .history import folder_check, texts

REGULAR = (b"100644", b"100755", b"100664")
LINK = b"120000"
LONGEST_PATH = 4000  # bytes; the system's limit is 4095 for all of a path
LONGEST_NAME = 255
LONGEST_TARGET = 4096
MOST_HOPS = 40


@dataclass
class Listing:
    """A commit's files, in files of records that `git ls-tree -z` writes and update-index reads.

    `attributes` lists the .gitattributes files, of the folders that are left out as well: files
    renamed from there are judged by them. `links` maps paths to objects. `generated` is None where
    generated files are not left out, and `excluded_files` is how many were.
    """

    files: Path
    attributes: Path
    links: dict[bytes, bytes] = field(default_factory=dict)
    generated: GeneratedFiles | None = None
    excluded_files: int = 0


def list_files(git: Git, commit: str, exclude_dirs: frozenset[str]) -> Listing:
    """List what is to be checked out of a commit. Raises RepositoryTooLarge when it is too much."""
    listing = Listing(git.folder / "files", git.folder / "attributes")
    excluded = folder_check(exclude_dirs)
    budget = CheckoutBudget(git.options.max_repo_mb)
    # Sizes of missing blobs would fetch each of them; fetch_all() checks these.
    sized = [] if git.lacks_blobs else ["-l"]
    records = git.stream(["ls-tree", "-r", *sized, "-z", "--full-tree", commit], git.folder)
    with (
        contextlib.closing(records),
        listing.files.open("wb") as files,
        listing.attributes.open("wb") as attributes,
    ):
        for record in texts(records):
            facts, _, path = record.partition(b"\t")
            mode, kind, blob, size, *_ = [*facts.split(), b"0"]
            line = b"%s %s %s\t%s\0" % (mode, kind, blob, path)
            if mode in REGULAR and path.rpartition(b"/")[2] == b".gitattributes":
                budget.add_file(path, int(size))
                attributes.write(line)
            if (excluded and excluded(path)) or not _countable(path):
                continue
            if mode in REGULAR:
                budget.add_file(path, int(size))
                files.write(line)
            elif mode == LINK and int(size) <= LONGEST_TARGET:
                budget.add_link(path, int(size))
                listing.links[path] = blob
    if git.options.exclude_generated:
        _leave_out_generated(git, listing)
    return listing


def _leave_out_generated(git: Git, listing: Listing) -> None:
    """Remove generated files, and links of such names, from a listing."""
    git.fetch_blobs(facts.split()[2] for facts, _ in _facts(listing.attributes))
    listing.generated = generated_files(git, listing.attributes)
    found = listing.generated.find([*(path for _, path in _facts(listing.files)), *listing.links])
    kept = listing.files.with_name("files-kept")
    with kept.open("wb") as file:
        for facts, path in _facts(listing.files):
            listing.excluded_files += path in found
            # .gitattributes files stay: no counter counts them, and a checkout needs them.
            if path not in found or path.rpartition(b"/")[2] == b".gitattributes":
                file.write(b"%s\t%s\0" % (facts, path))
    kept.replace(listing.files)
    listing.excluded_files += len(found & listing.links.keys())
    listing.links = {path: blob for path, blob in listing.links.items() if path not in found}


def _facts(records: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield mode, type and object, and the path of each record."""
    with records.open("rb") as file:
        for record in texts(iter(lambda: file.read(1 << 20), b"")):
            facts, _, path = record.partition(b"\t")
            yield facts, path


def check_out(git: Git, listing: Listing) -> None:
    """Write the files of a listing to the clone's tree, with the links between them."""
    write_files(git, listing.files, git.tree)
    if not listing.links:
        return
    files = {record.partition(b"\t")[2] for record in listing.files.read_bytes().split(b"\0")}
    for path, end in resolve_links(git, listing, files).items():
        place = git.tree / path.decode(errors="surrogateescape")
        target = b"../" * path.count(b"/") + end
        with contextlib.suppress(OSError):  # two entries of one name, which only a forged tree has
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target.decode(errors="surrogateescape"))


def resolve_links(git: Git, listing: Listing, files: set[bytes]) -> dict[bytes, bytes]:
    """Return the links of a listing that end at one of its files, each with that file's path."""
    return inner_links(_targets(git, listing.links), files)


def check_out_attributes(git: Git, listing: Listing, folder: Path) -> None:
    """Write the .gitattributes files alone: git log reads them from the work tree.

    They stand apart from the checkout, so that the history can be read while files are written.
    """
    write_files(git, listing.attributes, folder)


def inner_links(targets: Mapping[bytes, bytes], files: set[bytes]) -> dict[bytes, bytes]:
    """Return the links that end at one of `files`, each with that file's path.

    `targets` maps the path of each link to what it says. Links over links and over linked folders
    are followed as the system would, but by names alone, never on the disk. Raises
    RepositoryTooLarge where that takes too many steps.
    """
    budget = StepBudget()
    folders = {path[:end] for path in files for end in _slashes(path)}
    ends: dict[bytes, bytes] = {}
    for path in targets:
        end = _follow(path, targets, files, folders, budget)
        if end is not None and ".." not in path.decode(errors="replace").split("/"):
            ends[path] = end
    return ends


def _follow(
    path: bytes,
    targets: Mapping[bytes, bytes],
    files: set[bytes],
    folders: set[bytes],
    budget: StepBudget,
) -> bytes | None:
    here, _, first = path.rpartition(b"/")
    todo = deque([first])
    hops = 0
    while todo:
        name = todo.popleft()
        if name in (b"", b"."):
            continue
        if name == b"..":
            if not here:
                return None
            here = here.rpartition(b"/")[0]
            continue
        reached = b"%s/%s" % (here, name) if here else name
        if reached in targets:
            hops += 1
            if hops > MOST_HOPS or targets[reached].startswith(b"/"):
                return None
            names = targets[reached].split(b"/")
            budget.take(len(names))
            todo.extendleft(reversed(names))
        elif reached in files:
            return None if todo else reached
        elif reached in folders:
            here = reached
        else:
            return None
    return None


def write_files(git: Git, records: Path, folder: Path) -> None:
    """Write the files that records of a Listing name to a folder, as git checks them out."""
    folder.mkdir(exist_ok=True)
    if not records.stat().st_size:
        return
    index = folder.with_suffix(".index")
    git.write(["update-index", "-z", "--index-info"], folder, index, records)
    git.write(["checkout-index", "--all", "--quiet"], folder, index)
    index.unlink(missing_ok=True)  # or the next commit's files would be added to them


def contents(git: Git, blobs: Iterable[bytes], longest: int) -> dict[bytes, bytes]:
    """Return the content of blobs, without those of more than `longest` bytes."""
    short = [blob for blob, size in sizes(git, blobs).items() if size <= longest]
    if not short:  # git answers an empty input, too
        return {}
    return _split(git.ask(["cat-file", "--batch"], b"\n".join(short) + b"\n"))


def sizes(git: Git, blobs: Iterable[bytes]) -> dict[bytes, int]:
    """Return the sizes of blobs in bytes."""
    names = sorted(set(blobs))
    if not names:
        return {}
    answer = git.ask(["cat-file", "--batch-check"], b"\n".join(names) + b"\n")
    return {line.split()[0]: int(line.split()[2]) for line in answer.splitlines()}


def _targets(git: Git, links: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Read the links' targets; one that is longer than any path is ignored."""
    if not links:
        return {}
    found = contents(git, links.values(), LONGEST_TARGET)
    return {path: found[blob] for path, blob in links.items() if blob in found}


def _split(answer: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    start = 0
    while start < len(answer):
        end = answer.index(b"\n", start)
        name, _, size = answer[start:end].split()
        start = end + 1 + int(size) + 1
        found[name] = answer[end + 1 : start - 1]
    return found


def _countable(path: bytes) -> bool:
    """Return whether a path can be written and counted.

    cloc's list of files has a file on each line, so it counts no file with a line feed in its path;
    and the rest of such a path would be read as the path of another file.
    """
    if b"\n" in path or len(path) > LONGEST_PATH:
        return False
    return len(path) <= LONGEST_NAME or max(map(len, path.split(b"/"))) <= LONGEST_NAME


def _slashes(path: bytes) -> list[int]:
    return [place for place, byte in enumerate(path) if byte == 0x2F]
