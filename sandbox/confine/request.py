"""What the engine asks its supervisor for: JSON on one line, built by the engine, trusted by the supervisor."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Request(NamedTuple):
    """Paths are absolute and resolved. No dataclass: the supervisor starts for each command."""

    argv: list[str]
    cwd: str
    environment: dict[str, str]
    root: str  # the project
    upper: str  # where the changes of a copy-on-write view go; empty without one
    lower: str  # what that view shows in the project's place
    linked: list[str]  # of the project, shown in that view
    writable: bool  # whether the project may be written to
    protected: list[str]
    readable: list[str]
    system: list[str]
    etc: list[str]
    network: bool
    layers: list[str]
    umask: int
    memory_bytes: int
    processes: int
    file_bytes: int
    scratch_bytes: int
    cpu_s: int
    open_files: int
    written_bytes: int
    written_files: int

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Request:
        return cls(**document)

    def to_json(self) -> bytes:
        return json.dumps(self._asdict()).encode()
