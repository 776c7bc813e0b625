"""Catalog workflows end to end: `vibe NAME` on a project, and a model whose answers follow from what it is asked.

    catalog.model(
        ("Review the code", turns(look("read_file", path="src/a.py"), [{"path": "src/a.py", "line": 1}])),
        (("Try to refute", "src/a.py"), {"verdict": "holds", "reason": "it does"}),
        ("Summarise", "All in all."),
    )
    first = catalog.run("multi-review", "--path", "src")
    catalog.requires_free_rerun(first)
    catalog.project.write("src/a.py", "x = 2\\n")
    assert len(catalog.again(first).requests) == 3

The first line of the script whose `when` holds answers; a request that no line answers fails the test. Every result is
checked against the schema that the workflow's page documents.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import jsonschema

from tests.support.behaviours import Answer, Behaviour, Call, Fail, Tokens
from tests.support.exchanges import SeenRequest
from tests.support.field_project import Ended, FieldProject, prompt_of
from tests.support.neutral import Conversation
from vibe_workflows.catalog.discovery import BUILTIN_FOLDER

PAGES = Path(__file__).resolve().parents[2] / "docs" / "catalog"

#: A text of the prompt, several that are all in it, or a test of the request.
When: TypeAlias = str | tuple[str, ...] | Callable[[SeenRequest], bool]
#: A behaviour; a function of the request that gives a reply; anything else is the value that is answered: in the schema
#: that is asked for, or as a text where none is.
Reply: TypeAlias = Any
Line: TypeAlias = tuple[When, Reply]

_CONFIG = """\
model: reviewer
retries: 0
max_usd: none
max_tokens: 1000
aliases: {reviewer: openai/reviewer-1}
api_bases: {openai: URL}
prices:
  openai/reviewer-1: {input: 2, output: 10, cached: 0.5}
"""


# ---------------------------------------------------------------- replies


def look(name: str, **arguments: Any) -> Answer:
    """A call of a tool."""
    return Answer(calls=(Call(name=name, arguments=json.dumps(arguments)),), finish="tool_calls")


def turns(*replies: Reply) -> Callable[[SeenRequest], Reply]:
    """One reply for each turn of a conversation; the last one for all that follow."""
    return lambda request: replies[min(turn_of(request), len(replies) - 1)]


def in_order(*replies: Reply) -> Callable[[SeenRequest], Reply]:
    """One reply for each request that comes here, in order of arrival; the last one for all that follow."""
    left = list(replies)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


@dataclass(frozen=True, slots=True)
class CutOff:
    """The reply, of which only the first half arrives before the limit of output tokens."""

    reply: Reply


def turn_of(request: SeenRequest) -> int:
    """How often the model has spoken in this conversation already."""
    return sum(message.role == "assistant" for message in request.conversation().messages)


def holds(when: When, request: SeenRequest) -> bool:
    if callable(when):
        return when(request)
    prompt = prompt_of(request)
    return all(each in prompt for each in ((when,) if isinstance(when, str) else when))


def behaviour_for(request: SeenRequest, reply: Reply) -> Behaviour:
    if isinstance(reply, CutOff):
        return _cut(behaviour_for(request, reply.reply))
    if isinstance(reply, Behaviour):
        return reply
    return behaviour_for(request, reply(request)) if callable(reply) else _answer(request.conversation(), reply)


def _answer(asked: Conversation, value: Any) -> Answer:
    """`value` in the way in which this request wants to be answered."""
    if asked.schema is not None:
        return Answer(text=json.dumps(_wrapped(asked.schema, value)))
    for tool in asked.tools:
        if tool.name.startswith("submit"):
            arguments = json.dumps(_wrapped(tool.parameters, value))
            return Answer(calls=(Call(name=tool.name, arguments=arguments),), finish="tool_calls")
    return Answer(text=value if isinstance(value, str) else json.dumps(value))


def _wrapped(schema: dict[str, Any], value: Any) -> Any:
    return {"value": value} if set(schema.get("properties", ())) == {"value"} else value


def _cut(whole: Behaviour) -> Answer:
    assert isinstance(whole, Answer)
    calls = tuple(Call(name=call.name, arguments=call.arguments[: len(call.arguments) // 2]) for call in whole.calls)
    return Answer(text=whole.text[: len(whole.text) // 2], calls=calls, finish="length")


def workflow_module(name: str) -> ModuleType:
    """A built-in workflow by its name, as `module_of` gives it."""
    return module_of(BUILTIN_FOLDER / f"{name.replace('-', '_')}.py")


def module_of(path: Path) -> ModuleType:
    """A workflow as ordinary Python, for its pure functions: primitives would refuse to run here."""
    spec = importlib.util.spec_from_file_location(f"workflow_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- what pages promise


def result_schema(name: str) -> dict[str, Any]:
    """The JSON Schema under the heading "Result" of docs/catalog/NAME.md."""
    return _schema_in(name, (PAGES / f"{name}.md").read_text())


@cache
def _schema_in(name: str, page: str) -> dict[str, Any]:
    found = re.search(r"^## Result\n.*?^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert found is not None, f"docs/catalog/{name}.md has no ```json block under `## Result`"
    schema: dict[str, Any] = json.loads(found.group(1))
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def require_documented(name: str, result: Any) -> None:
    """Fails where the page of the workflow promises another result."""
    problems = [
        f"{'/'.join(map(str, problem.absolute_path))}: {problem.message}"
        for problem in jsonschema.Draft202012Validator(result_schema(name)).iter_errors(result)
    ]
    assert not problems, f"docs/catalog/{name}.md documents another result:\n" + "\n".join(problems)


# ---------------------------------------------------------------- runs


@dataclass
class Catalog:
    """A person's machine whose model answers by a script; made by the fixture `catalog`."""

    project: FieldProject
    lines: tuple[Line, ...] = ()
    lost: Callable[[SeenRequest], bool] | None = None  # requests that the provider turns away
    tokens: Tokens | None = None  # that every answer is said to have cost; None: what it really has
    _runs: list[tuple[Ended, tuple[str, ...]]] = field(default_factory=list)

    # ------------------------------------------------------------ the model

    def model(self, *lines: Line) -> None:
        """What the model answers from now on; the provider is sound again."""
        self.lines, self.lost = lines, None
        self.project.model.handler = self._handle

    def every_other_conversation_fails(self) -> None:
        """The provider turns away the second, fourth, ... conversation, at its beginning.

        By order of arrival: the same each time with `--concurrency 1`, which also keeps failures from coming in rows
        that are taken for an outage.
        """
        begun = 0

        def lost(request: SeenRequest) -> bool:
            nonlocal begun
            begun += turn_of(request) == 0
            return turn_of(request) == 0 and begun % 2 == 0

        self.lost = lost

    def fails_where(self, *whens: When) -> None:
        """The provider turns away what is asked there."""
        self.lost = lambda request: any(holds(when, request) for when in whens)

    def _handle(self, request: SeenRequest) -> Behaviour:
        if self.lost is not None and self.lost(request):
            return Fail(status=503, message="the provider is down")
        for when, reply in self.lines:
            if holds(when, request):
                behaviour = behaviour_for(request, reply)
                if self.tokens is not None and isinstance(behaviour, Answer):
                    return _priced(behaviour, self.tokens)
                return behaviour
        raise AssertionError(f"no line of the script answers this request:\n{prompt_of(request)}")

    # ------------------------------------------------------------ invocations

    def run(self, name: str, *arguments: str, code: int = 0) -> Ended:
        """`vibe NAME ... --json`, which has to end with `code`, and with a result as its page documents it."""
        ended = self.project.vibe(name, *arguments, "--json")
        assert ended.code == code, f"{ended.err}\n{ended.out}"
        self._runs.append((ended, (name, *arguments)))
        if code == 0:
            require_documented(name, ended.result)
        return ended

    def again(self, ended: Ended, *further: str, code: int = 0) -> Ended:
        """The same invocation once more, with `further` options."""
        command = next(arguments for each, arguments in self._runs if each is ended)
        return self.run(*command, *further, code=code)

    def requires_free_rerun(self, ended: Ended) -> None:
        """Run the same again: it asks for nothing, pays nothing, and comes to the same result."""
        second = self.again(ended)
        assert second.prompts == [], "a rerun asked the model again"
        assert second.document["paid"]["tokens"] == 0
        assert second.result == ended.result

    def steps(self) -> list[dict[str, Any]]:
        """Those of the latest run, as `vibe trace --json` tells them."""
        steps: list[dict[str, Any]] = self.project.vibe("trace", "--json").document["steps"]
        return steps


def _priced(answer: Answer, tokens: Tokens) -> Answer:
    return Answer(text=answer.text, calls=answer.calls, finish=answer.finish, usage=tokens)


def configure(project: FieldProject) -> None:
    """The model, its address and its prices, from the person's own config; failures are not retried."""
    config = project.folder.parent / "home/.config/vibe/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(_CONFIG.replace("URL", project.model.url))
