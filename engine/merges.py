"""Which worktrees' changes a script may merge, and which it has merged: each once."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import SandboxError, SetupError
from .model import StepId, StepSpec


@dataclass(slots=True)
class _Mergeable:
    label: str
    line: int = 0  # of the call that merges it, or has done so; 0 for none


class Merges:
    """Of one script. Only what it was answered itself counts, as a hostile one may name any step of the store."""

    def __init__(self) -> None:
        self._known: dict[StepId, _Mergeable] = {}

    def answered(self, step: StepId, spec: StepSpec, label: str) -> None:
        """A call was answered by this step, which completed."""
        if spec.isolation and spec.merge == "manual":
            self._known.setdefault(step, _Mergeable(label))

    def label(self, step: StepId) -> str:
        """Of the step whose changes a call is to merge.

        Raises SetupError where another call does or did so, SandboxError where there is nothing that it may merge.
        """
        found = self._known.get(step)
        if found is None:
            raise SandboxError("the script's process called `merge` for a step that it was not given to merge")
        if found.line:
            raise SetupError(f"merge: what `{found.label}` did is merged in line {found.line} already; merge it once")
        return found.label

    def begin(self, spec: StepSpec, line: int) -> None:
        """A call of this spec begins, in that line of the script."""
        if spec.merged is not None:
            self._known[spec.merged].line = line

    def came_to_nothing(self, spec: StepSpec) -> None:
        """A call of this spec failed or was cancelled. Where it was to merge, that may be tried again."""
        if spec.merged is not None:
            self._known[spec.merged].line = 0
