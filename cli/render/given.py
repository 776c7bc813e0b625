"""What a step was given beside its prompt: the profile, tools and grants that it had, and the files that went along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from vibe_workflows.engine.model import FilePart, Message, Turn

from . import figures
from .sanitize import one_line

T = TypeVar("T")


class GivenFile(msgspec.Struct, frozen=True, kw_only=True):
    """An attached file. All but its path is known once a turn was made."""

    path: str
    digest: str | None = None
    media_type: str | None = None
    size: int | None = None


def given_files(spec: Mapping[str, object], turns: Sequence[Turn]) -> list[GivenFile]:
    """The files of a step by its stored spec, in the order in which they went along."""
    sent = {part.path: part for part in _sent(turns)}
    return [
        GivenFile(path=path, digest=part.digest, media_type=part.media_type, size=part.size)
        if (part := sent.get(path)) is not None
        else GivenFile(path=path)
        for path in _listed(spec, "files", str)
    ]


def given_tools(spec: Mapping[str, object]) -> list[str]:
    return [name for name, _ in _listed(spec, "tools", tuple[str, int])]


def given_grants(spec: Mapping[str, object]) -> list[str]:
    return _listed(spec, "grants", str)


def given_profile(spec: Mapping[str, object]) -> str:
    return str(spec.get("profile", ""))


def given_line(spec: Mapping[str, object]) -> str:
    """`profile: reviewer; tools: read_file, grep; grants: read`, or "" for a step that had none."""
    given = {
        "profile": list(filter(None, [given_profile(spec)])),
        "tools": given_tools(spec),
        "grants": given_grants(spec),
        "isolation": list(filter(None, [str(spec.get("isolation", ""))])),
        "gate": [" ".join(gate)] if (gate := _listed(spec, "gate", str)) else [],
    }
    return one_line("; ".join(f"{name}: {', '.join(values)}" for name, values in given.items() if values))


def file_lines(files: Sequence[GivenFile]) -> list[str]:
    """One line a file: its path, kind and size."""
    return [one_line(f"{file.path}{_kind_and_size(file)}") for file in files]


def _kind_and_size(file: GivenFile) -> str:
    if file.media_type is None or file.size is None:
        return ""
    return f" ({file.media_type}, {figures.byte_size(file.size)})"


def _sent(turns: Sequence[Turn]) -> tuple[FilePart, ...]:
    """Of the first turn: files go along with the first message of a conversation alone."""
    if not turns:
        return ()
    try:
        messages = msgspec.json.decode(turns[0].input, type=list[Message])
    except msgspec.DecodeError:  # a store may be anyone's
        return ()
    return tuple(part for message in messages for part in message.files)


def _listed(spec: Mapping[str, object], name: str, kind: type[T]) -> list[T]:
    try:
        found: Any = msgspec.convert(spec.get(name, []), list[kind])  # type: ignore[valid-type]
    except msgspec.ValidationError:
        return []
    return list(found)
