"""Long texts and contents of files, content-addressed: a column holds a short text itself, or the digest of a blob.

A digest is BLAKE2b-256 of the text's UTF-8 or of the file's bytes, since strangers may choose them; the data is
compressed with zlib.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from typing import TypeAlias

#: A text up to this many bytes of UTF-8 stays in its column.
INLINE_BYTES = 2048

#: No text of a run comes near this; a stranger's store could hold a small blob that unfolds to anything.
_MAX_BYTES = 1 << 28

#: Of the digest of a blob.
DIGEST_BYTES = 32

#: Favours speed: level 6 gives 15 % less data for three times the time.
_LEVEL = 1

#: What a column of type ANY holds.
Cell: TypeAlias = str | bytes

#: Compresses only what is not there yet: `deflate` is called for the row that passed the WHERE.
INSERT_BLOB = """
INSERT INTO blobs (digest, size, data)
SELECT ?1, length(?2), deflate(?2) WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE digest = ?1)
"""


def deflate(data: bytes) -> bytes:
    """The SQL function of `INSERT_BLOB`."""
    return zlib.compress(data, _LEVEL)


def plain(text: str) -> str:
    """The text as the store can hold it: a lone surrogate, which UTF-8 has no form for, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


class BlobWriter:
    """Turns the long texts of one transaction into digests, and remembers what they stand for."""

    def __init__(self) -> None:
        self._blobs: dict[bytes, bytes] = {}

    def cell(self, text: str) -> Cell:
        if len(text) <= INLINE_BYTES and text.isascii():
            return text
        data = text.encode("utf-8", "replace")
        if len(data) <= INLINE_BYTES:
            return data.decode()
        digest = _digest(data)
        self._blobs[digest] = data
        return digest

    def add(self, digest: str, data: bytes) -> None:
        """Contents of a file under their `keys.content_digest`: a blob, however short they are."""
        self._blobs[bytes.fromhex(digest)] = data

    def rows(self) -> list[tuple[bytes, bytes]]:
        """Parameters of `INSERT_BLOB`. To be read after the last `cell`."""
        return list(self._blobs.items())


class BlobReader:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def text(self, cell: Cell) -> str:
        """Raises sqlite3.DatabaseError where the blob is missing or is not what its digest says."""
        if isinstance(cell, str):
            return cell
        data = self.data(cell)
        if data is None:
            raise sqlite3.DatabaseError(f"the blob {cell.hex()} is missing")
        return data.decode()

    def data(self, cell: bytes) -> bytes | None:
        """The bytes of a blob; None where there is none. Raises sqlite3.DatabaseError as `text`."""
        row = self._connection.execute("SELECT size, data FROM blobs WHERE digest = ?", (cell,)).fetchone()
        if row is None:
            return None
        size, compressed = row
        if size > _MAX_BYTES:
            raise sqlite3.DatabaseError(f"the blob {cell.hex()} is larger than any text or file can be")
        try:
            data = zlib.decompressobj().decompress(compressed, max(size, 1))  # 0 would be no limit
        except zlib.error as error:
            raise sqlite3.DatabaseError(f"the blob {cell.hex()} cannot be read: {error}") from error
        if _digest(data) != cell:
            raise sqlite3.DatabaseError(f"the blob {cell.hex()} is not what was written")
        return data


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
