"""Examples run as a person would run them, on a project of theirs, against a model with scripted answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.support.behaviours import Answer, Behaviour, Call
from tests.support.exchanges import SeenRequest
from tests.support.field_project import Ended, FieldProject, prompt_of

from .fork_server import ROOT

#: What a model says to a prompt: a text, a value for its schema, calls of tools, or a failure.
Said = str | dict[str, Any] | list[Any] | Call | Behaviour


def run_example(project: FieldProject, name: str, say: Callable[[str, SeenRequest], Said], *arguments: str) -> Ended:
    """Run an example; `say` gets the first prompt of each conversation, and the request."""

    def answered(request: SeenRequest) -> Behaviour:
        said = say(prompt_of(request), request)
        if isinstance(said, Call):
            return Answer(calls=(said,), finish="tool_calls")
        if isinstance(said, (dict, list)):
            return Answer(text=json.dumps(said))
        return Answer(text=said) if isinstance(said, str) else said

    project.model.handler = answered
    return project.run(str(ROOT / f"examples/workflows/{name}.py"), *arguments)


def turn_of(request: SeenRequest) -> int:
    """How often the model has answered in this conversation."""
    return sum(message.role == "assistant" for message in request.conversation().messages)


def call(name: str, **arguments: Any) -> Call:
    return Call(name=name, arguments=json.dumps(arguments))
