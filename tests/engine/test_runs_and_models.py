"""Whole runs, as far as their settings about models go: who chose, what it costs, what a vote makes of an outage."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from vibe_workflows.cli import wiring
from vibe_workflows.engine.backends.scripted import Script, ScriptedBackend
from vibe_workflows.engine.errors import ExitCode, ProviderError, SetupError
from vibe_workflows.engine.events import Event, Warned
from vibe_workflows.engine.launch import RunReport, RunRequest
from vibe_workflows.engine.model import DeliveryMode, FinishReason, ModelInfo, ModelReply, ModelRequest, Usage
from vibe_workflows.engine.store.reader import open_reader

UNPRICED = ModelInfo(input_price=None, output_price=None)


@dataclass
class Project:
    """A project and its person, whose runs are answered by a function."""

    folder: Path
    warnings: list[str] = field(default_factory=list)

    def handle(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.warnings.append(event.message)

    def person(self, text: str) -> None:
        file = self.folder.parent / "home/.config/vibe/config.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, source: str, backend: ScriptedBackend, **flags: Any) -> RunReport:
        (self.folder / "flow.py").write_text(source)
        settings = wiring.load({"retries": 0, "model": "scripted", **flags})
        return wiring.run_workflow(settings, RunRequest(target="flow.py"), [self], backend=backend)

    def result(self, source: str, answer: Script, **flags: Any) -> Any:
        report = self.run(source, ScriptedBackend(answer), **flags)
        assert report.exit_code is ExitCode.DONE, report.error
        assert report.result is not None
        return json.loads(report.result)

    def model_reasons(self, report: RunReport) -> dict[str, tuple[DeliveryMode, str, str]]:
        reader = open_reader(self.folder / ".vibe/vibe.db")
        try:
            return {
                each.delivery.label: (each.delivery.mode, each.step.model, each.delivery.model_reason)
                for each in reader.deliveries(report.run.id)
            }
        finally:
            reader.close()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = tmp_path / "project"
    (tmp_path / "home").mkdir()
    folder.mkdir()
    (folder / "vibe.yaml").touch()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CI", "VIBE_MODEL", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return Project(folder)


def body(*lines: str) -> str:
    return "async def main(args):\n" + "".join(f"    {line}\n" for line in lines)


def prompt_of(request: ModelRequest) -> str:
    return request.messages[-1].text


# ---------------------------------------------------------------- who chose


def test_the_trace_knows_who_chose_the_model_of_live_and_of_stored_steps(project: Project) -> None:
    project.person("aliases: {fast: a/fast}\nrouting: [{label: 'cheap:*', model: fast}]\n")
    source = body(
        "await agent('one', label='cheap:1')",
        "await agent('two', label='own', model='b/own')",
        "return await agent('three', label='plain')",
    )
    live = project.model_reasons(project.run(source, ScriptedBackend(lambda _: "ok")))
    assert live == {
        "cheap:1": (DeliveryMode.LIVE, "a/fast", "routing rule 1, alias fast"),
        "own": (DeliveryMode.LIVE, "b/own", "agent(model=)"),
        "plain": (DeliveryMode.LIVE, "scripted", "--model"),
    }
    project.person("model: scripted\naliases: {quick: a/fast}\nrouting: [{label: '*:1', model: quick}]\n")
    stored = project.model_reasons(project.run(source, ScriptedBackend(lambda _: pytest.fail("asked")), model=None))
    assert stored == {
        "cheap:1": (DeliveryMode.STORED, "a/fast", "routing rule 1, alias quick"),
        "own": (DeliveryMode.STORED, "b/own", "agent(model=)"),
        "plain": (DeliveryMode.STORED, "scripted", "config"),
    }


# ---------------------------------------------------------------- what it costs


def test_a_price_of_ones_own_lets_a_limit_in_dollars_hold_for_a_model_that_no_list_knows(project: Project) -> None:
    def reply(_: ModelRequest) -> ModelReply:
        usage = Usage(
            input_tokens=1_000, output_tokens=100, cached_tokens=400, cache_write_tokens=100, cost_microusd=None
        )
        return ModelReply(text="ok", finish=FinishReason.STOP, usage=usage)

    source = body("return (await agent('one', detail=True)).usage['cost_microusd']")
    refused = project.run(source, ScriptedBackend(reply, info=UNPRICED), budget="$1")
    assert refused.error is not None
    assert "prices:" in refused.error.message
    project.person("prices: {scripted: {input: 2, output: 10, cached: 0.5, cache_write: 3}}\n")
    report = project.run(source, ScriptedBackend(reply, info=UNPRICED), budget="$1")
    assert report.result == b"2500"  # 500 x 2 + 400 x 0.5 + 100 x 3 + 100 x 10
    assert report.run.paid.cost_microusd == 2_500
    small = project.run(source.replace("one", "two"), ScriptedBackend(reply, info=UNPRICED), budget="$0.0005")
    assert small.exit_code is ExitCode.BUDGET, "the price bounds a call before it is sent"


def test_a_project_cannot_set_prices(project: Project) -> None:
    (project.folder / "vibe.yaml").write_text("prices: {scripted: {input: 0, output: 0}}\n")
    report = project.run(body("return await agent('x')"), ScriptedBackend(lambda _: "ok", info=UNPRICED), budget="$1")
    assert report.exit_code is ExitCode.USAGE


# ---------------------------------------------------------------- limits that the config sets


def test_the_limits_of_the_config_are_those_of_a_step_that_names_none(project: Project) -> None:
    project.person("max_tokens: 77\nmax_turns: 1\ntimeout: 0.05\nretries: 1\n")
    seen: list[tuple[int, float]] = []

    async def answer(request: ModelRequest) -> str:
        seen.append((request.max_tokens, request.timeout_s))
        if prompt_of(request) == "hang":
            await trio.sleep_forever()
        raise ProviderError("down", retryable=True)

    source = body(
        "try:",
        "    await agent('fail', timeout=60)",
        "except AgentError as error:",
        "    first = error.kind",
        "try:",
        "    await agent('hang', max_tokens=5)",
        "except AgentError as error:",
        "    return [first, error.kind, error.message]",
    )
    first, second, message = project.result(source, answer, retries=None)
    assert (first, second) == ("provider_error", "timeout")
    assert "0.05 s" in message
    assert [tokens for tokens, _ in seen] == [77, 77, 5], "two attempts, and one that was cut off"


def test_without_prefix_warmup_no_call_of_a_fan_out_goes_ahead(project: Project) -> None:
    project.person("prefix_warmup: false\n")
    arrived: list[str] = []
    all_here = trio.Event()

    async def answer(request: ModelRequest) -> str:
        arrived.append(prompt_of(request))
        if len(arrived) == 4:
            all_here.set()
        with trio.fail_after(20):  # a call that went ahead would be alone here
            await all_here.wait()
        return "ok"

    source = body("return await parallel(agent(f'{n}', context='shared ' * 10_000) for n in range(4))")
    assert project.result(source, answer) == ["ok"] * 4


# ---------------------------------------------------------------- what cannot be served


class Unserved(ScriptedBackend):
    """Knows that it cannot serve a model, after a look that takes a while."""

    def __init__(self) -> None:
        super().__init__(lambda _: pytest.fail("asked"))
        self.looks = 0

    async def info(self, model: str) -> ModelInfo:
        self.looks += 1
        await trio.sleep(0.01)
        raise SetupError(f"{model}: no provider is known for this model")


def test_why_a_model_cannot_be_served_is_found_out_once_however_many_steps_want_it(project: Project) -> None:
    backend = Unserved()
    report = project.run(body("return await parallel(agent(f'{n}') for n in range(16))"), backend)
    assert report.exit_code is ExitCode.USAGE
    assert report.error is not None
    assert "scripted: no provider is known for this model" in report.error.message
    assert backend.looks == 1
    assert backend.requests == []


# ---------------------------------------------------------------- votes and outages

IMPORT = "from vibe_workflows.patterns import majority\n"
COUNT = "return majority(votes, lambda vote: vote == 'yes', quorum=2)"


def cut_off(down: int) -> Script:
    """A model that says no, and that a number of voters cannot reach."""

    def answer(request: ModelRequest) -> str:
        if int(prompt_of(request)[-1]) < down:
            raise ProviderError("the provider is down")
        return "no"

    return answer


@pytest.mark.parametrize(("down", "verdict"), [(0, "no"), (1, "no"), (2, "unverified")])
@pytest.mark.parametrize("on_error", ["none", "return"])
def test_voters_who_are_cut_off_abstain(project: Project, on_error: str, down: int, verdict: str) -> None:
    voters = f"votes = await parallel([agent(f'vote {{n}}') for n in range(3)], on_error={on_error!r})"
    assert project.result(IMPORT + body(voters, COUNT), cut_off(down)) == verdict
    warned = [f"parallel (line 3): {down} of 3 failed: provider_error: the provider is down"]
    assert project.warnings == (warned if down and on_error == "none" else [])


def test_where_every_voter_is_cut_off_the_fan_out_raises_the_error_by_its_type(project: Project) -> None:
    voters = "votes = await parallel(agent(f'vote {n}') for n in range(3))"
    report = project.run(IMPORT + body(voters, COUNT), ScriptedBackend(cut_off(3)))
    assert report.exit_code is ExitCode.FAILED
    assert report.error is not None
    assert (report.error.type, report.error.kind) == ("ProviderError", "provider_error")
    caught = body("try:", f"    {voters}", "except ProviderError as error:", "    votes = error.results", COUNT)
    assert project.result(IMPORT + caught, cut_off(3)) == "unverified"
