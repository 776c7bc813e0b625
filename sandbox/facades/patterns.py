"""vibe_workflows.patterns: our own pure functions. They import nothing, and call only what they are given."""

from __future__ import annotations

from typing import Final

from .. import votes
from .hints import Hint
from .module import Facade, pick

FACADE: Final = Facade(modules={"vibe_workflows.patterns": {**pick(votes, "majority"), "Verdict": Hint("Verdict")}})
