"""What a step that has not run yet may use: as steps of its label did before, else a bound of its first turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from .agents.conversation import opening
from .backends.estimate import request_tokens
from .errors import StepFault
from .live_step import LiveStep
from .model import FilePart, ModelInfo, ModelRequest, StepKind, Usage
from .ports import LabelUsage, ModelBackend, StoreReader
from .routing import OFFLINE

#: Of a file, the latest runs whose steps are looked at.
_RUNS = 20

_UNKNOWN = ModelInfo(input_price=None, output_price=None)


class Estimate(Struct, frozen=True, kw_only=True):
    """`steps` is how many steps of the label it is the mean of.

    0: it is a bound of one turn, with the longest answer that may be. How many turns a step with tools takes, nobody
    knows.
    """

    input_tokens: int
    output_tokens: int
    cost_microusd: int | None
    steps: int


def _asked(used: LabelUsage) -> tuple[str, ...]:
    """The model, unless its answers were made up offline: they say nothing about another model's."""
    return () if used.model.partition("/")[0] == OFFLINE else (used.model,)


class Expectations:
    """Estimates for the steps of one file. `tell` takes why no price of a model is known, once for each."""

    def __init__(self, path: str, reader: StoreReader, backend: ModelBackend, tell: Callable[[str], None]) -> None:
        self._backend = backend
        self._tell = tell
        self._by_label: Mapping[str, Sequence[LabelUsage]] = reader.usage_by_label(path, _RUNS)
        self._infos: dict[str, ModelInfo] = {}

    async def of(self, item: LiveStep, files: tuple[FilePart, ...] = ()) -> Estimate:
        """`files` are those that go along."""
        if item.spec.kind is not StepKind.AGENT:
            return Estimate(input_tokens=0, output_tokens=0, cost_microusd=0, steps=1)
        model = item.spec.model
        known = [each for each in self._by_label.get(item.label, ()) if each.model in (model, *_asked(each))]
        used = min(known, key=lambda each: each.model != model, default=None)
        return await (self._bound(item, files) if used is None else self._as_before(item, used))

    async def _as_before(self, item: LiveStep, used: LabelUsage) -> Estimate:
        usage = Usage(
            input_tokens=round(used.input_tokens / used.steps),
            output_tokens=round(used.output_tokens / used.steps),
            cost_microusd=None if used.cost_microusd is None else round(used.cost_microusd / used.steps),
        )
        cost = usage.cost_microusd
        if cost is None or used.model != item.spec.model:
            cost = await self._price(item.spec.model, usage.input_tokens, usage.output_tokens)
        return Estimate(
            input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cost_microusd=cost, steps=used.steps
        )

    async def _bound(self, item: LiveStep, files: tuple[FilePart, ...]) -> Estimate:
        spec = item.spec
        prompt = request_tokens(
            ModelRequest(
                model=spec.model,
                messages=tuple(opening(spec.system, spec.context, spec.prompt, files)),
                max_tokens=item.max_tokens,
                timeout_s=item.timeout_s,
                tools=tuple(tool.spec for tool in item.tools),
                schema=spec.schema if isinstance(spec.schema, dict) else None,
            )
        )
        cost = await self._price(spec.model, prompt, item.max_tokens)
        return Estimate(input_tokens=prompt, output_tokens=item.max_tokens, cost_microusd=cost, steps=0)

    async def _price(self, model: str, prompt: int, answer: int) -> int | None:
        info = self._infos.get(model)
        if info is None:
            try:
                info = await self._backend.info(model)
            except StepFault as error:
                info = _UNKNOWN
                self._tell(f"the price is not known: {error.message}")
            self._infos[model] = info
        if info.input_price is None or info.output_price is None:
            return None
        return math.ceil(prompt * info.input_price + answer * info.output_price)
