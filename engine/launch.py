"""What a person asks for, and how it ended. Importing this takes no engine: the command line needs it early."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from .errors import ExitCode
from .model import JSON, Fault, Run
from .ports import Limits


class RunRequest(Struct, frozen=True, kw_only=True):
    """What a person asks for on the command line."""

    target: str  # a file, a name, or "-"
    source_text: str | None = None  # of "-"
    arguments: Mapping[str, JSON] = field(default_factory=dict)  # as typed: texts to convert by the schema
    options: tuple[str, ...] = ()  # names of those that were given as --name
    followed: tuple[str, ...] = ()  # names of those whose text was the word after --name
    words: tuple[str, ...] = ()  # without a name
    args_json: str | None = None
    new: bool = False
    fresh: bool = False
    refresh: tuple[str, ...] = ()
    accept: bool = False  # see RunPlan
    seed: str | None = None
    resume: str | None = None  # prefix of a run's id
    budget: Limits | None = None
    max_usd: float | None = None
    allow: tuple[str, ...] = ()
    model: str | None = None
    concurrency: int | None = None
    require_model: bool = False


class RunReport(Struct, frozen=True, kw_only=True):
    """How a run ended, for whoever asked for it."""

    run: Run
    result: bytes | None  # JSON
    exit_code: ExitCode
    error: Fault | None
    notes: tuple[str, ...] = ()
    oldest_stored_s: float | None = None  # age of the oldest stored answer that was used
