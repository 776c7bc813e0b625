"""A checker that is asked once what .gitignore files exclude.

Every glob and grep of a rerun walks the project, and so asks about the same paths under the same rules. The answer is a
function of both, so nothing here can be out of date.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from ...keys import canonical_json
from ...model import JSON
from ...ports import Checker, Verdict

#: Of answers: a project where much is ignored has long ones.
MAX_PATHS = 100_000
MAX_ANSWERS = 10_000


class IgnoreMemory:
    """The port `Checker`; all but `ignored` is handed on."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._answers: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()  # the one that was used last at the end
        self._paths = 0  # Invariant: so many are in `_answers`

    async def ignored(self, rules: Mapping[str, str], paths: Sequence[str]) -> Sequence[str]:
        question = blake2b(canonical_json([dict(rules), list(paths)]), digest_size=16).digest()
        answer = self._answers.get(question)
        if answer is not None:
            self._answers.move_to_end(question)
            return answer
        answer = tuple(await self._checker.ignored(rules, paths))
        self._remember(question, answer)
        return answer

    def _remember(self, question: bytes, answer: tuple[str, ...]) -> None:
        self._paths += len(answer) - len(self._answers.get(question, ()))  # somebody else may have asked meanwhile
        self._answers[question] = answer
        while self._paths > MAX_PATHS or len(self._answers) > MAX_ANSWERS:
            _, oldest = self._answers.popitem(last=False)
            self._paths -= len(oldest)

    # ------------------------------------------------------------ handed on

    async def check_schema(self, schema: JSON) -> Sequence[str]:
        return await self._checker.check_schema(schema)

    async def validate(self, schema: JSON, value: JSON, *, fill_defaults: bool = False) -> Verdict:
        return await self._checker.validate(schema, value, fill_defaults=fill_defaults)

    async def match_paths(self, pattern: str, paths: Sequence[str]) -> Sequence[str]:
        return await self._checker.match_paths(pattern, paths)

    async def search(
        self, pattern: str, files: Sequence[tuple[str, str]], *, ignore_case: bool, limit: int
    ) -> Sequence[tuple[str, int, str]]:
        return await self._checker.search(pattern, files, ignore_case=ignore_case, limit=limit)
