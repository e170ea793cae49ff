"""The folder of an export, with a manifest so that no other file is changed or removed."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Final

from errors import ExportError

MANIFEST: Final = ".project-tracker-export"
"""Lines of a hash, two spaces and a file, as sha256sum writes them."""


class ExportFolder:
    """An export's folder: writes its files, and removes those of an earlier export.

    The manifest lists the files that this program has written. A file is added to it before it is
    written, so that an interrupted export can be repeated.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExportError(f"{folder} cannot be used: {error.strerror}") from None
        self._folder = folder.resolve()
        self._manifest = self._folder / MANIFEST
        self._noted = self._read_manifest()
        self.files: dict[str, str] = {}

    def write(self, file: str, content: bytes) -> None:
        """Write a file unless it is unchanged. Raises ExportError for a file not of an export."""
        path = self._locate(file)
        if path is None:
            raise ExportError(f"{file} would be outside {self._folder}")
        digest = hashlib.sha256(content).hexdigest()
        before = _hash(path)
        if before != digest:
            if before is not None and before not in self._noted[file]:
                raise ExportError(
                    f"{path} was not written by an export: move it, or choose another folder"
                )
            self._note(file, digest)
            self._replace(path, content)
        elif digest not in self._noted[file]:
            self._note(file, digest)
        self.files[file] = digest

    def finish(self) -> tuple[int, list[str]]:
        """Remove files that are not written again; return how many, and which were changed.

        A file that was changed since it was written stays.
        """
        removed, changed = 0, []
        for file in sorted(self._noted.keys() - self.files.keys()):
            path = self._locate(file)
            digest = _hash(path) if path is not None else None
            if path is None or digest is None:
                continue
            if digest in self._noted[file]:
                path.unlink()
                self._remove_empty(path.parent)
                removed += 1
            else:
                changed.append(file)
        lines = "".join(f"{digest}  {file}\n" for file, digest in sorted(self.files.items()))
        self._replace(self._manifest, lines.encode("utf-8", "surrogateescape"))
        return removed, changed

    def _read_manifest(self) -> dict[str, set[str]]:
        noted: dict[str, set[str]] = defaultdict(set)
        with suppress(FileNotFoundError):
            text = self._manifest.read_bytes().decode("utf-8", "surrogateescape")
            for line in text.split("\n"):
                digest, _, file = line.partition("  ")
                if file:
                    noted[file].add(digest)
        return noted

    def _note(self, file: str, digest: str) -> None:
        with self._manifest.open("ab") as manifest:
            manifest.write(f"{digest}  {file}\n".encode("utf-8", "surrogateescape"))
        self._noted[file].add(digest)

    def _locate(self, file: str) -> Path | None:
        """Return the path of a file, or None where it is outside the folder, through a link too."""
        path = self._folder / file
        parent = path.parent.resolve()
        inside = parent == self._folder or parent.is_relative_to(self._folder)
        return parent / path.name if inside and path.name not in ("", "..") else None

    def _replace(self, path: Path, content: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f"{MANIFEST}-{os.getpid()}")
            beside.write_bytes(content)
            beside.replace(path)
        except OSError as error:
            raise ExportError(f"{path} cannot be written: {error.strerror}") from None

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):
            while folder != self._folder:
                folder.rmdir()
                folder = folder.parent


def _hash(path: Path) -> str | None:
    """Return the hash of a file's content, "" for anything else, None where nothing exists."""
    if path.is_symlink() or path.is_dir():
        return ""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None
