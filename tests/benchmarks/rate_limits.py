"""A fan-out through litellm against a server that limits calls: python -m tests.benchmarks.rate_limits LIMIT CALLS.

LIMIT is `none`, `bucket`, `bucket-retry-after` or `every-third`. Prints JSON: seconds from the first request to the end
of the run, refused calls, and how many steps failed.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from tests.support.allowed_rates import EveryThird, TokenBucket
from tests.support.behaviours import Behaviour, Fail
from tests.support.exchanges import SeenRequest
from tests.support.model_server import ModelServer
from vibe_workflows.cli import wiring
from vibe_workflows.engine.events import Event, RunFinished, StepFinished
from vibe_workflows.engine.launch import RunRequest

CALLS = 200
#: About a third of the calls is refused, on a machine where litellm makes more calls a second than that.
RATE = 20.0
BURST = 20
#: Of every answer. A short one: the window has to shrink most where a few calls at a time are all that is allowed.
LATENCY_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    seconds: float
    refused: int
    failed: int


def ideal_s() -> float:
    """Of the bucket: what it holds at once, then its rate, and the last answer."""
    return (CALLS - BURST) / RATE + LATENCY_S


class _Watch:
    def __init__(self) -> None:
        self.finished = 0.0
        self.failed = 0

    def handle(self, event: Event) -> None:
        if isinstance(event, StepFinished):
            self.failed += event.status != "completed"
        elif isinstance(event, RunFinished):
            self.finished = time.time()


def _limit(name: str) -> TokenBucket | EveryThird | None:
    match name:
        case "none":
            return None
        case "every-third":
            return EveryThird()
    return TokenBucket(RATE, BURST, time.monotonic)


def _handler(limit: TokenBucket | EveryThird, *, says_when: bool) -> Callable[[SeenRequest], Behaviour | None]:
    def handle(request: SeenRequest) -> Behaviour | None:
        wait_s = limit()
        if wait_s is None:
            return None
        headers = {"retry-after": str(math.ceil(wait_s))} if says_when else {}
        return Fail(status=429, message="slow down", type="rate_limit_error", headers=headers)

    return handle


def measure(name: str, calls: int) -> Limited:
    limit, watch = _limit(name), _Watch()
    with ModelServer(latency_s=LATENCY_S) as server:
        os.environ |= {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": server.url}
        if limit is not None:
            server.handler = _handler(limit, says_when=name.endswith("retry-after"))
        settings = wiring.load({"model": "openai/bench", "max_usd": "none"})
        report = wiring.run_workflow(settings, RunRequest(target="fan_out.py", arguments={"n": calls}), [watch])
        assert report.exit_code == 0, report.error
        began = server.requests[0].at
    return Limited(seconds=watch.finished - began, refused=0 if limit is None else limit.refused, failed=watch.failed)


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1], int(sys.argv[2])))))
