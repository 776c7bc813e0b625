"""Parts that rows of several tables share: texts, contents of files, amounts and errors as cells, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec

from ..model import Fault, StepStatus, Usage
from .blobs import DIGEST_BYTES, Cell

#: A long text becomes the digest of a blob, and comes back.
Put: TypeAlias = Callable[[str], Cell]
Text: TypeAlias = Callable[[Cell], str]

Row: TypeAlias = tuple[Any, ...]

#: Looked up, which is several times faster than calling the class; an unknown status is a KeyError.
STEP_STATUS = {status.value: status for status in StepStatus}


def usage_cells(usage: Usage) -> Row:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        usage.cost_microusd,
        usage.estimated,
    )


def usage_of(cells: Sequence[Any]) -> Usage:
    input_tokens, output_tokens, cached, cache_write, reasoning, cost, estimated = cells
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
        cost_microusd=cost,
        estimated=bool(estimated),
    )


def fault_cell(fault: Fault | None, put: Put) -> Cell | None:
    if fault is None:
        return None
    parts = {"type": fault.type, "message": fault.message, "kind": fault.kind, "fields": fault.fields}
    return put(json.dumps(parts, ensure_ascii=False))


def fault_of(cell: Cell | None, text: Text) -> Fault | None:
    return None if cell is None else Fault(**json.loads(text(cell)))


def contents_cell(digest: str | None) -> bytes | None:
    """The blob of a file's contents; NULL for no such file. Contents never stand in their column, however short."""
    return None if digest is None else bytes.fromhex(digest)


def contents_of(cell: Cell | None) -> str | None:
    """Raises ValueError for what is no digest."""
    if cell is None:
        return None
    if not isinstance(cell, bytes) or len(cell) != DIGEST_BYTES:
        raise ValueError("contents of a file that are no blob")
    return cell.hex()


def json_text(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # a lone surrogate in an argument, which `put` makes a question mark
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
