"""What a person lets a run do. Grants come from the configuration and the command line, and from nothing else.

What a workflow or a profile declares is a request; what a prompt, a file or a model's reply says is text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .errors import GrantNeeded, ToolDenied

if TYPE_CHECKING:
    from .ports import Tool

#: Held by every run.
DEFAULT_GRANTS = ("read",)

#: Of programs that agents run, and of gates.
COMMAND_GRANT = "command"

#: All groups that can be granted.
GRANTS = ("read", "write", COMMAND_GRANT, "agent", "web", "net", "mcp")

#: Groups of which a part can be granted (`command:pytest`), since their tools hold each call against the parts.
PARTED_GROUPS = frozenset({COMMAND_GRANT, "agent", "mcp"})


def missing_grants(requested: Sequence[str], granted: Sequence[str]) -> tuple[str, ...]:
    return tuple(wanted for wanted in requested if not _covers(granted, wanted))


def require_requested(filename: str, requested: Sequence[str], granted: Sequence[str]) -> None:
    """Raises GrantNeeded where a workflow requests what was not granted: then nothing of it runs."""
    missing = missing_grants(requested, granted)
    if missing:
        raise GrantNeeded(
            f"{filename}: the workflow asks for {', '.join(missing)}, which you have not granted; nothing ran. "
            f"To grant it: --allow {','.join(missing)}"
        )


def require_tool(tool: Tool, granted: Sequence[str]) -> None:
    """Raises ToolDenied where no grant of the tool's group is held.

    A grant of a part (`command:pytest`) lets its group's tools be used; the tool holds each call against the parts. A
    tool of an MCP server has a part for a group (`mcp:github`).
    """
    parts = f"{tool.group}:" if tool.group in PARTED_GROUPS else None
    if not _covers(granted, tool.group) and not (parts and any(grant.startswith(parts) for grant in granted)):
        raise ToolDenied(
            f"tool `{tool.spec.name}` needs the grant `{tool.group}`, which this run does not have; name it in "
            f'meta["permissions"], and grant it with --allow {tool.group}'
        )


def require_agent(name: str, granted: Sequence[str]) -> None:
    """Raises ToolDenied where no grant lets a run start this agent CLI."""
    wanted = f"agent:{name}"
    if not _covers(granted, wanted):
        raise ToolDenied(
            f"{name} is a program of yours, which runs with your rights and without walls; that needs the grant "
            f'`{wanted}`, which this run does not have; name it in meta["permissions"], and grant it with --allow '
            f"{wanted}"
        )


def require_profile(where: str, requested: Sequence[str], granted: Sequence[str]) -> None:
    """Raises ToolDenied where a profile requests what was not granted. At the call: a script may compute its name."""
    missing = missing_grants(requested, granted)
    if missing:
        raise ToolDenied(
            f"{where}: the profile asks for {', '.join(missing)}, which this run does not have; name it in "
            f'meta["permissions"], and grant it with --allow {",".join(missing)}'
        )


def parts_of(group: str, granted: Sequence[str]) -> tuple[str, ...]:
    """What of a group is granted by name: of `command:pytest`, `pytest`."""
    return tuple(grant.partition(":")[2] for grant in granted if grant.startswith(f"{group}:"))


def held_of(group: str, granted: Sequence[str]) -> tuple[str, ...]:
    """The grants by which a tool of this group works: the group's own, or those of its parts."""
    if group in granted or group not in PARTED_GROUPS:
        return (group,)
    return tuple(f"{group}:{part}" for part in sorted(parts_of(group, granted))) or (group,)


def may_edit(granted: Sequence[str]) -> bool:
    """Whether something of a run may change files: a tool, or a command."""
    return any(grant.partition(":")[0] in ("write", "command") for grant in granted)


def _covers(granted: Sequence[str], wanted: str) -> bool:
    """A grant of a whole group holds for each of its parts: `command` for `command:pytest`."""
    return wanted in granted or wanted.partition(":")[0] in granted
