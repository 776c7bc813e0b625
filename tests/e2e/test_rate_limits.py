"""A rate limit slows a fan-out and fails nobody: real processes, real litellm, a real server that refuses a third."""

from __future__ import annotations

import sqlite3

from tests.e2e.conftest import Machine
from tests.support.behaviours import Answer, Behaviour, Fail
from tests.support.exchanges import SeenRequest
from tests.support.model_server import ModelServer

TWO_HUNDRED = """\
async def main(args):
    found = await parallel(agent(f"Item {number}", retries=0) for number in range(200))
    return [len(found), found.count(None), len(set(found))]
"""


def test_two_hundred_steps_of_which_a_third_is_turned_away_are_two_hundred_answers(
    online: Machine, model_server: ModelServer
) -> None:
    def refuse_every_third(request: SeenRequest) -> Behaviour:
        if request.number % 3 == 0:
            return Fail(status=429, message="slow down", type="rate_limit_error")
        return Answer(text=f"answer {request.number}")

    model_server.handler = refuse_every_third
    online.write("flow.py", TWO_HUNDRED)
    ran = online.vibe("run", "flow.py", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["result"] == [200, 0, 200]
    assert "failed" not in ran.err
    assert len(model_server.requests) == 299  # the last of the 200 answers came before a further refusal
    with sqlite3.connect(online.project / ".vibe/vibe.db") as store:
        assert store.execute("SELECT status, count(*) FROM steps GROUP BY status").fetchall() == [("completed", 200)]
        assert store.execute("SELECT status, model, count(*) FROM attempts GROUP BY status, model").fetchall() == [
            ("completed", "openai/test-model", 200)
        ]
        (told,) = store.execute("SELECT count(*) FROM events WHERE kind = 'step_retried'").fetchone()
    store.close()
    assert told == 99
