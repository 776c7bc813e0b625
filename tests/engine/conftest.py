"""Fixtures of the engine's tests."""

from tests.support.project_runs import project

__all__ = ["project"]
