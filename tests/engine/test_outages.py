"""A provider that is down is an error with a type, in every fan-out: never an answer, and never a quiet None."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from tests.support.behaviours import Answer, Behaviour, Fail
from tests.support.exchanges import SeenRequest
from tests.support.model_calls import LITELLM_WARNINGS
from tests.support.model_server import ModelServer
from tests.support.model_server_plugin import model_server as model_server
from tests.support.works import Finished, open_works
from tests.support.zygotes import zygote as zygote
from vibe_workflows.engine.errors import ExitCode
from vibe_workflows.engine.events import Warned
from vibe_workflows.engine.model import RunStatus
from vibe_workflows.sandbox.launcher import Zygote

pytestmark = LITELLM_WARNINGS

DOWN = Fail(status=503, message="down for maintenance")


class Outage:
    """A run against a server that is down for prompts that say so."""

    def __init__(self, zygote: Zygote, folder: Path, server: ModelServer) -> None:
        self._zygote, self._folder, self._server = zygote, folder, server
        self.warnings: list[str] = []
        server.handler = self._answer

    @staticmethod
    def _answer(request: SeenRequest) -> Behaviour:
        prompt = request.conversation().messages[0].text
        return DOWN if "down" in prompt else Answer(text=f"to {prompt}")

    def run(self, *lines: str) -> Finished:
        source = "async def main(args):\n" + "".join(f"    {line}\n" for line in lines)

        async def main() -> Finished:
            async with open_works(self._zygote, self._folder, self._server.port) as works:
                done = await works.run(source, retries=0)
                self.warnings = [event.message for event in works.events if isinstance(event, Warned)]
                return done

        return trio.run(main)

    def result(self, *lines: str) -> object:
        done = self.run(*lines)
        assert done.report.result is not None, done.report.error
        return json.loads(done.report.result)


@pytest.fixture
def outage(zygote: Zygote, tmp_path: Path, model_server: ModelServer) -> Outage:
    return Outage(zygote, tmp_path, model_server)


FAN_OUTS = {
    "parallel": "parallel([agent(name) for name in NAMES], on_error={mode!r})",
    "pipeline": "pipeline(NAMES, lambda name: agent(name), on_error={mode!r})",
    "second stage": "pipeline(NAMES, lambda name: agent('up'), lambda said, name: agent(name), on_error={mode!r})",
    "functions": "parallel([inquire(name) for name in NAMES], on_error={mode!r})",
}
INQUIRE = ("async def inquire(name):", "    return await agent(name)")
SOME, ALL = ["one", "down two", "three"], ["down one", "down two", "down three"]


def _fan_out(kind: str, mode: str, names: list[str]) -> str:
    return FAN_OUTS[kind].format(mode=mode).replace("NAMES", repr(names))


@pytest.mark.parametrize("kind", FAN_OUTS)
def test_a_branch_that_failed_is_none_with_a_warning_that_names_the_error(outage: Outage, kind: str) -> None:
    assert outage.result(*INQUIRE, f"return await {_fan_out(kind, 'none', SOME)}") == ["to one", None, "to three"]
    (warning,) = outage.warnings
    assert "1 of 3 failed" in warning
    assert "provider" in warning


@pytest.mark.parametrize("kind", FAN_OUTS)
def test_a_branch_that_failed_is_its_error_where_that_is_asked_for(outage: Outage, kind: str) -> None:
    found = outage.result(
        *INQUIRE,
        f"found = await {_fan_out(kind, 'return', SOME)}",
        "return [each.kind if isinstance(each, ProviderError) else each for each in found]",
    )
    assert found == ["to one", "provider_error", "to three"]


@pytest.mark.parametrize("kind", FAN_OUTS)
def test_one_branch_that_failed_fails_the_fan_out_where_that_is_asked_for(outage: Outage, kind: str) -> None:
    done = outage.run(*INQUIRE, f"return await {_fan_out(kind, 'raise', SOME)}")
    assert (done.report.run.status, done.report.result) == (RunStatus.FAILED, None)
    assert done.report.error is not None
    assert (done.report.error.type, done.report.error.kind) == ("ProviderError", "provider_error")
    assert "down for maintenance" in done.report.error.message


@pytest.mark.parametrize("mode", ["none", "return", "raise"])
@pytest.mark.parametrize("kind", FAN_OUTS)
def test_a_fan_out_of_which_every_branch_failed_is_an_error_in_every_mode(outage: Outage, kind: str, mode: str) -> None:
    done = outage.run(*INQUIRE, f"return await {_fan_out(kind, mode, ALL)}")
    assert (done.report.run.status, done.report.result) == (RunStatus.FAILED, None)
    assert done.report.exit_code is ExitCode.FAILED
    assert done.report.error is not None
    assert done.report.error.type == "ProviderError"
    faults = [each.step.fault for each in done.steps if '"prompt":"down' in each.step.spec]
    assert {fault.type for fault in faults if fault is not None} == {"ProviderError"}


def test_a_vote_during_an_outage_has_no_votes_and_no_winner(outage: Outage) -> None:
    """The count of a script that is written as most are: a failed voter must not be a vote against."""
    found = outage.result(
        "try:",
        "    votes = await parallel(agent(f'vote {n}, down') for n in range(3))",
        "    return ['counted', sum(1 for vote in votes if vote != 'yes')]",
        "except ProviderError as error:",
        "    return [error.kind, [each is None for each in error.results]]",
    )
    assert found == ["provider_error", [True, True, True]]
