"""Records of a run with everything that a picture of it can show, at times that never change."""

from __future__ import annotations

from msgspec.structs import replace

from tests.support.past_runs import a_run, a_step, delivered
from vibe_workflows.engine.events import Event, PhaseStarted, RunLimits, RunStarted, StepFinished, StepRetried
from vibe_workflows.engine.model import Fault, RunStatus, StepStatus, Usage
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
