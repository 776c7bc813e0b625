"""vibe doctor: what holds scripts and commands on this machine, and whether all that is configured is in order."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from vibe_workflows.sandbox.confine import ConfineReport
    from vibe_workflows.sandbox.doctor import DoctorReport, Probe

    from .answers import AgentStanding, McpStanding
    from .render.tables import Cell

_SCRIPTS = {
    "strong": "every wall stands; workflows run",
    "good": "one wall is missing, and what is left denies the outside on its own",
    "weak": "what is left has known holes",
}
_COMMANDS = {
    "strong": "they see the project and the system in namespaces of their own",
    "good": "no namespaces; Landlock, a system call filter and a supervisor hold them",
    "weak": "what is left has known holes",
}


@click.command()
@options.as_json
@options.db
def command(as_json: bool, db: str | None) -> int:
    """Attack a really locked script and a really confined command, as if all else had fallen, and show what holds.

    Then look at everything in the store of this project, at the profiles of agents, and for what the configured agent
    CLIs and MCP servers need, without starting any. Exit code 8 where this machine is weaker than `sandbox.accept`
    allows, so that `vibe run` refuses; 74 where the store is not sound.
    """
    from vibe_workflows.engine.errors import ExitCode

    from . import wiring
    from .environment import screen
    from .printing import print_json, print_text
    from .render.health import health_json, health_text
    from .render.profiles import profiles_json, profiles_text
    from .settings import load

    settings = load({"db": db})
    accepted = settings.sandbox_accept
    scripts, commands = wiring.doctor()  # first: a system without a sandbox is told so, and has no locks either
    store = wiring.store_health(settings)
    profiles = wiring.examine_profiles(settings)
    agents = wiring.agent_programs(settings)
    servers = wiring.mcp_servers(settings)
    runs = scripts.level.meets(accepted)
    if as_json:
        print_json(
            {
                **scripts.to_json(),
                "accepted": accepted,
                "runs": runs,
                "commands": commands.to_json(),
                "store": health_json(store),
                "profiles": profiles_json(profiles),
                "agents": [{**agent._asdict(), "problem": agent.problem or None} for agent in agents],
                "mcp": [
                    {**server._asdict(), "problem": server.problem or None, "tools": server.tools} for server in servers
                ],
            }
        )
    else:
        surface = screen(sys.stdout)
        text = scripts_text(scripts, accepted, width=surface.width, colour=surface.colour)
        text += f"\n\n{commands_text(commands, width=surface.width, colour=surface.colour)}"
        text += f"\n\n{health_text(store, colour=surface.colour)}"
        profiles_said = profiles_text(profiles, colour=surface.colour)
        agents_said = agents_text(agents, width=surface.width, colour=surface.colour)
        servers_said = servers_text(servers, width=surface.width, colour=surface.colour).strip("\n")
        print_text("\n\n".join(filter(None, [text, profiles_said, agents_said, servers_said])))
    if not runs:
        return int(ExitCode.SANDBOX_WEAK)
    return int(ExitCode.DONE if store.sound else ExitCode.STORE)


def scripts_text(report: DoctorReport, accepted: str, *, width: int | None, colour: bool) -> str:
    """The level and what follows from it, the layers, and each attack with what came of it."""
    from .render.paint import Style, paint
    from .render.sanitize import one_line

    runs = report.level.meets(accepted)
    head = f"sandbox: {report.level} ({_SCRIPTS[report.level]})"
    parts = [paint(head, Style.GOOD if runs else Style.BAD, colour=colour)]
    if not runs:
        parts.append(
            f"`vibe run` refuses, since {accepted} is asked for. To run all the same: --sandbox-accept {report.level}, "
            f"or `sandbox: {{accept: {report.level}}}` in your own config"
        )
    parts += ["", *(f"{name:<12}{one_line(text)}" for name, text in report.facts.items()), ""]
    return "\n".join(parts + _findings("a script", report.layers, report.probes, width=width, colour=colour))


def commands_text(report: ConfineReport, *, width: int | None, colour: bool) -> str:
    """The same of the commands that agents run."""
    from .render.paint import Style, paint

    style = {"strong": Style.GOOD, "good": Style.WARN, "weak": Style.BAD}[report.level]
    parts = [paint(f"commands of agents: {report.level} ({_COMMANDS[report.level]})", style, colour=colour), ""]
    return "\n".join(parts + _findings("a command", report.layers, report.probes, width=width, colour=colour))


def agents_text(agents: Sequence[AgentStanding], *, width: int | None, colour: bool) -> str:
    """The configured agent CLIs, where there are any."""
    if not agents:
        return ""
    from .render.tables import Column, table

    heads = [Column(title="agent CLI"), Column(title="program"), Column(title="", shrinks=True)]
    rows = [(each.name, each.program, (each.problem or "found") if each.enabled else "not enabled") for each in agents]
    return table(heads, rows, width=width, colour=colour)


def servers_text(servers: Sequence[McpStanding], *, width: int | None, colour: bool) -> str:
    """The configured MCP servers, where there are any."""
    if not servers:
        return ""
    from .render.tables import Column, table

    heads = [Column(title="MCP server"), Column(title="program or address"), Column(title="", shrinks=True)]
    rows = [(server.name, server.target, server.problem or _known(server.tools)) for server in servers]
    return "\n\n" + table(heads, rows, width=width, colour=colour)


def _known(tools: Sequence[str] | None) -> str:
    if tools is None:
        return "found; its tools are listed when a run first may use them"
    return f"found; {len(tools)} tool{'' if len(tools) == 1 else 's'}"


def _findings(
    who: str, layers: Mapping[str, str], probes: Sequence[Probe], *, width: int | None, colour: bool
) -> list[str]:
    from .render.tables import Column, table

    parts = []
    if layers:
        heads = [Column(title="layer"), Column(title="state", shrinks=True)]
        rows = [(name, text or "not in force") for name, text in layers.items()]
        parts += [table(heads, rows, width=width, colour=colour), ""]
    columns = [Column(title=f"{who} could"), Column(title=""), Column(title="what came of it", shrinks=True)]
    found = [(probe.words, _verdict(probe), probe.outcome) for probe in probes]
    return [*parts, table(columns, found, width=width, colour=colour)] if found else parts


def _verdict(probe: Probe) -> Cell:
    from .render.paint import Style
    from .render.tables import Cell

    if probe.blocked:
        return Cell("no", Style.GOOD)
    return Cell("YES", Style.BAD if probe.critical else Style.WARN)
