"""Patterns of workflows as pure functions: the same in a workflow, in a test, and in any other program.

from vibe_workflows.patterns import majority
"""

from __future__ import annotations

from vibe_workflows.sandbox.votes import Verdict, majority

__all__ = ["Verdict", "majority"]
