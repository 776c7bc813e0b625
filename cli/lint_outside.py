"""What scripts name that lies outside of them, held against the configuration, the project and this machine.

Everything is judged by what is known here without starting or asking anything: what cannot be known is taken as right.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from vibe_workflows.catalog.metadata import Metadata
from vibe_workflows.engine.agents.tools.registry import BUILT_IN, GROUPS, SPECS
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.grants import COMMAND_GRANT, PARTED_GROUPS, missing_grants
from vibe_workflows.engine.mcp.names import SEPARATOR, server_of
from vibe_workflows.engine.nearest import did_you_mean, nearest
from vibe_workflows.sandbox.lint_report import LintFact, LintPlace, LintReport, ToolUse

from .commands import program_outside
from .planning import granted
from .profiles import folders_of_profiles

_OF_SERVER = "mcp:"
#: As close as a misspelling is; other models may well exist.
_MISSPELT = 0.75
_MOST_NAMES = 900  # a folder of more profiles is not listed to its end


class Judged(NamedTuple):
    place: LintPlace
    code: str
    message: str


class Outside:
    """Of one project: it is looked at once, and only at what some script names."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._judges: Mapping[str, Callable[[Any, Sequence[str]], Iterator[tuple[str, str]]]] = {
            "model": self._model,
            "profile": self._profile,
            "tool": self._tool,
            "call": self._call,
            "file": self._file,
            "program": self._program,
        }

    def judge(self, report: LintReport, about: Metadata) -> Iterator[Judged]:
        grants = (*granted(self._settings), *about.permissions)
        for fact in report.facts:
            for code, message in self._of(fact, grants):
                yield Judged(fact.place, code, message)

    def _of(self, fact: LintFact, grants: Sequence[str]) -> Iterator[tuple[str, str]]:
        judge = self._judges.get(fact.kind)
        if judge is not None and isinstance(fact.value, ToolUse) == (fact.kind == "call"):
            yield from judge(fact.value, grants)

    # ------------------------------------------------------------ models and profiles

    def _model(self, name: str, _grants: Sequence[str]) -> Iterator[tuple[str, str]]:
        aliases = self._settings.aliases
        if "://" in name:
            yield (
                "model-address",
                f"`{name}` holds an address, which only a person's own config may name; define an alias there",
            )
        elif name not in aliases and "/" not in name and (meant := nearest(name, aliases, cutoff=_MISSPELT)):
            yield "unknown-model", f"`{name}` is no alias of the configuration here; did you mean `{meant}`?"

    def _profile(self, name: str, _grants: Sequence[str]) -> Iterator[tuple[str, str]]:
        known = self._profiles
        if name not in known and len(known) < _MOST_NAMES:
            places = ", ".join(folder.shown for folder in self._folders)
            yield "unknown-profile", f"no profile `{name}` lies in {places}; {did_you_mean(name, known)}"

    @cached_property
    def _folders(self) -> Sequence[Any]:
        return folders_of_profiles(self._settings)

    @cached_property
    def _profiles(self) -> set[str]:
        return {name for folder in self._folders for name in folder.names()}

    # ------------------------------------------------------------ tools

    def _tool(self, name: str, grants: Sequence[str]) -> Iterator[tuple[str, str]]:
        """A name in `tools=`: of a tool, of a group, or of all tools of a server."""
        if name in GROUPS or name in BUILT_IN:
            yield from self._permission(name, BUILT_IN.get(name, name), grants)
        elif name.startswith(_OF_SERVER):
            yield from self._server(name, name.removeprefix(_OF_SERVER), grants)
        else:
            yield from self._other_tool(name, grants, groups=True)

    def _call(self, use: ToolUse, grants: Sequence[str]) -> Iterator[tuple[str, str]]:
        if use.name not in BUILT_IN:
            yield from self._other_tool(use.name, grants, groups=False)
            return
        if BUILT_IN[use.name] != COMMAND_GRANT:  # which command it is may be an argument, and is granted then
            yield from self._permission(use.name, BUILT_IN[use.name], grants)
        parameters = SPECS[use.name].parameters
        known = parameters.get("properties")
        required = parameters.get("required")
        if not isinstance(known, dict) or not isinstance(required, list):
            return
        for name in use.given:
            if name not in known:
                yield "tool-argument", f"`{use.name}` has no argument `{name}`; {did_you_mean(name, known)}"
        missing = [str(name) for name in required if name not in use.given] if use.whole else []
        if missing:
            yield "tool-argument", f"`{use.name}` lacks its argument `{missing[0]}`"

    def _other_tool(self, name: str, grants: Sequence[str], *, groups: bool) -> Iterator[tuple[str, str]]:
        server = server_of(name)
        if server:
            yield from self._server(name, server, grants)
            return
        known = [*BUILT_IN, *(GROUPS if groups else ()), *(f"{_OF_SERVER}{each}" for each in self._servers if groups)]
        yield "unknown-tool", f"no tool{' or group' if groups else ''} `{name}`; {did_you_mean(name, known)}"

    def _server(self, name: str, server: str, grants: Sequence[str]) -> Iterator[tuple[str, str]]:
        if server not in self._settings.mcp:
            hint = did_you_mean(server, self._servers)
            yield "unknown-server", f"`{name}`: no MCP server `{server}` is configured here; {hint}"
            return
        yield from self._permission(name, f"{_OF_SERVER}{server}", grants)
        offered = self._offered(server) if SEPARATOR in name else None
        if offered is not None and name not in offered:
            hint = did_you_mean(name, offered)
            yield "unknown-tool", f"the MCP server `{server}` listed no tool `{name}` when it was asked last; {hint}"

    @property
    def _servers(self) -> list[str]:
        return sorted(self._settings.mcp)

    def _offered(self, server: str) -> set[str] | None:
        """As it listed them last; None where it never did."""
        from vibe_workflows.engine.mcp.listing import ListingCache, offered  # most people have none

        found = self._settings.mcp[server]
        listing = ListingCache(self._settings.cache_dir).load(found)
        return None if listing is None else {tool.name for tool in offered(found, listing)}

    def _permission(self, name: str, group: str, grants: Sequence[str]) -> Iterator[tuple[str, str]]:
        is_parted = group in PARTED_GROUPS and any(grant.startswith(f"{group}:") for grant in grants)
        if missing_grants([group], grants) and not is_parted:
            yield (
                "permission",
                f'`{name}` needs the permission `{group}`; ask for it in meta: "permissions": ["{group}"]',
            )

    # ------------------------------------------------------------ files and programs

    def _file(self, path: str, _grants: Sequence[str]) -> Iterator[tuple[str, str]]:
        if "\0" not in path and not os.path.exists(self._settings.project_root / path):
            yield "missing-file", f"`{path}` is not there now, seen from {self._settings.project_root}"

    def _program(self, name: str, grants: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Of a gate."""
        yield from self._permission(name, COMMAND_GRANT, grants)
        path = os.environ.get("PATH", os.defpath)
        if "/" not in name and "\0" not in name and program_outside(self._settings.project_root, path, name) is None:
            yield "missing-program", f"the gate's program `{name}` is not in PATH on this machine; install it"
