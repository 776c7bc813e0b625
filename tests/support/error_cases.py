"""The table of failures as steps of one script: what each asks the server for, and what must come of it.

The one place that knows how the engine deals with a failure that may pass: which ones it asks about again, and when it
gives up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.support.behaviours import Answer, Behaviour, Fail
from tests.support.error_table import FAILURES, Failure
from tests.support.exchanges import SeenRequest
from vibe_workflows.engine.errors import RateLimited

#: A provider that asks for so long a wait is not waited for.
TOO_LONG_S = 3_600
_PATIENCE_S = 4.0  # of a step whose call hangs
_ANSWERED = "after all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A step: `prompt` is its name. It may try `retries` times more, and must make `requests` requests."""

    prompt: str
    model: str
    failure: Failure
    behaviour: Behaviour
    retries: int
    timeout_s: float
    requests: int
    answer: str | None  # None: it ends with the error of the failure

    @property
    def outcome(self) -> list[str]:
        """What the script makes of it: see `script`."""
        return ["answer", self.answer] if self.answer is not None else [self.failure.error.__name__, self.failure.kind]


def cases() -> list[Case]:
    """One for each failure in each format, each with a model of its own: no outage of one is held against another."""
    return list(_cases())


def _cases() -> Iterator[Case]:
    for form in ("openai", "anthropic"):
        for number, failure in enumerate(FAILURES):
            behaviour = failure.behaviour(form)
            if behaviour is None:
                continue
            case = Case(
                prompt=f"{form}: {failure.name}",
                model=f"{form}/model-{number}",
                failure=failure,
                behaviour=behaviour,
                retries=1,
                timeout_s=60.0,
                requests=2 if failure.retried else 1,
                answer=None,
            )
            yield _adapted(case)


def _adapted(case: Case) -> Case:
    if case.failure.hangs:  # the step's own time is up with that of its call
        return replace(case, timeout_s=_PATIENCE_S, requests=1)
    if case.failure.error is not RateLimited:
        return case
    if isinstance(case.behaviour, Fail) and case.behaviour.headers:
        given_up = replace(case.behaviour, headers={"Retry-After": str(TOO_LONG_S)})
        return replace(case, behaviour=given_up, retries=0, requests=1)
    return replace(case, answer=_ANSWERED)  # a rate limit passes: the step waits, and is answered


class CaseServer:
    """Answers the requests of cases: as a `handler` of the loopback server."""

    def __init__(self, served: Sequence[Case]) -> None:
        self._cases: Mapping[str, Case] = {case.prompt: case for case in served}
        self.seen: dict[str, int] = dict.fromkeys(self._cases, 0)

    def __call__(self, request: SeenRequest) -> Behaviour | None:
        prompt = request.conversation().messages[0].text
        case = self._cases.get(prompt)
        if case is None:
            return None
        self.seen[prompt] += 1
        if case.answer is not None and self.seen[prompt] > 1:
            return Answer(text=case.answer)
        return case.behaviour


_CAUGHT = (
    *("RateLimited", "Timeout", "Refused", "Truncated", "ContextTooLong", "TurnLimit", "SchemaMismatch"),
    *("ProviderError", "AgentError", "SetupError"),
)


def script(asked: Sequence[Case]) -> str:
    """Makes one step of each case, all at the same time, and returns how each ended: [type, kind, message]."""
    rows = [[case.prompt, case.model, case.timeout_s, case.retries] for case in asked]
    handlers = "".join(
        f"    except {name} as error:\n        return [{name!r}, error.kind, error.message]\n" for name in _CAUGHT
    )
    return (
        f"CASES = {rows!r}\n"
        "async def outcome(case):\n"
        "    prompt, model, timeout, retries = case\n"
        "    try:\n"
        "        step = agent(prompt, label=prompt, model=model, timeout=timeout, retries=retries)\n"
        "        return ['answer', await step, '']\n"
        f"{handlers}"
        "async def main(args):\n"
        "    await agent('warm up')\n"  # what the first call of a process takes counts against no case
        "    return await parallel(outcome(case) for case in CASES)\n"
    )
