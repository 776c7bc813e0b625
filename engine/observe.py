"""What a step saw of the workspace, as digests, and whether it would see the same now.

Read-only tools are deterministic functions of the workspace: a call is recorded with the digest of what it gave, and
is verified by running it again. An error is something seen as well: a file that was absent and now exists would have
given another answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import TypeAlias

import msgspec
import trio

from .errors import ToolDenied, ToolFailed
from .keys import canonical_json
from .model import FILE_STATE, JSON, Observation, ToolSpec
from .ports import Tool, ToolResult

_Look: TypeAlias = tuple[str, str]  # tool and canonical arguments


def canonical_arguments(spec: ToolSpec, arguments: Mapping[str, JSON]) -> str:
    """Canonical JSON of the arguments as the tool takes them: nulls left out, defaults filled in."""
    values: dict[str, JSON] = {}
    properties = spec.parameters.get("properties")
    if isinstance(properties, dict):
        for name, schema in properties.items():
            if isinstance(schema, dict) and schema.get("default") is not None:
                values[name] = schema["default"]
    values.update((name, value) for name, value in arguments.items() if value is not None)
    return canonical_json(values).decode()


def observation_of(
    tool: Tool,
    arguments: Mapping[str, JSON],
    outcome: ToolResult | ToolFailed | ToolDenied,
    *,
    as_text: bool = False,
) -> Observation:
    """The record of one look. Only for tools that observe.

    `as_text`: a model read the text, which may show less than the data; what it was not shown is not observed.
    """
    if as_text and isinstance(outcome, ToolResult) and outcome.shown is not None:
        arguments, outcome = outcome.shown.arguments, ToolResult(text="", data=outcome.shown.data)
    return Observation(
        tool=tool.spec.name,
        arguments=canonical_arguments(tool.spec, arguments),
        digest=outcome_digest(outcome),
    )


def file_observation(path: str, digest: str | None) -> Observation:
    """The record of a look at one whole file, as `FILE_STATE` takes it; None: there is no such file."""
    return Observation(
        tool=FILE_STATE,
        arguments=canonical_json({"path": path}).decode(),
        digest=outcome_digest(ToolResult(text="", data={"digest": digest})),
    )


def outcome_digest(outcome: ToolResult | ToolFailed | ToolDenied) -> str:
    """BLAKE2b-128 in hex of the data, or of an error's type and message. The two never meet."""
    if isinstance(outcome, ToolResult):
        seen = b"data:" + canonical_json(outcome.data)
    else:
        seen = b"error:" + canonical_json([outcome.to_fault().type, outcome.message])
    return blake2b(seen, digest_size=16).hexdigest()


class Replayer:
    """Verifies observations by running their tools again.

    What was found is kept for all steps of a run that share it, until `forget`: call that whenever the workspace may
    have changed in a way that counts. Any number of tasks may ask at the same time; each look is taken once.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}
        self._digests: dict[_Look, str | None] = {}  # None: nothing can be looked at, so nothing holds
        self._looking: dict[_Look, trio.Event] = {}

    async def holds(self, observations: Iterable[Observation]) -> Observation | None:
        """The first observation that would come out otherwise now, or None: all hold."""
        for observation in observations:
            if await self._digest((observation.tool, observation.arguments)) != observation.digest:
                return observation
        return None

    def knows(self, observations: Iterable[Observation]) -> bool:
        """Whether `changed` can tell about these without another look."""
        for observation in observations:
            look = (observation.tool, observation.arguments)
            if look not in self._digests:
                return False
            if self._digests[look] != observation.digest:
                return True
        return True

    def changed(self, observations: Iterable[Observation]) -> Observation | None:
        """As `holds`, from what is known. One that is not known counts as changed."""
        for observation in observations:
            if self._digests.get((observation.tool, observation.arguments)) != observation.digest:
                return observation
        return None

    def forget(self) -> None:
        """Drop what was found; looks under way are not kept either."""
        self._digests = {}

    async def _digest(self, look: _Look) -> str | None:
        while look not in self._digests:
            underway = self._looking.get(look)
            if underway is None:
                return await self._take(look)
            await underway.wait()  # cancelled, the other task leaves the look to one of those who wait
        return self._digests[look]

    async def _take(self, look: _Look) -> str | None:
        digests = self._digests  # those of now: `forget` replaces them
        self._looking[look] = done = trio.Event()
        try:
            digest = digests[look] = await self._run(*look)
        finally:
            del self._looking[look]
            done.set()
        return digest

    async def _run(self, name: str, arguments: str) -> str | None:
        tool = self._tools.get(name)
        if tool is None or not tool.observes:
            return None
        try:
            values: dict[str, JSON] = msgspec.json.decode(arguments, type=dict)
        except (msgspec.DecodeError, RecursionError):
            return None
        try:
            return outcome_digest(await tool.run(values))
        except (ToolFailed, ToolDenied) as error:
            return outcome_digest(error)
