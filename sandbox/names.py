"""Names that the policy, the verifier and the guards agree on."""

from __future__ import annotations

from typing import Final

#: The primitives of the language. A script may shadow one inside a function, never at module level.
PRIMITIVES: Final = frozenset(
    {
        *("agent", "args", "ask", "budget", "has_model", "log", "merge", "now", "parallel", "phase", "pipeline"),
        *("race", "random", "spawn", "tool", "workflow"),
    }
)
#: Primitives that this version does not have yet.
NOT_YET: Final = frozenset({"ask", "spawn", "workflow"})

#: Names of `vibe_workflows.script` that stand for nothing but annotations.
HINTS: Final = ("Args", "Budget", "JSON", "Phase", "Step", "StepResult")

#: Attributes by which a script can only mean the primitive.
PRIMITIVE_ATTRIBUTES: Final = {
    "budget": frozenset({"remaining", "spent", "total"}),
    "random": frozenset(
        {"choice", "choices", "gauss", "randint", "random", "randrange", "sample", "shuffle", "uniform"}
    ),
}

#: The classes that a class pattern may name.
MATCH_CLASSES: Final[dict[str, type]] = {
    cls.__name__: cls for cls in (bool, bytes, dict, float, int, list, set, str, tuple)
}


def match_class_name(name: str) -> str:
    """The name under which a pattern finds its class: one that a script cannot bind."""
    return f"_match_{name}_"


#: The only names with a leading underscore in compiled code, beside `_` itself. They are read, never written.
GUARD_NAMES: Final = frozenset({"_getattr_", "_import_", *map(match_class_name, MATCH_CLASSES)})
