"""The settings of one command, from its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .errors import say
from .options import settings_flags

if TYPE_CHECKING:
    from vibe_workflows.engine.config import Settings


def load(given: Mapping[str, object]) -> Settings:
    """Settings by files, environment and the options of a command; what was ignored is told on stderr."""
    from . import wiring

    settings = wiring.load(settings_flags(given))
    for warning in settings.warnings:
        say(f"warning: {warning}")
    return settings
