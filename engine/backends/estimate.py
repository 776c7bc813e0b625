"""A cheap local estimate of tokens, for every backend.

3.5 UTF-8 bytes a token is what English prose and code come to, within a fifth, with the tokenizers in use; other
scripts take more bytes a character and more tokens too. A real tokenizer would be loaded per model family (0.3 s and
tens of megabytes each), and would still not see a provider's own framing; the budget learns a margin per model.
Images and PDFs are guessed at by their size: what they come to depends on pixels and pages, which nobody counts here.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from ..model import FilePart, Message, ModelRequest, ToolSpec

BYTES_PER_TOKEN: Final = 3.5
TOKENS_PER_MESSAGE: Final = 4
TOKENS_PER_TOOL: Final = 12
TOKENS_PER_REQUEST: Final = 3
TOKENS_PER_IMAGE: Final = 1_600  # the most that the usual providers take for one, whatever its size
TOKENS_PER_PAGE: Final = 2_000
BYTES_PER_PAGE: Final = 30_000
MAX_PAGES: Final = 100

_encode = msgspec.json.Encoder().encode


def text_tokens(text: str) -> int:
    """Tokens of a piece of text; 0 for none."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return math.ceil(size / BYTES_PER_TOKEN)


def data_tokens(value: object) -> int:
    """Tokens of what goes out as JSON: parameters of a tool, a schema."""
    return math.ceil(len(_encode(value)) / BYTES_PER_TOKEN)


def file_tokens(file: FilePart) -> int:
    """Tokens of an attached file: by its bytes for text, one price for images, by the page for PDFs."""
    if file.media_type.startswith("image/"):
        return TOKENS_PER_IMAGE
    if file.media_type == "application/pdf":
        return TOKENS_PER_PAGE * min(MAX_PAGES, 1 + file.size // BYTES_PER_PAGE)
    return text_tokens(file.path) + math.ceil(file.size / BYTES_PER_TOKEN)


def files_tokens(message: Message) -> int:
    """Tokens of the files that go along with a message."""
    return sum(TOKENS_PER_MESSAGE + file_tokens(file) for file in message.files) if message.files else 0


def tool_tokens(tool: ToolSpec) -> int:
    return TOKENS_PER_TOOL + text_tokens(tool.name) + text_tokens(tool.description) + data_tokens(tool.parameters)


def message_tokens(message: Message) -> int:
    """Tokens of one message with the tool calls, the files and the thinking in it."""
    total = TOKENS_PER_MESSAGE + text_tokens(message.text) + files_tokens(message)
    for call in message.tool_requests:
        total += TOKENS_PER_MESSAGE + text_tokens(call.name) + text_tokens(call.arguments)
    for block in message.thinking:
        total += sum(text_tokens(part) for part in (block.get("thinking"), block.get("text")) if isinstance(part, str))
    return total


def request_tokens(request: ModelRequest) -> int:
    """Tokens of a prompt: messages with all that is in them, tools, and schema."""
    total = TOKENS_PER_REQUEST + sum(map(message_tokens, request.messages)) + sum(map(tool_tokens, request.tools))
    return total if request.schema is None else total + data_tokens(request.schema)
