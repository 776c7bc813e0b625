"""The errors that a workflow script can catch. They are in scope in a workflow without an import."""

from __future__ import annotations

from vibe_workflows.sandbox.script_errors import (
    AgentError,
    BudgetExceeded,
    Conflict,
    ContextTooLong,
    GateFailed,
    ModelMissing,
    ProviderError,
    RateLimited,
    Refused,
    SchemaMismatch,
    SetupError,
    Timeout,
    ToolDenied,
    ToolFailed,
    Truncated,
    TurnLimit,
    WorkflowFailed,
)

__all__ = [
    "AgentError",
    "BudgetExceeded",
    "Conflict",
    "ContextTooLong",
    "GateFailed",
    "ModelMissing",
    "ProviderError",
    "RateLimited",
    "Refused",
    "SchemaMismatch",
    "SetupError",
    "Timeout",
    "ToolDenied",
    "ToolFailed",
    "Truncated",
    "TurnLimit",
    "WorkflowFailed",
]
