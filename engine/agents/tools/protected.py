"""Which files no tool writes, whatever is granted: those by which a project is run, configured and kept.

Who writes a hook of `.git`, a workflow of `.vibe` or a line of `vibe.yaml` decides what runs next, with which grants.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from ...errors import ToolDenied, ToolFailed
from .secrets import PRIVATE_FOLDERS, folded
from .workspace import Place, Workspace, visible

_PATH_BYTES = 4_096  # with the NUL at the end: beyond it a file could be made step by step, and hardly be removed

PROTECTED = PRIVATE_FOLDERS | {".claude", "vibe.yaml"}


def locate_for_writing(workspace: Workspace, path: str) -> Place:
    """As `Workspace.locate`, for a file that is to be written. Raises ToolDenied also where no tool writes."""
    place = workspace.locate(path)
    shown = visible(place.path)
    for parts in (place.path.split("/"), place.parts):
        reason = write_refusal(parts)
        if reason is not None:
            raise ToolDenied(f"{shown}: {reason}")
    if len(os.fsencode(f"{workspace.root}/{place.real_path}")) >= _PATH_BYTES:
        raise ToolFailed(f"{shown}: longer than the paths of this system, so that nobody could open it by its name")
    if path.endswith("/"):
        raise ToolFailed(f"{shown}: the path of a file has no `/` at its end")
    try:
        place.path.encode()
    except UnicodeEncodeError as error:
        raise ToolDenied(f"{shown}: not a path in UTF-8") from error
    return place


def write_refusal(parts: Sequence[str]) -> str | None:
    """Why no tool writes this path below the root, or None. `parts` are its components."""
    for part in parts:
        name = folded(part)
        if name in PROTECTED:
            return f"no tool writes `{name}`, whatever is granted: it decides what runs here; ask the person to do it"
    return None
