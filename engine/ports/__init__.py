"""Every Protocol of the engine. Parts are put together in cli/wiring.py and nowhere else.

`sandbox` does not import this module: it satisfies `ScriptHost` and `Checker` by shape, which the wiring type-checks.
"""

from .checker import Checker, Verdict
from .commands import Command, CommandEnd, CommandRunner
from .executor import Executor
from .models import ModelBackend
from .observers import EventSink
from .script import AnswerSink, Limits, LimitsShape, ScriptCalls, ScriptEnd, ScriptHost, ScriptProblem, ScriptStart
from .store import CutOffStep, DeliveredStep, LabelUsage, Record, RunEvent, Source, Store, StoredStep, StoreReader
from .tools import Look, Tool, ToolResult

__all__ = [
    "AnswerSink",
    "Checker",
    "Command",
    "CommandEnd",
    "CommandRunner",
    "CutOffStep",
    "DeliveredStep",
    "EventSink",
    "Executor",
    "LabelUsage",
    "Limits",
    "LimitsShape",
    "Look",
    "ModelBackend",
    "Record",
    "RunEvent",
    "ScriptCalls",
    "ScriptEnd",
    "ScriptHost",
    "ScriptProblem",
    "ScriptStart",
    "Source",
    "Store",
    "StoreReader",
    "StoredStep",
    "Tool",
    "ToolResult",
    "Verdict",
]
