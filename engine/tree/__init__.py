"""The whole project as one digest: what a command may have seen of it. Quick where little has changed since."""

from .cache import TreeCache
from .look import FileTree
from .project import ProjectTree, TreeFiles

__all__ = ["FileTree", "ProjectTree", "TreeCache", "TreeFiles"]
