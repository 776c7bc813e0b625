"""What a file is, by its first bytes and never by its name."""

from __future__ import annotations

import codecs
from typing import Final

TEXT: Final = "text/plain"
#: How errors call what a model can be given.
KINDS: Final = "png, jpg, gif, webp, pdf, or UTF-8 text"

_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_WEBP_CHARS: Final = 12  # RIFF, four bytes of length, WEBP


def media_type_of(beginning: bytes) -> str | None:
    """Of an image or PDF whose contents begin so (12 bytes tell); None for anything else, text included."""
    if beginning[:4] == b"RIFF" and beginning[8:_WEBP_CHARS] == b"WEBP":
        return "image/webp"
    return next((name for magic, name in _BEGINNINGS if beginning.startswith(magic)), None)


class KindReader:
    """Tells the kind of contents that come in pieces, without keeping them."""

    def __init__(self) -> None:
        self._beginning = b""
        self._known: str | None = None
        self._text = True
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def feed(self, piece: bytes) -> None:
        if self._known is None and len(self._beginning) < _WEBP_CHARS:
            self._beginning += piece[:_WEBP_CHARS]
            self._known = media_type_of(self._beginning)
        if self._known is None and self._text:
            self._text = b"\0" not in piece and self._decodes(piece, last=False)

    def media_type(self) -> str | None:
        """After the last piece: None where no model can be given such a file. No contents at all are text."""
        if self._known is None and self._text and self._decodes(b"", last=True):
            return TEXT
        return self._known

    def _decodes(self, piece: bytes, *, last: bool) -> bool:
        try:
            self._decoder.decode(piece, last)
        except UnicodeDecodeError:
            return False
        return True
