"""vibe_workflows.patterns: our own pure functions. They import nothing, and call only what they are given."""

from __future__ import annotations

from typing import Final

from ..pure import chunking, commands, fencing, novelty, ranking, votes
from .hints import Hint
from .module import Facade, pick

FACADE: Final = Facade(
    modules={
        "vibe_workflows.patterns": {
            **pick(votes, "majority survives"),
            **pick(novelty, "dedup dry fresh"),
            **pick(ranking, "pairings rank"),
            **pick(chunking, "batches chunks token_count"),
            **pick(commands, "words"),
            **pick(fencing, "fenced"),
            **{name: Hint(name) for name in ("Outcome", "Standing", "Verdict")},
        }
    }
)
