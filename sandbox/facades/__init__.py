"""The modules that a script may import: chosen functions under a module's name, never the module."""

from .module import Module
from .registry import register

__all__ = ["Module", "register"]
