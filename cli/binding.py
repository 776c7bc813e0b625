"""From what was typed to the arguments that a workflow takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vibe_workflows.catalog.arguments import collect_arguments
from vibe_workflows.catalog.metadata import Metadata
from vibe_workflows.engine.errors import WorkflowError
from vibe_workflows.engine.launch import RunRequest
from vibe_workflows.engine.model import JSON
from vibe_workflows.engine.nearest import nearest


def given_arguments(request: RunRequest, metadata: Metadata) -> dict[str, JSON]:
    """The arguments as typed, under the names that the schema declares: `--max-files` is `max_files`."""
    known = _declared(metadata)
    given: dict[str, object] = {}
    for name, value in request.arguments.items():
        plain = name.replace("-", "_")
        given[plain if name not in known and plain in known else name] = value
    for name in request.options:
        if name not in known and name.replace("-", "_") not in known:
            _refuse_option(name, metadata)
    return collect_arguments(metadata.args, document=request.args_json, options=given, cwd=Path.cwd())


def _declared(metadata: Metadata) -> Mapping[str, JSON]:
    properties = (metadata.args or {}).get("properties")
    return properties if isinstance(properties, dict) else {}


def _refuse_option(name: str, metadata: Metadata) -> None:
    """Raise WorkflowError for a misspelt option of vibe: it must never pass for an argument and start a run."""
    from .run import own_options

    meant = nearest(name, own_options(), cutoff=0.75)
    if meant and not nearest(name.replace("-", "_"), _declared(metadata)):
        raise WorkflowError(
            f"neither vibe run nor the workflow declares an option --{name}; did you mean --{meant}? To an argument of "
            f"that name, give {name}=VALUE"
        )
