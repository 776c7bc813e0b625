"""One check of a schema answers all steps of a run that have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.checking import PlainChecker
from vibe_workflows.engine.agents.schema_cache import SchemaCache
from vibe_workflows.engine.agents.structured import PreparedSchema
from vibe_workflows.engine.errors import SandboxError, SetupError
from vibe_workflows.engine.model import JSON

WRONG: JSON = {"type": "nonsense"}
RIGHT: JSON = {"type": "array", "items": {"type": "string"}}


class Counting(PlainChecker):
    """Takes a second for each check, and fails with `errors` first."""

    def __init__(self, *errors: Exception) -> None:
        self.checked = 0
        self._errors = list(errors)

    async def check_schema(self, schema: JSON) -> Sequence[str]:
        self.checked += 1
        await trio.sleep(1)
        if self._errors:
            raise self._errors.pop(0)
        return await super().check_schema(schema)


def _fast(main: Any) -> Any:
    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize(("schema", "kind"), [(WRONG, SetupError), (RIGHT, PreparedSchema)])
def test_a_fan_out_of_identical_steps_has_its_schema_checked_once_right_or_wrong(schema: JSON, kind: type) -> None:
    checker = Counting()
    cache = SchemaCache(checker)
    found: list[object] = []

    async def step() -> None:
        try:
            found.append(await cache.prepare(schema))
        except SetupError as error:
            found.append(error)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(16):
                nursery.start_soon(step)
        await step()

    _fast(main)
    assert [type(each) for each in found] == [kind] * 17
    assert len({str(each) for each in found}) == 1
    assert checker.checked == 1
    if kind is SetupError:
        assert len(set(map(id, found))) == 17  # each raises its own


def test_a_check_that_was_cancelled_is_left_to_the_next_step() -> None:
    checker = Counting()
    cache = SchemaCache(checker)

    async def main() -> PreparedSchema:
        with trio.move_on_after(0.5):
            await cache.prepare(RIGHT)
        return await cache.prepare(RIGHT)

    assert _fast(main).wrapped
    assert checker.checked == 2


def test_a_worker_that_fails_says_nothing_of_the_schema() -> None:
    checker = Counting(SandboxError("no worker"))
    cache = SchemaCache(checker)

    async def main() -> PreparedSchema:
        with pytest.raises(SandboxError):
            await cache.prepare(RIGHT)
        return await cache.prepare(RIGHT)

    assert _fast(main).wrapped
