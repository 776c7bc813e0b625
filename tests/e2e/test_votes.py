"""A vote whose voters a provider lets down, over the wire; its address and prices come from the person's config."""

from __future__ import annotations

from tests.e2e.conftest import Machine
from tests.support.behaviours import Answer, Behaviour, Fail, Tokens
from tests.support.exchanges import SeenRequest
from tests.support.model_server import ModelServer

VOTE = """\
from vibe_workflows.patterns import majority

async def main(args):
    votes = await parallel(agent(f"Does it hold? Voter {n}", label=f"voter:{n}") for n in range(3))
    return majority(votes, lambda vote: vote == "yes", quorum=2)
"""
CONFIG = """\
retries: 0
max_usd: none
aliases: {juror: openai/juror-1}
api_bases: {openai: URL}
prices:
  openai/juror-1: {input: 2, output: 10, cached: 0.5}
"""


def test_an_outage_of_two_voters_is_told_is_no_verdict_and_the_third_is_paid_at_ones_own_price(
    machine: Machine, model_server: ModelServer
) -> None:
    def one_is_up(seen: SeenRequest) -> Behaviour:
        if "Voter 1" not in str(seen.body):
            return Fail(status=503, message="the provider is down")
        return Answer(text="no", usage=Tokens(prompt=1_000, completion=10, cached=600))

    model_server.handler = one_is_up
    machine.environ["OPENAI_API_KEY"] = "sk-test-0123456789"
    machine.write("vote.py", VOTE)
    config = machine.project.parent / "home/.config/vibe/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG.replace("URL", model_server.url))

    ran = machine.vibe("run", "vote.py", "--model", "juror", "--json")
    assert ran.code == 0, ran.err
    assert ran.document["result"] == "unverified"
    assert "2 of 3 failed: provider_error" in ran.err
    assert ran.document["usage"]["cost_microusd"] == 400 * 2 + 600 * 0.5 + 10 * 10
    assert len(model_server.requests) == 3
    step = machine.vibe("trace", "--json").document["steps"]
    assert {each["model"] for each in step} == {"openai/juror-1"}
    assert sorted(each["status"] for each in step) == ["completed", "failed", "failed"]
