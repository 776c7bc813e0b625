"""A run that is stopped by a signal: its requests are closed before any row says so, and no process of it is left."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Machine
from tests.support.behaviours import Answer, Behaviour, Call, Fail, Hang
from tests.support.exchanges import SeenRequest
from tests.support.leaks import wait_until
from tests.support.model_server import ModelServer

SLOW = "^(a+)+$"  # with a text that nearly fits, this keeps a locked worker busy for as long as it may be
TEXT = "a" * 40 + "!"
#: What the server does to each branch, by its prompt: each is stopped at another moment of its life.
BRANCHES: dict[str, Behaviour] = {
    "waits for headers": Hang(),
    "in mid-stream": Hang(text="half an"),
    "in a tool": Answer(
        calls=(Call(name="grep", arguments=json.dumps({"pattern": SLOW}), id="c1"),), finish="tool_calls"
    ),
    "in a check": Answer(text=json.dumps({"n": TEXT})),
    "between attempts": Fail(status=503, headers={"Retry-After": "60"}),
}
HUNG = 2
FLOW = f"""
schema = {{"type": "object", "properties": {{"n": {{"type": "string", "pattern": "{SLOW}"}}}}}}
async def main(args):
    return await parallel([
        agent("waits for headers"),
        agent("in mid-stream"),
        agent("in a tool", tools=["grep"]),
        agent("in a check", schema=schema),
        agent("between attempts"),
    ], on_error="raise")
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_branches_at_every_moment_and_leaves_nothing(
    online: Machine, model_server: ModelServer, number: signal.Signals, code: int
) -> None:
    def behave(request: SeenRequest) -> Behaviour:
        return BRANCHES[request.conversation().messages[0].text]

    model_server.handler = behave
    online.write("flow.py", FLOW)
    online.write("a.txt", TEXT + "\n")
    process = online.start("run", "flow.py", "--json")
    model_server.wait_requests(len(BRANCHES))
    path = online.project / ".vibe" / "vibe.db"
    assert wait_until(lambda: _turns(path) == 1, 60)  # that of the tool, which is committed before the tool begins
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # from here, no row can be written
        process.send_signal(number)
        assert wait_until(lambda: _hung_up(model_server) == HUNG, 60)
        other.execute("ROLLBACK")
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "vibe resume" in err

    assert [each for each in family if each.is_running()] == []
    assert len(model_server.requests) == len(BRANCHES)
    document = json.loads(out)
    assert (document["status"], document["result"]) == ("interrupted", None)
    trace = json.loads(online.vibe("trace", "--json").out)
    assert {step["label"]: step["status"] for step in trace["steps"]} == dict.fromkeys(BRANCHES, "cancelled")
    used = {step["label"]: step["usage"] for step in trace["steps"]}
    assert {label for label, usage in used.items() if usage["estimated"]} == {"waits for headers", "in mid-stream"}
    assert {label for label, usage in used.items() if usage["tokens"] == 0} == {"between attempts"}
    assert document["paid"]["tokens"] == sum(usage["tokens"] for usage in used.values())


def _turns(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM turns").fetchone()
    return int(count)


def _hung_up(server: ModelServer) -> int:
    """How many requests the client left unanswered."""
    return sum(close.by == "client" and close.request is not None for close in list(server.closes))
