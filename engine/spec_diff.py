"""How the specs of two steps differ, field by field, and which of many specs is most like one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from .model import FILE_STATE, Step
from .text_diff import TextDiff, text_diff

Spec: TypeAlias = Mapping[str, object]
T = TypeVar("T")

#: Fields whose change is told as a diff of texts.
TEXTS = ("prompt", "system", "schema", "arguments")
#: Fields that a profile sets where the call does not. (Who chose the model is told by its own words.)
_OF_PROFILE = frozenset({"system", "effort", "temperature", "max_tokens", "max_turns", "tools", "isolation", "merge"})
#: In the order in which a person looks for them.
_ORDER = ("kind", "tool", "arguments", "prompt", "profile", "system", "context", "model")

_WORD = re.compile(r"\w+")
_COMPARED_CHARS = 4_000  # of a prompt, where specs are compared roughly
_LIKE_ENOUGH = 0.3


class FieldChange(Struct, frozen=True, kw_only=True):
    """A field of the spec that differs. `before` and `after` are None where it was not set, and for texts."""

    name: str
    before: object = None
    after: object = None
    diff: TextDiff | None = None  # of a text
    note: str = ""  # what the values do not say by themselves


def spec_of(canonical: str) -> Spec:
    """The fields of a canonical spec; none where a strange store holds something else."""
    try:
        found = json.loads(canonical)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def spec_changes(before: Spec, after: Spec) -> list[FieldChange]:
    """The fields that differ, in an order that does not depend on the specs."""
    names = [name for name in (before.keys() | after.keys()) if before.get(name) != after.get(name)]
    rank = {name: at for at, name in enumerate(_ORDER)}
    names.sort(key=lambda name: (rank.get(name, 99), name))
    profile = after.get("profile")
    if not profile or before.get("profile") != profile:
        return [_change(name, before.get(name), after.get(name)) for name in names]
    note = f"where the call does not say it, the file of the profile `{profile}` does"
    return [
        _noted(_change(name, before.get(name), after.get(name)), note if name in _OF_PROFILE else "") for name in names
    ]


def input_changes(before: Step, after: Step) -> list[FieldChange]:
    """How the specs of two steps differ, and which of the files that both were sent were edited in between."""
    changes = [] if before.spec == after.spec else spec_changes(spec_of(before.spec), spec_of(after.spec))
    then, now = _files_seen(before), _files_seen(after)
    edited = [path for path, digest in now.items() if then.get(path, digest) != digest]
    if not edited:
        return changes
    note = "; ".join([change.note for change in changes if change.name == "files"] + [f"changed: {', '.join(edited)}"])
    return [*(change for change in changes if change.name != "files"), FieldChange(name="files", note=note)]


def _files_seen(step: Step) -> dict[str, str]:
    """What went along with a step by path, as far as it began: its first looks, in the order of its spec."""
    files = spec_of(step.spec).get("files")
    paths = [str(path) for path in files] if isinstance(files, list) else []
    return {path: look.digest for path, look in zip(paths, step.observations, strict=False) if look.tool == FILE_STATE}


def _noted(change: FieldChange, note: str) -> FieldChange:
    return replace(change, note="; ".join(filter(None, (change.note, note))))


def _change(name: str, before: object, after: object) -> FieldChange:
    if name in TEXTS:
        return FieldChange(name=name, diff=text_diff(_as_text(before), _as_text(after)))
    if name == "context":
        note = "the spec holds only a digest of it"
        return FieldChange(name=name, before=before, after=after, note=note)
    if name in ("files", "tools"):
        return FieldChange(name=name, before=before, after=after, note=_names_note(before, after))
    if name == "prompts_version":
        note = "sentences that vibe itself says to a model are others in this version"
        return FieldChange(name=name, before=before, after=after, note=note)
    if name == "salt":
        return FieldChange(name=name, before=before, after=after, note='what `cache="..."` says')
    return FieldChange(name=name, before=before, after=after)


def _as_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def _names_note(before: object, after: object) -> str:
    """What happened to paths, or to (name, version) pairs: `added: a; gone: b; changed: c`, or that their order did."""
    old, new = _named(before), _named(after)
    parts = {
        "added": [name for name in new if name not in old],
        "gone": [name for name in old if name not in new],
        "changed": [name for name, value in new.items() if name in old and old[name] != value],
    }
    told = "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)
    return told or "in another order"


def _named(value: object) -> dict[str, object]:
    entries = value if isinstance(value, list) else []
    pairs = [[entry, None] if isinstance(entry, str) else entry for entry in entries]
    return {str(pair[0]): pair[1] for pair in pairs if isinstance(pair, list) and len(pair) == 2}


# ---------------------------------------------------------------- likeness


def most_alike(spec: Spec, candidates: Iterable[tuple[T, str]]) -> tuple[T, Spec] | None:
    """The candidate whose spec is most like `spec` and not the same; None where none is like it at all.

    Work is linear in their number: what is compared are the words of their texts and their other fields.
    """
    wanted = _words(spec)
    best: tuple[float, T, Spec] | None = None
    for name, canonical in candidates:
        other = spec_of(canonical)
        if other == spec:
            continue
        score = _likeness(spec, wanted, other)
        if score >= _LIKE_ENOUGH and (best is None or score > best[0]):
            best = (score, name, other)
    return None if best is None else best[1:]


def _words(spec: Spec) -> frozenset[str]:
    text = "\n".join(str(spec.get(name, ""))[:_COMPARED_CHARS] for name in ("prompt", "tool", "arguments"))
    return frozenset(_WORD.findall(text))


def _likeness(spec: Spec, wanted: frozenset[str], other: Spec) -> float:
    """From 0 to 1: the share of words in common, and a little for each other field that is the same."""
    if spec.get("tool") != other.get("tool"):
        return 0.0
    words = _words(other)
    either = len(wanted | words)
    common = len(wanted & words) / either if either else 1.0
    rest = (spec.keys() | other.keys()) - {"prompt", "arguments"}
    same = sum(spec.get(name) == other.get(name) for name in rest) / len(rest) if rest else 1.0
    return common * (0.8 + 0.2 * same)


def names_of(changes: Sequence[FieldChange]) -> list[str]:
    return [change.name for change in changes]
