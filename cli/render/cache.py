"""What the store holds, as text and as JSON documents."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec import to_builtins

from vibe_workflows.engine.journal import usage_json
from vibe_workflows.engine.looks import look_text
from vibe_workflows.engine.model import Observation
from vibe_workflows.engine.store.contents import MOST_SHOWN, Sample, StepView, StoreContents, StoredWorkflow, Use
from vibe_workflows.engine.store.export import Exported
from vibe_workflows.engine.store.gc import Collected
from vibe_workflows.engine.store.imports import Imported

from . import figures
from .paint import Style, paint
from .sanitize import clean, one_line
from .tables import Cell, Column, table
from .words import status_style, status_word

#: Of a text, and of a list, so much is shown.
_CHARACTERS, _LINES, _ROWS = 2000, 30, 10


# ---------------------------------------------------------------- vibe cache list


def contents_text(held: StoreContents, *, width: int | None, colour: bool, now: float) -> str:
    """A line a workflow, then the sums."""
    columns = (
        Column(title="workflow", shrinks=True),
        *(Column(title=title, right=True) for title in ("runs", "steps", "answers", "texts", "first run", "last used")),
    )
    body = [_row(each, now) for each in held.workflows]
    sums = (
        f"{figures.count(held.runs, 'run')}, {figures.count(held.steps, 'step')} ({held.answers:,} with an answer, "
        f"{held.imported:,} imported, {held.unused:,} that no run here used), "
        f"texts {figures.byte_size(held.text_bytes)}, {figures.byte_size(held.bytes)} on the disk"
    )
    return "\n".join([*([table(columns, body, width=width, colour=colour), ""] if body else []), sums, str(held.path)])


def _row(each: StoredWorkflow, now: float) -> tuple[str, ...]:
    return (
        each.workflow,
        f"{each.runs:,}",
        f"{each.steps:,}",
        f"{each.answers:,}",
        figures.byte_size(each.bytes),
        _ago(each.first_at, now),
        _ago(each.last_at, now),
    )


def _ago(at: float, now: float) -> str:
    return f"{figures.age(max(now - at, 0))} ago"


def contents_json(held: StoreContents) -> dict[str, object]:
    return {
        "store": str(held.path),
        "bytes": held.bytes,
        "text_bytes": held.text_bytes,
        "runs": held.runs,
        "steps": held.steps,
        "answers": held.answers,
        "imported": held.imported,
        "unused": held.unused,
        "workflows": [
            {name: getattr(each, name) for name in StoredWorkflow.__struct_fields__} for each in held.workflows
        ],
    }


# ---------------------------------------------------------------- vibe cache show


def step_text(view: StepView, *, width: int | None, colour: bool, now: float) -> str:
    step = view.step
    status = paint(status_word(step.status.value), status_style(step.status.value), colour=colour)
    paid = f"{figures.tokens(step.usage.tokens)} tokens, {figures.money(step.usage.cost_microusd)}"
    parts = [
        f"step {one_line(step.id)}  {step.kind.value}  {status}  {one_line(step.model)}".rstrip(),
        f"key {one_line(step.key)}",
        f"{_ago(step.finished_at, now)}, {figures.count(step.turns, 'turn')}, {paid}",
        _worker(view, now),
        *_spec_lines(step.spec, colour),
    ]
    if step.result is not None:
        parts += [_title("answer", colour), *_shortened(_readable(step.result))]
    if step.fault is not None:
        parts += [_title("error", colour), *_shortened(f"{step.fault.type}: {step.fault.message}")]
    seen = [_seen(each) for each in step.observations]
    parts += [
        _title(f"observations ({len(seen):,})", colour),
        *_rows([one_line(line, 160) for line in seen], len(seen)),
    ]
    parts += [_title(f"uses ({view.use_count:,})", colour), *_uses(view, width=width, colour=colour, now=now)]
    parts += [_title(f"pool ({view.pool_count:,})", colour), *_pool(view, width=width, colour=colour, now=now)]
    return "\n".join(parts)


def _seen(look: Observation) -> str:
    if look.change is None:
        return look_text(look.tool, look.arguments)
    made = "created" if look.change.before is None else "edited" if look.change.after is not None else "removed"
    return f"{made} {look.change.path}"


def _worker(view: StepView, now: float) -> str:
    if view.imported is not None:
        return (
            f"imported from {one_line(view.imported.file)} {_ago(view.imported.imported_at, now)} ({view.imported.id})"
        )
    if view.workflow:
        return f"done by run {one_line(view.step.run_id)} of {one_line(view.workflow)}"
    return f"done by run {one_line(view.step.run_id)}, which the store does not hold any more"


def _spec_lines(spec: str, colour: bool) -> list[str]:
    try:
        given = json.loads(spec)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return [_title("spec", colour), *_shortened(spec)]
    long = [name for name in ("system", "prompt", "arguments", "schema") if name in given]
    short = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in given.items() if name not in long]
    lines = [_title("spec", colour), *[one_line(line, 160) for line in short]]
    for name in long:
        lines += [_title(name, colour), *_shortened(_readable(json.dumps(given[name], ensure_ascii=False)))]
    return lines


def _uses(view: StepView, *, width: int | None, colour: bool, now: float) -> list[str]:
    if not view.uses:
        return ["none: no run that the store holds has used it"]
    columns = [Column(title="run"), Column(title="workflow", shrinks=True), Column(title="step", right=True)]
    columns += [Column(title="label", shrinks=True), Column(title=""), Column(title="when", right=True)]
    body: list[Sequence[str | Cell]] = [
        (use.run, use.workflow, f"#{use.number}", use.label, use.mode, _ago(use.at, now)) for use in view.uses[:_ROWS]
    ]
    return [table(columns, body, width=width, colour=colour), *_more(len(body), view.use_count)]


def _pool(view: StepView, *, width: int | None, colour: bool, now: float) -> list[str]:
    if not view.pool:
        return ["none: no step of this key has an answer"]
    columns = [Column(title="step"), Column(title="place", shrinks=True), Column(title="tokens", right=True)]
    columns += [Column(title="when", right=True)]
    body: list[Sequence[str | Cell]] = [
        (Cell(each.step, Style.STORED if each.step == view.step.id else Style.PLAIN), each.place, *_sample(each, now))
        for each in view.pool[:_ROWS]
    ]
    return [table(columns, body, width=width, colour=colour), *_more(len(body), view.pool_count)]


def _sample(each: Sample, now: float) -> tuple[str, str]:
    return figures.tokens(each.tokens), _ago(each.at, now)


def _title(text: str, colour: bool) -> str:
    return "\n" + paint(text, Style.TITLE, colour=colour)


def _readable(text: str) -> str:
    """The value of a JSON text: itself where it is a text, else indented."""
    try:
        value = json.loads(text)
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _shortened(text: str) -> list[str]:
    lines = clean(text[:_CHARACTERS]).splitlines()
    shown = lines[:_LINES]
    if len(text) > _CHARACTERS or len(lines) > _LINES:
        shown.append(f"... {len(text):,} characters in all; --json has them")
    return shown


def _rows(lines: Sequence[str], count: int) -> list[str]:
    return [*lines[:_ROWS], *_more(min(len(lines), _ROWS), count)]


def _more(shown: int, count: int) -> list[str]:
    return [f"and {count - shown:,} more"] if count > shown else []


def step_json(view: StepView) -> dict[str, object]:
    """The texts whole; of long lists the first, with their number."""
    step, imported = view.step, view.imported
    return {
        "step": step.id,
        "key": step.key,
        "kind": step.kind.value,
        "status": step.status.value,
        "model": step.model,
        "run": None if imported is not None else step.run_id,
        "workflow": view.workflow or None,
        "imported": None
        if imported is None
        else {"import": imported.id, "file": imported.file, "imported_at": imported.imported_at},
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "turn_count": step.turns,
        "usage": usage_json(step.usage),
        "predecessor": step.predecessor,
        "attempt_after": step.attempt_after,
        "spec": _value(step.spec),
        "result": None if step.result is None else _value(step.result),
        "error": None if step.fault is None else {"type": step.fault.type, "message": step.fault.message},
        "observations": [
            {
                "tool": each.tool,
                "arguments": _value(each.arguments),
                "digest": each.digest,
                "epoch": each.epoch,
                "change": None if each.change is None else to_builtins(each.change),
            }
            for each in step.observations[:MOST_SHOWN]
        ],
        "observation_count": len(step.observations),
        "uses": [{name: getattr(use, name) for name in Use.__struct_fields__} for use in view.uses],
        "use_count": view.use_count,
        "pool": [{name: getattr(each, name) for name in Sample.__struct_fields__} for each in view.pool],
        "pool_count": view.pool_count,
    }


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


# ---------------------------------------------------------------- vibe cache gc, export, import


def collected_text(done: Collected, *, dry_run: bool) -> str:
    going = f"{figures.count(done.runs, 'run')} and {figures.count(done.steps, 'step')}"
    sizes = f"{figures.byte_size(done.bytes_before)} before, {figures.byte_size(done.bytes_after)} after"
    lines = [f"{going} would go: {sizes} (estimated)" if dry_run else f"{going} went: {sizes}"]
    if done.alive:
        runs = ", ".join(map(one_line, done.alive[:_ROWS]))
        lines.append(f"steps stay while a run is at work ({runs}); run it again when that has ended")
    if done.unsettled:
        lines.append("other processes wrote all the time, so some of it is left; run it again when they have ended")
    if done.too_large:
        lines.append("that is still more than --max-size: what is left is at work, unfinished, or kept by --keep-runs")
    return "\n".join(lines)


def collected_json(done: Collected, *, dry_run: bool) -> dict[str, object]:
    return {"dry_run": dry_run, **{name: getattr(done, name) for name in Collected.__struct_fields__}}


def exported_text(done: Exported, target: str) -> str:
    lines = [f"{figures.count(done.steps, 'step')} written to {one_line(target)} ({figures.byte_size(done.bytes)})"]
    if done.masked:
        lines.append(f"in the turns of {figures.count(done.masked, 'step')} secrets of the environment were masked")
    left_out = (
        (done.secret, "whose input or answer holds a secret of the environment"),
        (done.edited, "that edited files, whose contents do not travel"),
        (done.granted, "that could do more than read"),
        (done.unreadable, "that the store cannot tell whole, or that no import would take"),
    )
    lines += [f"left out: {figures.count(count, 'step')} {why}" for count, why in left_out if count]
    return "\n".join(lines)


def exported_json(done: Exported, target: str) -> dict[str, object]:
    counts = ("steps", "bytes", "secret", "edited", "granted", "unreadable", "masked")
    return {"file": target, **{name: getattr(done, name) for name in counts}}


def imported_text(done: Imported, file: str, *, dry_run: bool) -> str:
    what = f"{figures.count(done.steps, 'step')}"
    lines = [f"{one_line(file)} holds {what}" if dry_run else f"{what} imported from {one_line(file)} ({done.id})"]
    if done.known:
        lines.append(f"{figures.count(done.known, 'step')} were here already")
    if done.granted:
        lines.append(f"left out: {figures.count(done.granted, 'step')} that could do more than read")
    return "\n".join(lines)
