"""Frames of a locked child, with nothing but read and write on one socket.

Every frame is a JSON object behind its length (4 bytes, little-endian). The end of the stream ends the process: a child
without a host has nobody to talk to.
"""

from __future__ import annotations

import json
import os
from typing import Any

from .wire import MAX_CONTAINERS, MAX_FRAME, MAX_JSON_DEPTH

#: Calls are written in batches: when the script is quiet, or when this much waits.
BATCH_BYTES = 64 << 10
_READ_BYTES = 256 << 10
_HEADER = 4

#: A value may be this deep, so that the frame around it stays within MAX_JSON_DEPTH.
VALUE_DEPTH = MAX_JSON_DEPTH - 10

_strict = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


class NotJson(ValueError):
    """A value cannot cross the wire; the message names the place in it and what is there."""


def encode(value: object, name: str) -> str:
    """Compact JSON of a script's value. Raises NotJson for what the host would refuse; `name` is the value's there."""
    try:
        text = _strict(value)
    except (TypeError, ValueError, RecursionError):
        raise NotJson(_first_fault(value, name, ()) or f"{name} is nested too deeply") from None
    if len(text) > MAX_FRAME // 4 and len(text.encode("utf-8", "replace")) > MAX_FRAME - 4_096:
        raise NotJson(f"{name} is too large: at most {MAX_FRAME:,} bytes of JSON can be passed on")
    # Brackets inside of strings count too, so this only says when to look closer.
    brackets = text.count("[") + text.count("{")
    if brackets > VALUE_DEPTH and (fault := _first_fault(value, name, ())):
        raise NotJson(fault)
    if brackets > MAX_CONTAINERS - 10 and _containers(value) > MAX_CONTAINERS - 10:
        raise NotJson(f"{name} has too many parts: at most {MAX_CONTAINERS:,} lists and dicts can be passed on")
    return text


def _first_fault(value: object, path: str, outer: tuple[int, ...]) -> str | None:
    if value is None or isinstance(value, str | int):
        return None
    if isinstance(value, float):
        return None if value - value == 0 else f"{path} is {value}, which JSON cannot hold"
    if not isinstance(value, dict | list | tuple):
        return f"{path} is {_a(type(value).__name__)}"
    if id(value) in outer:
        return f"{path} contains itself"
    if len(outer) >= VALUE_DEPTH:
        return f"{path[:60]}... is nested too deeply: at most {VALUE_DEPTH} levels can be passed on"
    inside = (*outer, id(value))
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(value, dict) and not isinstance(key, str | int | float | None):
            return f"{path} has {_a(type(key).__name__)} as a key"
        if fault := _first_fault(item, f"{path}[{key!r}]", inside):
            return fault
    return None


def _containers(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_containers, value.values()))
    return 1 + sum(map(_containers, value)) if isinstance(value, list | tuple) else 0


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


class Channel:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._out = bytearray()
        self._in = b""
        self._at = 0

    def send(self, frame: dict[str, Any]) -> None:
        """Queue a frame; its parts are known to be JSON."""
        self.send_text(_strict(frame))

    def send_text(self, frame: str) -> None:
        """Queue a frame that is JSON already. A lone surrogate becomes a question mark."""
        data = frame.encode("utf-8", "replace")
        out = self._out
        out += len(data).to_bytes(_HEADER, "little")
        out += data
        if len(out) > BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write all that is queued; blocks while the host does not read."""
        if not self._out:
            return
        rest = memoryview(bytes(self._out))
        self._out.clear()
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)

    def buffered(self) -> dict[str, Any] | None:
        """The next frame that has arrived whole, without reading."""
        start = self._at + _HEADER
        if len(self._in) < start:
            return None
        end = start + int.from_bytes(self._in[self._at : start], "little")
        if len(self._in) < end:
            return None
        self._at = end
        frame: dict[str, Any] = _decode(self._in[start:end].decode())
        return frame

    def receive(self) -> dict[str, Any]:
        """The next frame; blocks until it is there."""
        while (frame := self.buffered()) is None:
            self._fill()
        return frame

    def _fill(self) -> None:
        parts = [self._in[self._at :]]
        have, self._at = len(parts[0]), 0
        need = _HEADER if have < _HEADER else _HEADER + int.from_bytes(parts[0][:_HEADER], "little")
        # Parts are joined once a frame is whole: a large answer comes in many small reads.
        while have < need:
            data = self._read()
            parts.append(data)
            have += len(data)
        self._in = b"".join(parts)

    def _read(self) -> bytes:
        try:
            data = os.read(self._fd, _READ_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            os._exit(0)
        return data
