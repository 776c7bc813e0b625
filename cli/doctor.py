"""vibe doctor: what the sandbox of this machine holds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from vibe_workflows.sandbox.doctor import DoctorReport, Probe

    from .render.tables import Cell

_MEANING = {
    "strong": "every wall stands; workflows run",
    "good": "one wall is missing, and what is left denies the outside on its own",
    "weak": "what is left has known holes",
}


@click.command()
@options.as_json
def command(as_json: bool) -> int:
    """Attack a really locked process, as if the interpreter's own wall had fallen, and show what holds.

    Exit code 8 where this machine is weaker than `sandbox.accept` allows, so that `vibe run` refuses.
    """
    from vibe_workflows.engine.errors import ExitCode

    from . import wiring
    from .environment import screen
    from .printing import print_json, print_text
    from .settings import load

    settings = load({})
    report = wiring.doctor(settings)
    refused = not report.level.meets(settings.sandbox_accept)
    if as_json:
        print_json({**report.to_json(), "accepted": settings.sandbox_accept, "runs": not refused})
    else:
        surface = screen(sys.stdout)
        print_text(doctor_text(report, settings.sandbox_accept, width=surface.width, colour=surface.colour))
    return int(ExitCode.SANDBOX_WEAK if refused else ExitCode.DONE)


def doctor_text(report: DoctorReport, accepted: str, *, width: int | None, colour: bool) -> str:
    """The level and what follows from it, the layers, and each attack with what came of it."""
    from .render.paint import Style, paint
    from .render.sanitize import one_line
    from .render.tables import Column, table

    refused = not report.level.meets(accepted)
    head = f"sandbox: {report.level} ({_MEANING[report.level]})"
    parts = [paint(head, Style.BAD if refused else Style.GOOD, colour=colour)]
    if refused:
        parts.append(
            f"`vibe run` refuses, since {accepted} is asked for. To run all the same: --sandbox-accept {report.level}, "
            f"or `sandbox: {{accept: {report.level}}}` in your own config"
        )
    parts += ["", *(f"{name:<12}{one_line(text)}" for name, text in report.facts.items()), ""]
    layers = [(name, text or "not in force") for name, text in report.layers.items()]
    if layers:
        heads = [Column(title="layer"), Column(title="state", shrinks=True)]
        parts += [table(heads, layers, width=width, colour=colour), ""]
    columns = [Column(title="a script could"), Column(title=""), Column(title="what came of it", shrinks=True)]
    rows = [(probe.words, _verdict(probe), probe.outcome) for probe in report.probes]
    parts.append(table(columns, rows, width=width, colour=colour))
    return "\n".join(parts)


def _verdict(probe: Probe) -> Cell:
    from .render.paint import Style
    from .render.tables import Cell

    if probe.blocked:
        return Cell("no", Style.GOOD)
    return Cell("YES", Style.BAD if probe.critical else Style.WARN)
