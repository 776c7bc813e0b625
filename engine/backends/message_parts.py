"""A message's text and files as content parts, in litellm's words."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from ..errors import InternalError, SetupError
from ..model import FilePart, Message, ModelInfo, ModelRequest

Part: TypeAlias = dict[str, Any]

_PDF: Final = "application/pdf"


def check_files(request: ModelRequest, info: ModelInfo) -> None:
    """Raises SetupError for a file of which it is known that the model does not take it."""
    if info.media_types is None:
        return
    for message in request.messages:
        for file in message.files:
            if not is_text(file) and file.media_type not in info.media_types:
                raise SetupError(
                    f"{file.path}: {request.model} takes no {file.media_type}; leave the file out, give its text, or "
                    "choose a model that takes it"
                )


def is_text(file: FilePart) -> bool:
    return file.media_type.startswith("text/")


def content(message: Message, contents: Mapping[str, bytes], *, marked: bool, last_marked: bool) -> str | list[Part]:
    """The content of a system or user message: context, files, rest; a plain string where nothing asks for parts.

    `marked` puts a cache mark at the end of the context, `last_marked` at the end of the message.
    """
    text, size = message.text, message.context_chars
    if not message.files and not last_marked and not (marked and size):
        return text
    parts: list[Part] = [_text(text[:size])] if size else []
    if marked and parts:
        parts[-1]["cache_control"] = mark()
    for file in message.files:
        parts += _file(file, contents)
    if text[size:]:
        parts.append(_text(text[size:]))
    if last_marked and parts:
        parts[-1]["cache_control"] = mark()
    return parts


def mark() -> dict[str, str]:
    """What tells a provider to cache the prompt up to here, for its usual few minutes."""
    return {"type": "ephemeral"}


def text_of_file(file: FilePart, data: bytes) -> str:
    """A text file as a model reads it: under a header with its path."""
    return f"{_header(file)}\n\n{data.decode('utf-8', 'replace')}"


def _header(file: FilePart) -> str:
    # Some providers get all text parts as one string, so that it brings its own lines.
    return f"\n\nFile `{file.path}`:"


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _file(file: FilePart, contents: Mapping[str, bytes]) -> list[Part]:
    data = contents.get(file.digest)
    if data is None:
        raise InternalError(f"{file.path}: its contents are not in the request; please report it")
    if is_text(file):
        return [_text(text_of_file(file, data))]
    address = f"data:{file.media_type};base64,{base64.b64encode(data).decode('ascii')}"
    header = _text(_header(file))
    if file.media_type == _PDF:
        return [header, {"type": "file", "file": {"filename": file.path.rpartition("/")[2], "file_data": address}}]
    return [header, {"type": "image_url", "image_url": {"url": address}}]
