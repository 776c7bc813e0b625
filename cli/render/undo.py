"""What was taken back of a run's edits, and what stays."""

from __future__ import annotations

from collections.abc import Sequence

from vibe_workflows.engine.model import RunStatus
from vibe_workflows.engine.undo import Editor, Kept, TakenBack, Undo, Why

from . import figures
from .paint import Style, paint
from .sanitize import one_line


def undo_text(undo: Undo, *, dry_run: bool, colour: bool) -> str:
    """A line for each file, and the sum."""
    run = f"run {one_line(undo.run.id)} of {one_line(undo.run.workflow)}"
    lines = [_taken(each, dry_run=dry_run, colour=colour) for each in undo.files]
    lines += [_kept(each, colour=colour) for each in undo.kept]
    if not lines:
        return f"{run} edited no file, or all of it was taken back"
    return "\n".join([*lines, _sum(undo, run, dry_run=dry_run)])


def _sum(undo: Undo, run: str, *, dry_run: bool) -> str:
    files, stay = len(undo.files), len(undo.kept)
    if dry_run:
        parts = [f"{figures.count(files, 'file')} would be as before {run}"]
    else:
        parts = [f"{figures.count(files, 'file')} {'is' if files == 1 else 'are'} as before {run}"]
    if stay:
        parts.append(f"{stay:,} {'stays' if stay == 1 else 'stay'} as {'it is' if stay == 1 else 'they are'}")
    elif not dry_run and undo.run.status is RunStatus.COMPLETED:
        parts.append("the same command makes its edits again, from the store")
    return "; ".join(parts)


def _taken(each: TakenBack, *, dry_run: bool, colour: bool) -> str:
    if each.present == each.before:
        verb, style = "is so", Style.FAINT
    elif each.before is None:
        verb, style = "remove" if dry_run else "removed", Style.BAD
    else:
        verb, style = "restore" if dry_run else "restored", Style.GOOD
    return f"  {paint(f'{verb:<9}', style, colour=colour)} {one_line(each.path)}  ({_names(each.editors)})"


def _kept(each: Kept, *, colour: bool) -> str:
    verb = paint(f"{'stays':<9}", Style.WARN, colour=colour)
    return f"  {verb} {one_line(each.path)}  ({_names(each.editors)}): {_why(each)}"


def _why(kept: Kept) -> str:
    match kept.why:
        case Why.BY_HAND:
            return "edited since by hand"
        case Why.BY_STEP:
            assert kept.later is not None
            return f"edited since by {_name(kept.later)} of run {one_line(kept.later.run)}"
        case Why.NOT_KEPT:
            return "the store has no more what it was before"
        case Why.REFUSED:
            return one_line(kept.detail)


def _names(editors: Sequence[Editor]) -> str:
    return ", ".join(_name(each) for each in editors)


def _name(editor: Editor) -> str:
    return one_line(editor.label or editor.step, 60)


def undo_json(undo: Undo, *, dry_run: bool) -> dict[str, object]:
    return {
        "run": undo.run.id,
        "dry_run": dry_run,
        "files": [
            {
                "path": each.path,
                "removed": each.before is None and each.present is not None,
                "was_so": each.present == each.before,
                "steps": [_editor(editor) for editor in each.editors],
            }
            for each in undo.files
        ],
        "kept": [
            {
                "path": each.path,
                "why": each.why.value,
                "detail": each.detail,
                "later": None if each.later is None else _editor(each.later),
                "steps": [_editor(editor) for editor in each.editors],
            }
            for each in undo.kept
        ],
    }


def _editor(editor: Editor) -> dict[str, object]:
    return {"step": editor.step, "run": editor.run, "label": editor.label}
