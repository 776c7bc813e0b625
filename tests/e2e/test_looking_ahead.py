"""Looking before running, and running some steps again: real processes, real litellm, a server on loopback."""

from __future__ import annotations

from tests.e2e.conftest import Machine
from tests.e2e.test_main_job import prompt_of
from tests.support.behaviours import Answer, Behaviour
from tests.support.exchanges import SeenRequest
from tests.support.model_server import ModelServer

FLOW = """\
async def main(args):
    phase("Ask")
    found = await parallel(agent(f"Ask {n}", label=f"ask:{n}") for n in range(4))
    phase("Merge")
    return await agent("Merge: " + " ".join(found), label="merge")
"""


def numbered(server: ModelServer) -> None:
    """Each answer is another one, so that a stored answer can be told from a new one."""

    def answer(_request: SeenRequest) -> Behaviour:
        return Answer(text=f"answer {len(server.requests)}")

    server.handler = answer


def prompts(server: ModelServer, after: int) -> list[str]:
    return sorted(prompt_of(request) for request in server.requests[after:])


def test_a_dry_run_asks_nobody_and_names_what_the_run_then_asks(online: Machine, model_server: ModelServer) -> None:
    numbered(model_server)
    online.write("flow.py", FLOW)
    cold = online.vibe("run", "flow.py", "--dry-run", "--json")
    assert cold.code == 0, cold.err
    assert [each["label"] for each in cold.document["live"]] == [f"ask:{n}" for n in range(4)]
    assert model_server.requests == []
    assert not (online.project / ".vibe").exists()

    assert online.vibe("run", "flow.py").code == 0
    online.write("flow.py", FLOW.replace('f"Ask {n}"', 'f"Ask {n}" if n else "Ask anew"'))
    asked = len(model_server.requests)
    found = online.vibe("run", "flow.py", "--dry-run", "--json")
    assert found.code == 0, found.err
    assert len(model_server.requests) == asked
    assert [each["label"] for each in found.document["live"]] == ["ask:0"]
    assert found.document["live"][0]["estimate"]["from_steps"] == 1
    assert [each["label"] for each in found.document["stored"]] == ["ask:1", "ask:2", "ask:3"]

    real = online.vibe("run", "flow.py", "--json")
    assert real.document["cached"] == 3
    assert prompts(model_server, asked)[0] == "Ask anew"
    assert len(model_server.requests) == asked + 2  # and what depends on its answer


def test_refresh_asks_again_for_one_label_and_for_what_depends_on_it(
    online: Machine, model_server: ModelServer
) -> None:
    numbered(model_server)
    online.write("flow.py", FLOW)
    assert online.vibe("run", "flow.py").code == 0
    asked = len(model_server.requests)
    again = online.vibe("run", "flow.py", "--refresh", "ask:2", "--refresh", "mergee", "--json")
    assert again.code == 0, again.err
    assert [prompt.split(":")[0] for prompt in prompts(model_server, asked)] == ["Ask 2", "Merge"]
    assert "--refresh mergee: no step of this run has that label or phase; did you mean `merge`?" in again.err
    assert "refreshed as asked" in online.vibe("trace", "--step", "3").out
    free = online.vibe("run", "flow.py", "--json")
    assert free.document["paid"]["tokens"] == 0
    assert free.document["result"] == again.document["result"]
