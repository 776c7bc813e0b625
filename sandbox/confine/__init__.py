"""Runs an agent's commands behind the walls of the operating system."""

from ..level import Level
from .doctor import ConfineReport, probe_confinement
from .hiding import hide_this_process
from .layers import ALL_LAYERS, FLOOR_LAYERS
from .policy import (
    PROTECTED_NAMES,
    CommandEnd,
    CommandLimits,
    CommandNotStarted,
    Confinement,
    ConfinementRefused,
    NoOverlay,
)
from .runner import run_confined

__all__ = [
    "ALL_LAYERS",
    "FLOOR_LAYERS",
    "PROTECTED_NAMES",
    "CommandEnd",
    "CommandLimits",
    "CommandNotStarted",
    "ConfineReport",
    "Confinement",
    "ConfinementRefused",
    "Level",
    "NoOverlay",
    "hide_this_process",
    "probe_confinement",
    "run_confined",
]
