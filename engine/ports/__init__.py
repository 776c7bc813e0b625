"""Every Protocol of the engine. Parts are put together in cli/wiring.py and nowhere else.

`sandbox` does not import this module: it satisfies `ScriptHost` and `Checker` by shape, which the wiring type-checks.
"""

from .checker import Checker, Page, PageReader, Verdict
from .commands import Command, CommandEnd, CommandRunner
from .executor import Executor
from .models import ModelBackend
from .observers import EventSink
from .programs import KeptProgram, Programs
from .script import AnswerSink, Limits, LimitsShape, ScriptCalls, ScriptEnd, ScriptHost, ScriptProblem, ScriptStart
from .store import (
    CutOffStep,
    DeliveredStep,
    Disinherited,
    FileChange,
    FileContents,
    LabelUsage,
    OwnStep,
    Record,
    RunEvent,
    SeenAgain,
    Source,
    StartedOver,
    Store,
    StoredStep,
    StoreReader,
    Withdrawn,
)
from .tools import (
    Along,
    EditingTool,
    ExpiringTool,
    Footprint,
    Hands,
    Look,
    Outcome,
    PlannedEdit,
    ProjectFiles,
    Tool,
    ToolResult,
)

__all__ = [
    "Along",
    "AnswerSink",
    "Checker",
    "Command",
    "CommandEnd",
    "CommandRunner",
    "CutOffStep",
    "DeliveredStep",
    "Disinherited",
    "EditingTool",
    "EventSink",
    "Executor",
    "ExpiringTool",
    "FileChange",
    "FileContents",
    "Footprint",
    "Hands",
    "KeptProgram",
    "LabelUsage",
    "Limits",
    "LimitsShape",
    "Look",
    "ModelBackend",
    "Outcome",
    "OwnStep",
    "Page",
    "PageReader",
    "PlannedEdit",
    "Programs",
    "ProjectFiles",
    "Record",
    "RunEvent",
    "ScriptCalls",
    "ScriptEnd",
    "ScriptHost",
    "ScriptProblem",
    "ScriptStart",
    "SeenAgain",
    "Source",
    "StartedOver",
    "Store",
    "StoreReader",
    "StoredStep",
    "Tool",
    "ToolResult",
    "Verdict",
    "Withdrawn",
]
