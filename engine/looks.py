"""What was looked at, in words."""

from __future__ import annotations

import msgspec

from .model import FILE_STATE, FILE_TREE


def look_text(tool: str, arguments: str) -> str:
    """`file a.py` for the look at a whole file, and words for that at all of them; else the tool with its arguments.

    Not cleaned for a terminal.
    """
    if tool == FILE_TREE:
        return "the project's files"
    if tool == FILE_STATE:
        try:
            return f"file {msgspec.json.decode(arguments, type=dict[str, str])['path']}"
        except (msgspec.MsgspecError, RecursionError, KeyError):  # a store may be anyone's
            pass
    return f"{tool} {arguments}"
