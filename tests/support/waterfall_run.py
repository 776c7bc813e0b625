"""Records of a run with everything that a picture of it can show, at times that never change."""

from __future__ import annotations

import json

from msgspec.structs import replace

from tests.support.past_runs import a_run, a_step, delivered
from vibe_workflows.engine.events import Event, PhaseStarted, RunLimits, RunStarted, StepFinished, StepRetried
from vibe_workflows.engine.model import Fault, PromptMakeup, RunStatus, StepStatus, ToolCall, Turn, Usage
from vibe_workflows.engine.ports import Record, RunEvent

RUN = "cc55"
BEGUN = 1_000.0
LIMITED = Fault(type="RateLimited", kind="rate_limited", message="fast: 429 too many requests; lower --concurrency")
USAGE = Usage(input_tokens=4_000, output_tokens=300, cached_tokens=2_800, cost_microusd=12_000)


def a_waterfall_run(many: int = 400) -> list[Record]:
    """A plan from the store, a review that waited and one that failed, many checks, and a phase that never came."""
    records: list[Record] = []
    events: list[Event] = [
        RunStarted(
            at=BEGUN,
            run=RUN,
            workflow="review",
            lineage=RUN,
            phases=("Plan", "Review", "Check", "Sum up"),
            limits=RunLimits(tokens=2_000_000, microusd=10_000_000, seconds=600, paid_microusd=10_000_000),
        )
    ]

    def step(
        number: int, phase: str, label: str, asked: float, began: float, ended: float, *, fault: Fault | None = None
    ) -> None:
        status = StepStatus.COMPLETED if fault is None else StepStatus.FAILED
        done = a_step(RUN, number, usage=USAGE, turns=1, model="openai/gpt-5.1", status=status, fault=fault)
        done = replace(done, started_at=BEGUN + began, finished_at=BEGUN + ended)
        delivery = delivered(RUN, number, done, phase=phase, label=label)
        records.extend([done, replace(delivery, requested_at=BEGUN + asked, delivered_at=BEGUN + ended)])

    def phase(title: str, at: float) -> None:
        events.append(PhaseStarted(at=BEGUN + at, title=title, scope=len(events)))

    phase("Plan", 0.1)
    planned = a_step(RUN, 1, usage=USAGE, turns=1, model="openai/gpt-5.1")
    first = delivered(RUN, 1, planned, stored=True, phase="Plan", label="plan")
    records += [planned, replace(first, requested_at=BEGUN + 0.1, delivered_at=BEGUN + 0.2)]
    phase("Review", 0.5)
    step(2, "Review", "review:parser", 0.5, 0.5, 21.0)
    step(3, "Review", "review:writer of the intermediate form", 0.5, 0.6, 34.0)
    step(4, "Review", "review:cli", 0.5, 21.0, 40.0, fault=LIMITED)
    for at, wait_s in ((9.0, 6.0), (20.0, 10.0)):
        events.append(
            StepRetried(at=BEGUN + at, number=3, step=f"{RUN}-3", attempt=1, wait_s=wait_s, error=LIMITED.message)
        )
    events.append(
        StepFinished(at=BEGUN + 40, number=4, step=f"{RUN}-4", label="", phase="Review", status="failed", attempts=3)
    )
    phase("Check", 40.0)
    for at in range(many):
        began = 40.0 + at // 8 * (70.0 / (many / 8))
        step(5 + at, "Check", f"check:{at}", 40.0, began, began + 1.0 + at % 5 * 0.2)
    fault = Fault(type="BudgetExceeded", message="review.py:9: BudgetExceeded: the run: 16,384 tokens needed, 9 left")
    total = sum((USAGE for _ in range(many + 3)), Usage())
    run = replace(
        a_run(RUN, status=RunStatus.BUDGET_EXCEEDED, fault=fault, usage=total + USAGE, paid=total),
        started_at=BEGUN,
        finished_at=BEGUN + 112,
        live_steps=many + 3,
        stored_steps=1,
        result=None,
    )
    return [run, *records, *(RunEvent(run_id=run.id, event=event) for event in events)]


def a_looking_step() -> list[Record]:
    """Step 9 of the run: three turns with tool calls, one of which has long arguments, and a long answer."""
    answer = "The parser keeps all tokens of a file in one list, and copies it for each rule. " * 6
    step = a_step(RUN, 9, usage=USAGE + USAGE + USAGE, turns=3, model="openai/gpt-5.1")
    prompt = "Review src/parser.py. Look for what is slow. For each finding give its path, line, and a quote. "
    spec = {"kind": "agent", "prompt": prompt * 3, "system": "Be brief.", "model": "openai/gpt-5.1"}
    step = replace(step, spec=json.dumps(spec), result=json.dumps(answer))
    calls = [
        (
            1,
            1,
            "read_file",
            {"path": "src/parser.py"},
            "ok",
            "src/parser.py, line 1 of 1\n1\timport os",
        ),
        (1, 2, "grep", {"pattern": "|".join(f"name of number {n}" for n in range(12))}, "ok", "no match"),
        (2, 1, "read_file", {"path": "src/lexer.py"}, "error", "Error: src/lexer.py: no such file"),
    ]
    said = ["Let me look at the parser first, and at all places where its names are used.", "", answer]
    turns = [
        Turn(
            step_id=step.id,
            number=number,
            attempt=1,
            model=step.model,
            input=json.dumps([{"role": "user", "text": "Look."}] if number == 1 else [{"role": "tool", "text": "-"}]),
            output=json.dumps({"role": "assistant", "text": text}),
            outcome="stop" if number == 3 else "tool_calls",
            started_at=BEGUN + number,
            finished_at=BEGUN + number + 0.9,
            usage=USAGE,
            makeup=PromptMakeup(system=100, tools=300, conversation=100),
        )
        for number, text in enumerate(said, 1)
    ]
    called = [
        ToolCall(
            step_id=step.id,
            turn=turn,
            number=number,
            call_id=f"c{turn}{number}",
            name=name,
            arguments=json.dumps(arguments),
            output=output,
            outcome=outcome,
            started_at=BEGUN + 1,
            finished_at=BEGUN + 1.05,
        )
        for turn, number, name, arguments, outcome, output in calls
    ]
    return [step, delivered(RUN, 9, step, phase="Check", label="check:parser"), *turns, *called]
