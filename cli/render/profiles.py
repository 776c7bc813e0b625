"""What is wrong with the profiles of agents, in words and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import figures
from .paint import Style, paint
from .sanitize import one_line

if TYPE_CHECKING:
    from vibe_workflows.engine.agents.profiles import Examined


def profiles_text(profiles: Sequence[Examined], *, colour: bool) -> str:
    """A line for each problem and each part that does not count; "" where there is no profile."""
    if not profiles:
        return ""
    broken = [each for each in profiles if each.problem]
    word, style = (f"{len(broken)} BROKEN", Style.BAD) if broken else ("sound", Style.GOOD)
    lines = [paint(f"profiles: {figures.count(len(profiles), 'file')}, {word}", style, colour=colour)]
    lines += [f"  {one_line(each.problem)}" for each in broken]
    lines += [f"  {one_line(note)}" for each in profiles for note in each.notes]
    return "\n".join(lines)


def profiles_json(profiles: Sequence[Examined]) -> list[dict[str, object]]:
    return [{"path": each.where, "problem": each.problem or None, "notes": list(each.notes)} for each in profiles]
