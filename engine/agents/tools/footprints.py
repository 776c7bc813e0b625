"""What a call of a tool may look at, told from its arguments."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...errors import ToolDenied, ToolFailed
from ...model import JSON
from ...ports import Footprint
from .arguments import BadArguments, parse
from .workspace import Workspace


def footprint_of(
    workspace: Workspace, tool: str, kind: type[msgspec.Struct], arguments: Mapping[str, JSON], *, deep: bool = False
) -> Footprint | None:
    """Of the file at `path`, or of all below it; None where the arguments are none that the tool takes.

    Where the path is refused, nothing is looked at but the way there: then it is that of the path as it was asked for.
    """
    try:
        wanted = parse(tool, kind, arguments)
    except BadArguments:
        return None
    path: str = wanted.path  # type: ignore[attr-defined]
    try:
        place = workspace.locate(path)
    except (ToolDenied, ToolFailed):
        return Footprint(path="/".join(part for part in path.split("/") if part not in ("", ".")), deep=deep)
    return Footprint(path="/".join(place.parts), deep=deep and not workspace.is_file(place))
