"""Records of a run in which models and steps had their troubles: what a trace must make plain."""

from __future__ import annotations

import json

from tests.support.past_runs import a_run, a_step, delivered
from vibe_workflows.engine.events import (
    ContextShortened,
    Event,
    ModelDown,
    ModelSlowed,
    ModelUp,
    PhaseStarted,
    StepFellBack,
    StepFinished,
    StepRetried,
    Warned,
)
from vibe_workflows.engine.model import (
    FAILED_STEP,
    Attempt,
    Fault,
    PromptMakeup,
    RunStatus,
    Shortened,
    Step,
    StepStatus,
    ToolCall,
    Turn,
    Usage,
)
from vibe_workflows.engine.ports import Record, RunEvent

HOSTILE = "\x1b[2J\u202eevil\r\nwarning: forged \x1b]0;t\x07\u200b" + "long " * 400
NO_KEY = Fault(type="SetupError", kind="setup_error", message="no API key for openai; set OPENAI_API_KEY")
LIMITED = Fault(type="RateLimited", kind="rate_limited", message="fast: 429 too many requests; lower --concurrency")
DOWN = Fault(type="ProviderError", kind="provider_error", message=f"fast: 503 {HOSTILE}")
NO_WINNER = Fault(type="AgentError", kind="no_winner", message="nobody won")

WARM = Usage(input_tokens=10_000, output_tokens=200, cached_tokens=6_000, cost_microusd=20_000)
COOL = Usage(input_tokens=10_000, output_tokens=200, cached_tokens=3_000, cache_write_tokens=500, cost_microusd=20_000)
COLD = Usage(input_tokens=10_000, output_tokens=200, reasoning_tokens=150, cost_microusd=None)
SHORT = Usage(input_tokens=500, output_tokens=20, cost_microusd=100)
GUESSED = Usage(input_tokens=9_000, output_tokens=20, cost_microusd=None, estimated=True)

RUN = "bb22"


def a_turn(step: Step, number: int, usage: Usage, *, text: str = "an answer", outcome: str = "stop") -> Turn:
    return Turn(
        step_id=step.id,
        number=number,
        attempt=1,
        model=step.model,
        input=json.dumps([{"role": "user", "text": "Look."}]),
        output=json.dumps({"role": "assistant", "text": text}),
        outcome=outcome,
        started_at=1_000.0,
        finished_at=1_001.0,
        usage=usage,
        makeup=PromptMakeup(system=100, tools=300, context=500, conversation=100),
    )


def attempt(step: Step, number: int, fault: Fault | None, *, started_at: float) -> Attempt:
    return Attempt(
        step_id=step.id,
        number=number,
        status=StepStatus.COMPLETED if fault is None else StepStatus.FAILED,
        started_at=started_at,
        finished_at=started_at + 1.0,
        fault=fault,
    )


def temperatures() -> list[Record]:
    """Steps 1 to 5: cached well, fairly, not at all, too short to be cached, and not counted by the provider."""
    records: list[Record] = []
    for number, usage in enumerate((WARM, COOL, COLD, SHORT, GUESSED), 1):
        step = a_step(RUN, number, usage=usage, turns=1)
        records += [
            step,
            delivered(RUN, number, step, model_reason="routing rule 2 (phase Review)" if number == 1 else ""),
            a_turn(step, 1, usage),
        ]
    return records


def shortened_step() -> list[Record]:
    """Step 6: two turns, the second of which was sent without most of a tool's output; a fallback answered."""
    step = a_step(RUN, 6, usage=WARM + COLD, model="slow-but-sure")
    request = {"role": "assistant", "text": "", "tool_requests": [{"id": "c1", "name": "grep", "arguments": "{}"}]}
    output = "line of code\n" * 1_000
    answer = {"role": "tool", "text": output, "tool_call_id": "c1"}
    first = [{"role": "system", "text": "Be brief."}, {"role": "user", "text": "Look."}]
    turns = [
        Turn(
            step_id=step.id,
            number=number,
            attempt=number,
            model="slow-but-sure",
            input=json.dumps(messages),
            output=json.dumps(said),
            outcome=outcome,
            started_at=1_000.0 + number,
            finished_at=1_001.0 + number,
            usage=usage,
            makeup=makeup,
            shortened=shortened,
        )
        for number, messages, said, outcome, usage, makeup, shortened in (
            (1, first, request, "tool_calls", COLD, PromptMakeup(system=400, tools=600), ()),
            (
                2,
                [answer],
                {"role": "assistant", "text": "found"},
                "stop",
                WARM,
                PromptMakeup(system=4, tools=0, context=0, conversation=996),
                (Shortened(message=3, text="[shortened] line of code"),),
            ),
        )
    ]
    call = ToolCall(
        step_id=step.id,
        turn=1,
        number=1,
        call_id="c1",
        name="grep",
        arguments='{"pattern": "TODO"}',
        output=output[:100],
        outcome="ok",
        started_at=1_002.0,
        finished_at=1_002.1,
    )
    tried = [attempt(step, 1, DOWN, started_at=990.0), attempt(step, 2, None, started_at=1_001.0)]
    return [step, delivered(RUN, 6, step), *tried, *turns, call]


def failures() -> list[Record]:
    """Steps 11 to 26 failed alike, step 27 after three attempts, step 28 with a kind that says more than the type."""
    records: list[Record] = []
    for number in range(11, 27):
        step = a_step(RUN, number, status=StepStatus.FAILED, fault=NO_KEY, usage=Usage(), turns=0)
        records += [step, delivered(RUN, number, step, phase="Merge", label=f"merge:{number}")]
    limited = a_step(RUN, 27, status=StepStatus.FAILED, fault=LIMITED, usage=Usage(), turns=0)
    odd = a_step(RUN, 28, status=StepStatus.FAILED, fault=NO_WINNER, usage=Usage(), turns=0)
    return [
        *records,
        limited,
        delivered(RUN, 27, limited, phase="Merge"),
        attempt(limited, 1, LIMITED, started_at=10.0),
        attempt(limited, 2, LIMITED, started_at=13.0),
        attempt(limited, 3, DOWN, started_at=20.0),
        odd,
        delivered(RUN, 28, odd, phase="Merge"),
    ]


def happenings() -> list[Event]:
    hostile, limited = f"{RUN}-6", f"{RUN}-27"
    return [
        PhaseStarted(at=1.0, title="Review", scope=1),
        PhaseStarted(at=2.0, title="Merge", scope=2),
        ModelSlowed(at=3.0, model="fast", at_once=8),
        ModelSlowed(at=4.0, model="fast", at_once=2),
        ModelDown(at=5.0, model="fast", failures=5, wait_s=10.0, error=HOSTILE),
        ModelUp(at=17.0, model="fast"),
        ModelDown(at=20.0, model=f"gone{HOSTILE}", failures=5, wait_s=10.0, error="503"),
        StepFellBack(at=6.0, number=6, step=hostile, failed="fast", model="slow-but-sure", error=HOSTILE),
        ContextShortened(at=7.0, number=6, step=hostile, turn=2, outputs=1, characters=12_976),
        StepRetried(at=10.5, number=27, step=limited, attempt=1, wait_s=0.2, error="429"),  # within the attempt
        StepRetried(at=11.0, number=27, step=limited, attempt=1, wait_s=2.0, error="429"),
        StepRetried(at=14.0, number=27, step=limited, attempt=2, wait_s=6.0, error="429"),
        StepFinished(
            at=21.0, number=27, step=limited, label="review:27", phase="Merge", status="failed", error="429", attempts=3
        ),
        *(Warned(at=21.0, message="parallel (line 9): 16 of 18 failed: setup_error: no API key") for _ in range(3)),
    ]


def a_troubled_run() -> list[Record]:
    origin = {
        "step": f"{RUN}-27",
        "number": 27,
        "label": "review:27",
        "phase": "Merge",
        "attempts": 3,
        "kinds": ["rate_limited", "rate_limited", "provider_error"],
    }
    fault = Fault(
        type="RateLimited",
        kind="rate_limited",
        message=f"review.py:9: RateLimited: {LIMITED.message}",
        fields={FAILED_STEP: origin},  # type: ignore[dict-item]  # lists and dicts are JSON, which mypy cannot see here
    )
    total = WARM + COOL + COLD + SHORT + GUESSED + WARM + COLD
    run = a_run(RUN, status=RunStatus.FAILED, fault=fault, usage=total, paid=total, live_steps=24, stored_steps=0)
    events = [RunEvent(run_id=run.id, event=event) for event in happenings()]
    return [run, *temperatures(), *shortened_step(), *failures(), *events]
