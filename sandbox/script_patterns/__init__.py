"""Patterns of workflows as pure functions: the same in a workflow, in a test, and in any other program.

from vibe_workflows.patterns import majority
"""

from __future__ import annotations

from vibe_workflows.sandbox.pure.chunking import batches, chunks, token_count
from vibe_workflows.sandbox.pure.commands import words
from vibe_workflows.sandbox.pure.fencing import fenced
from vibe_workflows.sandbox.pure.novelty import dedup, dry, fresh
from vibe_workflows.sandbox.pure.ranking import Outcome, pairings, rank
from vibe_workflows.sandbox.pure.votes import Standing, Verdict, majority, survives

__all__ = [
    "Outcome",
    "Standing",
    "Verdict",
    "batches",
    "chunks",
    "dedup",
    "dry",
    "fenced",
    "fresh",
    "majority",
    "pairings",
    "rank",
    "survives",
    "token_count",
    "words",
]
