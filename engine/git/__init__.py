"""The only place that starts git: nothing of a repository's configuration ever counts. docs/decisions.md says why."""

from .diff import Change, ChangeKind, Difference, Query
from .program import Git

__all__ = ["Change", "ChangeKind", "Difference", "Git", "Query"]
