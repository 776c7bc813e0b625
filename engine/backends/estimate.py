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

from ..model import FilePart, ModelRequest

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
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


def file_tokens(file: FilePart) -> int:
    """Tokens of an attached file: by its bytes for text, one price for images, by the page for PDFs."""
    if file.media_type.startswith("image/"):
        return TOKENS_PER_IMAGE
    if file.media_type == "application/pdf":
        return TOKENS_PER_PAGE * min(MAX_PAGES, 1 + file.size // BYTES_PER_PAGE)
    return text_tokens(file.path) + math.ceil(file.size / BYTES_PER_TOKEN)


def request_tokens(request: ModelRequest) -> int:
    """Tokens of a prompt: messages with their files, thinking and tool calls, tools, and schema."""
    total = TOKENS_PER_REQUEST
    for message in request.messages:
        total += TOKENS_PER_MESSAGE + text_tokens(message.text)
        total += sum(TOKENS_PER_MESSAGE + file_tokens(file) for file in message.files)
        for block in message.thinking:
            total += sum(
                text_tokens(part) for part in (block.get("thinking"), block.get("text")) if isinstance(part, str)
            )
        for call in message.tool_requests:
            total += TOKENS_PER_MESSAGE + text_tokens(call.name) + text_tokens(call.arguments)
    for tool in request.tools:
        total += TOKENS_PER_TOOL + text_tokens(tool.name) + text_tokens(tool.description)
        total += math.ceil(len(_encode(tool.parameters)) / BYTES_PER_TOKEN)
    if request.schema is not None:
        total += math.ceil(len(_encode(request.schema)) / BYTES_PER_TOKEN)
    return total
