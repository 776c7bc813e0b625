"""Whether the store is sound, in words and as a JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import figures
from .paint import Style, paint
from .sanitize import one_line

if TYPE_CHECKING:  # a system without locks is told of in words, too
    from vibe_workflows.engine.store.soundness import StoreHealth


def health_text(health: StoreHealth, *, colour: bool) -> str:
    """What was found, and what to do."""
    if not health.exists or (health.sound and health.note):
        return one_line(f"store: {health.note if health.exists else f'{health.path}: {health.note}'}")
    word, style = ("sound", Style.GOOD) if health.sound else ("NOT SOUND", Style.BAD)
    schema = "unknown" if health.schema is None else f"{health.schema} of {health.latest_schema}"
    lines = [
        paint(f"store: {word}", style, colour=colour),
        one_line(f"{health.path}, {figures.byte_size(health.bytes)}, schema {schema}"),
        *(f"  {one_line(problem)}" for problem in health.problems),
    ]
    if health.origin is not None:
        lines.append(one_line(health.origin))
    elif health.sound:
        lines.append("made or trusted by you: its answers are reused")
    if health.half_done:
        edits = figures.count(health.half_done, "edit")
        lines.append(f"a run ended in the middle of {edits}: the next run makes it, or takes it for never made")
    if health.advice:
        lines.append(one_line(health.advice))
    return "\n".join(lines)


def health_json(health: StoreHealth) -> dict[str, object]:
    """`sound` is null where it could not be looked at: there is none yet, or its schema is older."""
    looked = health.exists and not health.note
    return {
        "path": str(health.path),
        "exists": health.exists,
        "sound": health.sound if looked or health.problems else None,
        "bytes": health.bytes,
        "schema": health.schema,
        "latest_schema": health.latest_schema,
        "origin": health.origin,
        "half_done_edits": health.half_done,
        "problems": list(health.problems),
        "note": health.note or None,
        "advice": health.advice or None,
    }
