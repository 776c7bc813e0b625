"""What becomes of files that several agents changed: merges, patches, and warnings where two met. No step, no store."""

from .lines import line_changes
from .patches import patch_text
from .three_way import Conflicted, ConflictHunk, Merged, Trio, merged

__all__ = [
    "ConflictHunk",
    "Conflicted",
    "Merged",
    "Trio",
    "line_changes",
    "merged",
    "patch_text",
]
