"""The answer schemas of a run, each checked once."""

from __future__ import annotations

import trio

from ..errors import SetupError
from ..keys import canonical_json
from ..model import JSON
from ..ports import Checker
from .structured import PreparedSchema, prepare_schema


class _Entry:
    """One schema: what came of its check, and who checks it now."""

    def __init__(self) -> None:
        self.checking = trio.Lock()
        self.prepared: PreparedSchema | None = None
        self.problem: str | None = None


class SchemaCache:
    """Checks a schema in the locked worker when it is first needed, and once, however many steps need it at a time."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._entries: dict[bytes, _Entry] = {}

    async def prepare(self, schema: JSON) -> PreparedSchema:
        """Raises SetupError where the schema itself is wrong, for each that asks."""
        key = canonical_json(schema)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
        if entry.prepared is None and entry.problem is None:
            async with entry.checking:  # whoever is cancelled in here leaves the check to the next one
                await self._check(entry, schema)
        if entry.problem is not None:
            raise SetupError(entry.problem)  # a new one each time: an error gathers a traceback where it is raised
        assert entry.prepared is not None
        return entry.prepared

    async def _check(self, entry: _Entry, schema: JSON) -> None:
        if entry.prepared is not None or entry.problem is not None:
            return
        try:
            entry.prepared = await prepare_schema(schema, self._checker)
        except SetupError as error:
            entry.problem = error.message
