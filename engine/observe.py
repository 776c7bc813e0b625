"""What a step saw of the workspace, as digests, and whether it would see the same now.

Read-only tools are deterministic functions of the workspace: a call is recorded with the digest of what it gave, and
is verified by running it again. An error is something seen as well: a file that was absent and now exists would have
given another answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import TypeAlias

import msgspec
import trio

from .errors import ToolDenied, ToolFailed
from .keys import canonical_json
from .model import FILE_STATE, FILE_TREE, JSON, Change, Observation, ToolSpec
from .ports import Footprint, Tool, ToolResult

#: Files by path that are looked at with these contents, as digests (None: no such file), in the order of paths.
View: TypeAlias = tuple[tuple[str, str | None], ...]
_EVERYTHING = Footprint(path="", deep=True)
#: Tool, canonical arguments, whether it was in a worktree, and what is known of the files that may count.
_Look: TypeAlias = tuple[str, str, bool, View]


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
    epoch: int = 0,
    aside: bool = False,
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
        epoch=epoch,
        aside=aside,
    )


def file_observation(
    path: str, digest: str | None, *, epoch: int = 0, change: Change | None = None, aside: bool = False
) -> Observation:
    """The record of a look at one whole file, of this content digest; with `change`, of what an edit made of it."""
    return Observation(
        tool=FILE_STATE,
        arguments=canonical_json({"path": path}).decode(),
        digest=outcome_digest(ToolResult(text="", data={"digest": digest})),
        epoch=epoch,
        change=change,
        aside=aside,
    )


def tree_observation(digest: str, *, epoch: int, aside: bool = False) -> Observation:
    """The record of a look at all files of the project."""
    return Observation(
        tool=FILE_TREE,
        arguments="{}",
        digest=outcome_digest(ToolResult(text="", data={"digest": digest})),
        epoch=epoch,
        aside=aside,
    )


async def outcome_of(tool: Tool, arguments: Mapping[str, JSON]) -> ToolResult | ToolFailed | ToolDenied:
    """What a tool gives, or its error as a value."""
    try:
        return await tool.run(arguments)
    except (ToolFailed, ToolDenied) as error:
        return error


def outcome_digest(outcome: ToolResult | ToolFailed | ToolDenied) -> str:
    """BLAKE2b-128 in hex of the data, or of an error's type and message. The two never meet."""
    if isinstance(outcome, ToolResult):
        seen = b"data:" + canonical_json(outcome.data)
    else:
        seen = b"error:" + canonical_json([outcome.to_fault().type, outcome.message])
    return blake2b(seen, digest_size=16).hexdigest()


def _no_views(files: Mapping[str, bytes | None]) -> Iterable[Tool]:
    return ()


def _nothing_kept(digest: str) -> bytes | None:
    return None


class Replayer:
    """Verifies observations by running their tools again, on the files as they lie or with others in their place.

    What was found is kept for all steps of a run that share it, until `forget`: call that whenever the workspace may
    have changed in a way that no view names. Any number of tasks may ask at the same time; each look is taken once.
    """

    def __init__(
        self,
        tools: Iterable[Tool],
        over: Callable[[Mapping[str, bytes | None]], Iterable[Tool]] = _no_views,
        contents: Callable[[str], bytes | None] = _nothing_kept,
        aside: Callable[[Mapping[str, bytes | None]], Iterable[Tool]] = _no_views,
    ) -> None:
        """`over` gives the same tools for a project in which some files are otherwise, `contents` files by digest.

        `aside` gives them as they are in a worktree of such a project.
        """
        self._tools = {tool.spec.name: tool for tool in tools}
        self._over = over
        self._aside = aside
        self._aside_tools: dict[str, Tool] | None = None  # of the project as it lies
        self._contents = contents
        self._digests: dict[_Look, str | None] = {}  # None: nothing can be looked at, so nothing holds
        self._looking: dict[_Look, trio.Event] = {}
        self._footprints: dict[tuple[str, str, bool], Footprint | None] = {}

    async def holds(self, observations: Iterable[Observation]) -> Observation | None:
        """The first observation that would come out otherwise now, or None: all hold."""
        for observation in observations:
            if await self._digest(_look(observation), {}) != observation.digest:
                return observation
        return None

    def knows(self, observations: Iterable[Observation]) -> bool:
        """Whether `changed` can tell about these without another look."""
        for observation in observations:
            look = _look(observation)
            if look not in self._digests:
                return False
            if self._digests[look] != observation.digest:
                return True
        return True

    def changed(self, observations: Iterable[Observation]) -> Observation | None:
        """As `holds`, from what is known. One that is not known counts as changed."""
        for observation in observations:
            if self._digests.get(_look(observation)) != observation.digest:
                return observation
        return None

    async def comes_out(self, observation: Observation, view: View, present: Mapping[str, str | None]) -> bool:
        """Whether a look comes out as it did, with the files of `view` as that says.

        `view` names all files that may count for it and that may have changed since an earlier call; `present` is what
        lies there now.
        """
        return await self._digest(_look(observation, view), present) == observation.digest

    def footprint(self, observation: Observation) -> Footprint | None:
        """The files that the look may depend on; all of them where its tool is not known here."""
        look = (observation.tool, observation.arguments, observation.aside)
        if look not in self._footprints:
            tool = self._tool(observation.tool, aside=observation.aside)
            values = _decoded(observation.arguments)
            if tool is None or values is None:
                self._footprints[look] = _EVERYTHING
            else:
                self._footprints[look] = tool.footprint(values)
        return self._footprints[look]

    def forget(self) -> None:
        """Drop what was found; looks under way are not kept either."""
        self._digests = {}

    async def _digest(self, look: _Look, present: Mapping[str, str | None]) -> str | None:
        while look not in self._digests:
            underway = self._looking.get(look)
            if underway is None:
                return await self._take(look, present)
            await underway.wait()  # cancelled, the other task leaves the look to one of those who wait
        return self._digests[look]

    async def _take(self, look: _Look, present: Mapping[str, str | None]) -> str | None:
        digests = self._digests  # those of now: `forget` replaces them
        self._looking[look] = done = trio.Event()
        try:
            digest = digests[look] = await self._run(*look, present)
        finally:
            del self._looking[look]
            done.set()
        return digest

    def _tool(self, name: str, *, aside: bool) -> Tool | None:
        if not aside:
            return self._tools.get(name)
        if self._aside_tools is None:
            self._aside_tools = {tool.spec.name: tool for tool in self._aside({})}
        return self._aside_tools.get(name)

    async def _run(
        self, name: str, arguments: str, aside: bool, view: View, present: Mapping[str, str | None]
    ) -> str | None:
        tool = self._tool(name, aside=aside)
        otherwise = [(path, digest) for path, digest in view if path not in present or present[path] != digest]
        if otherwise and tool is not None:
            tool = self._tool_over(name, otherwise, self._aside if aside else self._over)
        values = _decoded(arguments)
        if tool is None or not tool.observes or values is None:
            return None
        return outcome_digest(await outcome_of(tool, values))

    def _tool_over(
        self,
        name: str,
        files: Iterable[tuple[str, str | None]],
        over: Callable[[Mapping[str, bytes | None]], Iterable[Tool]],
    ) -> Tool | None:
        """The tool for a project with these files; None where their contents are not kept any more."""
        contents: dict[str, bytes | None] = {}
        for path, digest in files:
            contents[path] = None if digest is None else self._contents(digest)
            if digest is not None and contents[path] is None:
                return None
        return next((tool for tool in over(contents) if tool.spec.name == name), None)


def _look(observation: Observation, view: View = ()) -> _Look:
    return observation.tool, observation.arguments, observation.aside, view


def _decoded(arguments: str) -> dict[str, JSON] | None:
    try:
        values: dict[str, JSON] = msgspec.json.decode(arguments, type=dict)
    except (msgspec.DecodeError, RecursionError):
        return None
    return values
