"""The whole project as one digest: what a command may have seen of it. Quick where little has changed since."""

from .cache import TreeCache
from .project import ProjectTree, TreeFiles

__all__ = ["ProjectTree", "TreeCache", "TreeFiles"]
