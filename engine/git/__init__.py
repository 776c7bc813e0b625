"""The only place that starts git: nothing of a repository's configuration ever counts. docs/decisions.md says why."""

from .diff import Change, ChangeKind, Difference, Query
from .line_changes import MAX_TEXT_BYTES, Differ, LineChange, TooMuch
from .program import Git

__all__ = ["MAX_TEXT_BYTES", "Change", "ChangeKind", "Differ", "Difference", "Git", "LineChange", "Query", "TooMuch"]
