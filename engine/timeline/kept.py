"""Contents of files at some time, which the store keeps by digest."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ToolFailed


def kept_contents(kept: Callable[[str], bytes | None], digest: str | None) -> bytes | None:
    """What a file held; None, as its digest, where there was none. Raises ToolFailed where it is not kept any more."""
    if digest is None:
        return None
    data = kept(digest)
    if data is None:
        raise ToolFailed("what it was is not kept any more")
    return data
