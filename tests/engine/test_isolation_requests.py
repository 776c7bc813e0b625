"""What `isolation`, `merge` and `gate` are to the engine: checked again, part of the key, and granted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from vibe_workflows.engine.agents.profile_text import Profile, Vocabulary, parse_profile
from vibe_workflows.engine.agents.tools.registry import ToolBox
from vibe_workflows.engine.agents.tools.run_command import RunCommand
from vibe_workflows.engine.answers import changed_files
from vibe_workflows.engine.errors import ConfigError, SandboxError, SetupError, ToolDenied
from vibe_workflows.engine.merges import Merges
from vibe_workflows.engine.model import Change, Observation, StepId, StepKind, StepSpec
from vibe_workflows.engine.requests import Horizons, StepDefaults, StepRequest, StepRequests
from vibe_workflows.engine.routing import ModelChoice
from vibe_workflows.sandbox import options

MANUAL = StepSpec(kind=StepKind.AGENT, isolation="worktree", merge="manual")
ISOLATED = {"isolation": "worktree"}
STEP = StepId("s-1")


class OneProfile:
    def __init__(self, isolation: Any) -> None:
        self._isolation = isolation

    def get(self, name: str) -> Profile:
        return Profile(name=name, where=f"{name}.md", isolation=self._isolation)


def requests(*grants: str, profile: str | None = None) -> StepRequests:
    return StepRequests(
        tools=ToolBox([RunCommand(grants, lambda _program: None)], ["read", *grants]),
        resolve_model=lambda **_: ModelChoice(model="m", fallbacks=(), reason="r"),
        defaults=StepDefaults(max_tokens=100, max_turns=5, timeout_s=10, retries=0),
        horizons=Horizons(run=None, lineage_start=0, now=0),
        profiles=OneProfile(profile),
    )


def asked(made: StepRequests, **params: Any) -> StepRequest:
    return made.agent(msgspec.json.encode({"prompt": "p", **params}), phase="", phase_model="")


def test_a_worktree_is_merged_by_itself_unless_the_step_says_otherwise() -> None:
    made = requests()
    assert (asked(made).spec.isolation, asked(made).spec.merge) == ("", "")
    assert (asked(made, **ISOLATED).spec.isolation, asked(made, **ISOLATED).spec.merge) == ("worktree", "auto")
    assert asked(made, **ISOLATED, merge="manual").spec.merge == "manual"
    assert asked(made, **ISOLATED).key == asked(made, **ISOLATED, merge="auto").key
    assert len({asked(made).key, asked(made, **ISOLATED).key, asked(made, **ISOLATED, merge="manual").key}) == 3


def test_a_profile_may_isolate_and_a_call_says_how_that_is_merged() -> None:
    spec = asked(requests(profile="worktree"), profile="p", merge="manual").spec
    assert (spec.isolation, spec.merge) == ("worktree", "manual")
    with pytest.raises(SetupError, match="merge= says how a worktree is merged, and profile `p` asks for none"):
        asked(requests(), profile="p", merge="manual")


def test_a_profile_names_no_other_isolation_than_there_is() -> None:
    words = Vocabulary(tools={}, aliases=())
    found = parse_profile("p", "p.md", b"---\nisolation: worktree\n---\nx", words)
    assert (found.isolation, found.notes) == ("worktree", ())
    with pytest.raises(ConfigError, match="`worktree` is the only one that there is, not `container`"):
        parse_profile("p", "p.md", b"---\nisolation: container\n---\nx", words)


@pytest.mark.parametrize("grant", ["command", "command:pytest"])
def test_a_gate_is_part_of_the_key_and_runs_under_the_grant_of_its_program(grant: str) -> None:
    made = requests(grant)
    request = asked(made, gate=["pytest", "-q"])
    assert request.gate_tool is not None
    assert (request.spec.gate, request.spec.gate_retries, request.spec.grants) == (("pytest", "-q"), 2, (grant,))
    assert asked(made, gate=["pytest", "-q"], gate_retries=2).key == request.key
    others = [asked(made), asked(made, gate=["pytest"]), asked(made, gate=["pytest", "-q"], gate_retries=0)]
    assert request.key not in {other.key for other in others}


@pytest.mark.parametrize(
    ("grants", "program", "message"),
    [
        ((), "pytest", r"the gate: .* needs the grant `command`.*--allow command"),
        (("write",), "pytest", r"the gate: .* needs the grant `command`"),
        (("command:py",), "pytest", r"the gate: pytest: this run may not run it.*--allow command:pytest grants it"),
        (("command:pytest-3",), "pytest", r"the gate: pytest: this run may not run it"),
        (("command:pytest",), "./pytest", r"the gate: ./pytest: this run may not run it.*--allow command grants"),
    ],
)
def test_a_gate_without_its_grant_is_denied_before_the_step_begins(
    grants: tuple[str, ...], program: str, message: str
) -> None:
    with pytest.raises(ToolDenied, match=message):
        asked(requests(*grants), gate=[program, "-q"])


def test_a_gate_that_no_tool_could_run_is_a_mistake_of_the_script() -> None:
    with pytest.raises(SetupError, match=r"agent: gate: run_command: argv\[0\] is empty"):
        asked(requests("command"), gate=[""])


@pytest.mark.parametrize(
    "params",
    [
        {"isolation": "container"},
        {"isolation": "worktree", "merge": "both"},
        {"gate": []},
        {"gate": ["a\0b"]},
        {"gate": ["a"] * (options.MAX_GATE_WORDS + 1)},
        {"gate": ["a" * (options.MAX_WORD_CHARS + 1)]},
        {"gate": "pytest"},
        {"gate": ["a"], "gate_retries": options.MAX_GATE_RETRIES + 1},
        {"gate": ["a"], "gate_retries": -1},
    ],
)
def test_what_no_child_sends_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        asked(requests("command"), **params)


# ---------------------------------------------------------------- merge


def merge(made: StepRequests, merges: Merges, line: int = 7) -> StepRequest:
    request = made.merge(msgspec.json.encode({"step": STEP}), merges)
    merges.begin(request.spec, line)
    return request


def test_a_merge_is_a_step_named_after_the_one_that_it_merges() -> None:
    merges = Merges()
    merges.answered(STEP, MANUAL, "fix the parser")
    request = merge(requests(), merges)
    assert request.label == "merge fix the parser"
    assert request.spec == StepSpec(kind=StepKind.MERGE, merged=STEP, grants=("write",))


def test_only_what_the_script_was_answered_with_and_may_merge_is_merged() -> None:
    merges = Merges()
    for spec in (StepSpec(kind=StepKind.AGENT), StepSpec(kind=StepKind.AGENT, isolation="worktree", merge="auto")):
        merges.answered(STEP, spec, "x")
        with pytest.raises(SandboxError, match="for a step that it was not given to merge"):
            merge(requests(), merges)


def test_changes_are_merged_once_and_again_only_after_a_failure() -> None:
    merges = Merges()
    merges.answered(STEP, MANUAL, "x")
    request = merge(requests(), merges)
    merges.answered(STEP, MANUAL, "x")
    with pytest.raises(SetupError, match="what `x` did is merged in line 7 already"):
        merge(requests(), merges, 8)
    merges.came_to_nothing(request.spec)
    assert merge(requests(), merges, 8).key == request.key


def test_the_files_of_a_result_are_what_the_step_changed_in_the_order_of_its_changes() -> None:
    def changed(path: str, *, aside: bool) -> Observation:
        change = Change(path=path, before=None, after="d")
        return Observation(tool="file_state", arguments="{}", digest="d", change=change, aside=aside)

    seen = [changed("b", aside=True), Observation(tool="grep", arguments="{}", digest="d"), changed("a", aside=True)]
    assert changed_files([*seen, changed("b", aside=False)]) == ["b", "a"]


def test_the_child_and_the_engine_have_the_same_limits() -> None:
    made = requests("command")
    words = ["a" * options.MAX_WORD_CHARS] * options.MAX_GATE_WORDS
    assert asked(made, gate=words, gate_retries=options.MAX_GATE_RETRIES).spec.gate == tuple(words)
