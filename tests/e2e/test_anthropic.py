"""A step with tools and thinking in Anthropic's format, end to end: from the command to what the store keeps."""

from __future__ import annotations

import json

from tests.e2e.conftest import Machine
from tests.support.behaviours import Answer, Behaviour, Call, Thought
from tests.support.exchanges import SeenRequest
from tests.support.model_server import ModelServer

THOUGHTS = (Thought(text="I must read it first.", signature="c2ln=="), Thought(signature="", redacted="aGlk=="))
SCRIPT = """\
async def main(args):
    return await agent("What is in a.txt?", tools=["read"], effort="low", max_tokens=4000)
"""


def test_a_step_that_thinks_reads_and_answers_shows_claude_its_own_thinking_again(
    online: Machine, model_server: ModelServer
) -> None:
    def think_read_answer(request: SeenRequest) -> Behaviour:
        said = request.conversation().messages[-1]
        if said.role == "tool":
            return Answer(text=f"It says: {said.text}")
        call = Call(name="read_file", arguments=json.dumps({"path": "a.txt"}), id="c1")
        return Answer(thinking=THOUGHTS, calls=(call,), finish="tool_calls")

    model_server.handler = think_read_answer
    online.write("a.txt", "forty-two\n")
    online.write("ask.py", SCRIPT)
    online.environ |= {"VIBE_MODEL": "anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY": "sk-ant-0123456789"}
    ran = online.vibe("run", "ask.py", "--json")
    assert ran.code == 0, ran.err
    assert "forty-two" in ran.document["result"]
    assert [seen.path for seen in model_server.requests] == ["/v1/messages", "/v1/messages"]
    assistant = model_server.requests[1].conversation().messages[1]
    assert assistant.thinking == THOUGHTS
    assert [call.id for call in assistant.calls] == ["c1"]
    assert ran.document["paid"]["cost_microusd"] > 0
