"""Every way in which a provider fails, from its server to the script, the trace and the documents of the command."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from tests.e2e.conftest import Machine
from tests.support.behaviours import Behaviour, Fail
from tests.support.error_cases import CaseServer, cases, script
from tests.support.model_server import ModelServer
from vibe_workflows.engine.store.reader import open_reader


def test_each_failure_arrives_as_its_type_in_the_script_the_store_and_the_trace(
    online: Machine, model_server: ModelServer
) -> None:
    asked = cases()
    serving = CaseServer(asked)
    model_server.handler = serving
    online.environ["ANTHROPIC_API_KEY"] = "sk-ant-0123456789"
    online.write("kinds.py", script(asked))
    ran = online.vibe("run", "kinds.py", "--json", "--concurrency", str(len(asked)))
    assert ran.code == 0, ran.err

    # In the script, and in the document of the run.
    told = dict(zip((case.prompt for case in asked), ran.document["result"], strict=True))
    assert {prompt: [kind, said] for prompt, (kind, said, _) in told.items()} == {
        case.prompt: case.outcome for case in asked
    }
    # Retried or not, by the server's own account.
    assert serving.seen == {case.prompt: case.requests for case in asked}

    # In the trace.
    trace = json.loads(online.vibe("trace", "--json").out)
    steps = {step["label"]: step for step in trace["steps"] if step["label"] != "warm up"}
    assert steps.keys() == told.keys()
    with closing(open_reader(online.project / ".vibe" / "vibe.db")) as reader:
        for case in asked:
            step = steps[case.prompt]
            if case.answer is not None:
                assert (step["status"], step["error"]) == ("completed", None)
                continue
            kind, said, message = told[case.prompt]
            assert step["status"] == ("timed_out" if case.failure.hangs else "failed")
            assert (step["error"]["type"], step["error"]["kind"], step["error"]["message"]) == (kind, said, message)
            attempts = reader.attempts(step["step"])
            faults = [attempt.fault.type for attempt in attempts if attempt.fault is not None]
            assert faults == [kind] * case.requests


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        (Fail(status=503), "ProviderError", 1),
        (Fail(status=401), "SetupError", 2),
    ],
    ids=["an outage", "a refused key"],
)
def test_a_failure_that_nobody_catches_ends_the_run_with_its_type_and_exit_code(
    online: Machine, model_server: ModelServer, behaviour: Behaviour, kind: str, code: int
) -> None:
    """Of a fan-out too, where every branch fails: its result would be a list of nothing."""
    model_server.handler = lambda _request: behaviour
    online.write("flow.py", "return await parallel(agent(f'vote {n}', retries=0) for n in range(3))\n")
    ran = online.vibe("run", "flow.py", "--json")
    assert ran.code == code
    assert (ran.document["status"], ran.document["result"]) == ("failed", None)
    assert ran.document["error"]["type"] == kind
    trace = json.loads(online.vibe("trace", "--json").out)
    assert trace["error"]["type"] == kind
    assert {step["error"]["type"] for step in trace["steps"] if step["error"]} == {kind}
