"""The counts of a commit's files, encoded for the database in about 30 bytes a file.

Within zlib: the format's number and the length of a blob's name, one byte each; the languages in
UTF-8 between NULs, the first of them empty for files without code; then a column each of blobs,
names, numbers of languages (two bytes) and code lines (four). Lengths of four bytes stand before
what has no fixed one. Numbers are little-endian. Rows are sorted by name, which helps zlib.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from .trees import Counts, Pair

FORMAT = 1
LARGEST = 256 << 20  # bytes, decompressed


def encode(counts: Counts) -> bytes:
    """Return the encoded counts."""
    rows = sorted(counts.items(), key=lambda row: (row[0][1], row[0][0]))
    languages = ["", *sorted({count[0] for _, count in rows if count is not None})]
    numbers = {language: number for number, language in enumerate(languages)}
    found = [count or ("", 0) for _, count in rows]
    digits = len(rows[0][0][0]) if rows else 40
    names = b"\0".join(name for (_, name), _ in rows)
    words = "\0".join(languages).encode()
    parts = [
        struct.pack("<BBI", FORMAT, digits // 2, len(rows)),
        struct.pack("<I", len(words)) + words,
        b"".join(bytes.fromhex(blob.decode()) for (blob, _), _ in rows),
        struct.pack("<I", len(names)) + names,
        struct.pack(f"<{len(rows)}H", *(numbers[language] for language, _ in found)),
        struct.pack(f"<{len(rows)}I", *(lines for _, lines in found)),
    ]
    return zlib.compress(b"".join(parts), 9)


def decode(value: bytes) -> Counts:
    """Return the counts that encode() encoded. Raises ValueError for any other value."""
    try:
        return dict(_rows(_unpack(value)))
    except (zlib.error, struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError("not a value of stored counts") from error


def _unpack(value: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(value, LARGEST)
    if not unpacker.eof:
        raise ValueError("a value of stored counts that does not end")
    return data


def _rows(data: bytes) -> Iterator[tuple[Pair, tuple[str, int] | None]]:
    number, size, rows = struct.unpack_from("<BBI", data)
    if number != FORMAT:
        raise ValueError("stored counts of another format")
    place = struct.calcsize("<BBI")
    words, place = _text(data, place)
    languages = words.decode().split("\0")
    blobs = data[place : place + size * rows].hex().encode()
    joined, place = _text(data, place + size * rows)
    names = joined.split(b"\0") if rows else []
    kinds = struct.unpack_from(f"<{rows}H", data, place)
    lines = struct.unpack_from(f"<{rows}I", data, place + 2 * rows)
    if len(names) != rows or len(data) != place + 6 * rows:
        raise ValueError("stored counts of an odd length")
    for row, name in enumerate(names):
        blob = blobs[2 * size * row : 2 * size * (row + 1)]
        yield (blob, name), (languages[kinds[row]], lines[row]) if kinds[row] else None


def _text(data: bytes, place: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from("<I", data, place)
    start = place + 4
    return data[start : start + length], start + length
