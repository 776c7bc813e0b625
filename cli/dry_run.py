"""vibe run --dry-run: what a run would take from the store, and what it would do first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from .environment import screen
from .errors import say
from .output import run_fault_json
from .render.dry_run import dry_run_text
from .render.made_up import is_made_up
from .render.words import OFFLINE_NOTICE

if TYPE_CHECKING:
    from vibe_workflows.engine.dry_run import DryRun
    from vibe_workflows.engine.expected import Estimate

    from .output import RunOutput


def show(found: DryRun, output: RunOutput) -> int:
    """Print it, and return the exit code."""
    if found.missing_grants:
        say(f"warning: a run of it needs --allow {','.join(found.missing_grants)}")
    surface = screen(sys.stdout)
    terminal = output.to_terminal
    text = dry_run_text(found, width=surface.width if terminal else None, colour=surface.colour and terminal)
    output.publish(msgspec.json.encode(document(found)), text)
    if any(map(is_made_up, (*(step.model for step in found.stored), *(step.model for step in found.live)))):
        say(OFFLINE_NOTICE)
    if found.exit_code:
        say("interrupted")
    return int(found.exit_code)


def document(found: DryRun) -> dict[str, object]:
    """The one document of `--json`. `outcome` is null where it depends on the answers of live steps."""
    return {
        "dry_run": True,
        "workflow": found.workflow,
        "outcome": None if found.ending is None else found.ending.status.value,
        "error": None if found.ending is None else run_fault_json(found.ending.fault),
        "stored": [
            {
                "number": each.number,
                "label": each.label,
                "phase": each.phase,
                "step": each.step,
                "model": each.model,
                "tokens": each.tokens,
                "cost_microusd": each.cost_microusd,
            }
            for each in found.stored
        ],
        "edited_again": [{"path": path, "created": created} for path, created in found.edits.items()],
        "live": [
            {
                "number": each.number,
                "label": each.label,
                "phase": each.phase,
                "model": each.model,
                "tools": each.tools,
                "reason": each.reason,
                "estimate": {**_estimate(each.estimate), "from_steps": each.estimate.steps},
            }
            for each in found.live
        ],
        "failed": [
            {
                "number": each.number,
                "label": each.label,
                "phase": each.phase,
                "type": each.error_type,
                "kind": each.error_kind,
                "message": each.error,
            }
            for each in found.failed
        ],
        "estimate": _estimate(found.estimate),
        "tool_steps": found.tools,
        "missing_grants": found.missing_grants,
        "offline": found.offline,
    }


def _estimate(estimate: Estimate) -> dict[str, object]:
    return {
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "cost_microusd": estimate.cost_microusd,
    }
