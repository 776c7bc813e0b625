"""What becomes of files that several agents changed: merges, patches, and warnings where two met."""

from .collisions import Collisions
from .patches import patch_text
from .three_way import Conflicted, ConflictHunk, Merged, Trio, merged

__all__ = ["Collisions", "ConflictHunk", "Conflicted", "Merged", "Trio", "merged", "patch_text"]
