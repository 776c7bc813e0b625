"""What the sandbox itself raises; the command line turns it into the engine's errors."""

from __future__ import annotations


class SandboxUnavailable(Exception):
    """The locked process could not be had. The message says why, and what to do."""


class LockFailed(Exception):
    """Raised in a child that is being locked: one layer could not be installed."""
