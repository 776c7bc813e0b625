"""vibe trace of a run in trouble: cache hit rates and what prompts held, models, fallbacks, errors and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.command import Command, CommandHere
from tests.support.past_runs import a_run, fill
from tests.support.terminals import screen_of
from tests.support.troubled_run import RUN, a_troubled_run
from vibe_workflows.cli.render.paint import Style
from vibe_workflows.cli.render.sanitize import cell_width
from vibe_workflows.cli.render.trace import Look, run_text
from vibe_workflows.cli.render.trace_rows import RunTrace
from vibe_workflows.cli.render.usage import hit_rate, makeup_line, rate_style, rate_text, usage_line
from vibe_workflows.engine.events import Event, ModelSlowed, Warned
from vibe_workflows.engine.model import FAILED_STEP, Fault, PromptMakeup, RunStatus, Usage

GREEN, YELLOW, RED = "\x1b[32m", "\x1b[33m", "\x1b[31m"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture
def troubled(here: CommandHere) -> CommandHere:
    fill(here.command, a_troubled_run())
    return here


def lines_of(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def document(troubled: CommandHere, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(troubled("trace", *args, "--json").stdout)
    return found


# ---------------------------------------------------------------- what calls used


@pytest.mark.parametrize(
    ("cached", "prompt", "text", "style"),
    [
        (10_000, 10_000, "100%", Style.GOOD),
        (6_000, 10_000, "60%", Style.GOOD),
        (5_999, 10_000, "59%", Style.WARN),
        (3_000, 10_000, "30%", Style.WARN),
        (2_999, 10_000, "29%", Style.BAD),
        (0, 1_024, "0%", Style.BAD),
        (0, 1_023, "0%", Style.PLAIN),
        (900, 1_000, "90%", Style.GOOD),
        (20_000, 10_000, "100%", Style.GOOD),  # a provider that counts wrongly
    ],
)
def test_a_hit_rate_has_a_number_and_a_colour_that_agree(cached: int, prompt: int, text: str, style: Style) -> None:
    rate = hit_rate(Usage(input_tokens=prompt, cached_tokens=cached))
    assert rate is not None
    assert (rate_text(rate), rate_style(rate, prompt)) == (text, style)


def test_there_is_no_hit_rate_without_a_prompt_or_where_the_provider_counted_nothing() -> None:
    assert hit_rate(Usage()) is None
    assert hit_rate(Usage(input_tokens=5_000, estimated=True)) is None
    assert hit_rate(Usage(input_tokens=5_000, cached_tokens=2_500, estimated=True)) == 0.5, "some calls were counted"


def test_usage_names_cache_reads_and_writes_reasoning_cost_and_estimates() -> None:
    usage = Usage(input_tokens=12_000, output_tokens=345, cached_tokens=6_000, cost_microusd=30_000)
    assert usage_line(usage, calls=1, colour=False) == "12.0k tokens in (50% from cache), 345 out, $0.03"
    full = Usage(
        input_tokens=12_000,
        output_tokens=345,
        cached_tokens=1_200,
        cache_write_tokens=800,
        reasoning_tokens=200,
        cost_microusd=None,
        estimated=True,
    )
    told = "12.0k tokens in (10% from cache, 800 to cache), 345 out (200 reasoning), price unknown, estimated"
    assert usage_line(full, calls=1, colour=False) == told
    assert RED in usage_line(full, calls=11, colour=True)
    assert RED not in usage_line(full, calls=12, colour=True), "prompts of 1,000 tokens, which nobody caches"


def test_a_makeup_is_told_in_shares_and_left_out_where_nobody_noted_it() -> None:
    makeup = PromptMakeup(system=120, tools=500, context=1, conversation=379)
    assert makeup_line(makeup) == "prompt: 12% system, 50% tools, <1% context, 38% conversation"
    assert makeup_line(PromptMakeup()) == ""


def test_a_trace_shows_the_hit_rate_of_each_step_and_in_total_with_what_the_prompts_held(
    troubled: CommandHere,
) -> None:
    lines = lines_of(troubled("trace").stdout)
    review = lines.index("✓ Review 6 live ~59.5k ~1.0k 25% $? 2.5s")
    assert lines[review + 1 : review + 7] == [
        "✓ 1 review:1 gpt-4o 1 10.0k 200 60% $0.02 2.5s",
        "✓ 2 review:2 gpt-4o 1 10.0k 200 30% $0.02 2.5s",
        "✓ 3 review:3 gpt-4o 1 10.0k 200 0% $? 2.5s",
        "✓ 4 review:4 gpt-4o 1 500 20 0% $0.0001 2.5s",
        "✓ 5 review:5 gpt-4o 1 ~9.0k ~20 $? 2.5s",
        "✓ 6 review:6 slow-but-sure 2 20.0k 400 30% $? 2.5s",
    ]
    assert lines[-3:] == [
        "59.5k tokens in (25% from cache, 500 to cache), 1.0k out (300 reasoning), price unknown, estimated",
        "prompts: 13% system, 30% tools, 36% context, 21% conversation",
        "24 steps: 0 from the store, 6 live, 18 failed, 60.5k tokens paid, price unknown",
    ]


def test_a_step_shows_the_hit_rate_and_the_makeup_of_each_turn(troubled: CommandHere) -> None:
    lines = troubled("trace", "--step", "6").stdout.splitlines()
    assert lines[1:3] == [
        "20.0k tokens in (30% from cache), 400 out (150 reasoning), price unknown",
        "prompts: 20% system, 30% tools, 0% context, 50% conversation",
    ]
    first = lines.index("turn 1  slow-but-sure  tool_calls  1.0s")
    assert lines[first + 1 : first + 3] == [
        "  10.0k tokens in (0% from cache), 200 out (150 reasoning), price unknown",
        "  prompt: 40% system, 60% tools, 0% context, 0% conversation",
    ]


def test_json_has_rates_makeup_and_what_was_shortened_as_numbers(troubled: CommandHere) -> None:
    run = document(troubled)
    assert run["usage"]["cache_hit_rate"] == pytest.approx(0.2521, abs=1e-4)
    assert run["makeup"] == {"system": 904, "tools": 2_100, "context": 2_500, "conversation": 1_496}
    rates = [step["usage"]["cache_hit_rate"] for step in run["steps"][:6]]
    assert rates == [0.6, 0.3, 0.0, 0.0, None, 0.3]
    assert run["steps"][5]["makeup"] == {"system": 404, "tools": 600, "context": 0, "conversation": 996}
    step = document(troubled, "--step", "6")
    assert [turn["usage"]["cache_hit_rate"] for turn in step["turns"]] == [0.0, 0.6]
    assert step["turns"][1]["makeup"] == {"system": 4, "tools": 0, "context": 0, "conversation": 996}
    assert step["turns"][0]["shortened"] == []
    assert step["turns"][1]["shortened"] == [
        {"message": 3, "tool_call_id": "c1", "characters": 13_000, "text": "[shortened] line of code"}
    ]


# ---------------------------------------------------------------- models


def test_a_step_says_which_model_was_asked_why_and_which_one_answered(troubled: CommandHere) -> None:
    assert "model: asked gpt-4o (routing rule 2 (phase Review))" in troubled("trace", "--step", "1").stdout.splitlines()
    lines = troubled("trace", "--step", "6").stdout.splitlines()
    assert lines[0] == "step #6  review:6  Review  completed  slow-but-sure  line 14"
    assert lines[3] == "model: asked gpt-4o, slow-but-sure answered"
    assert lines[4].startswith("fallback: slow-but-sure in place of fast: evil warning: forged")
    assert "model:" not in troubled("trace", "--step", "2").stdout, "nothing to tell: the one that was asked answered"
    step = document(troubled, "--step", "6")
    assert (step["answered_by"], step["model_reason"]) == ("slow-but-sure", "")
    assert [(each["failed"], each["model"]) for each in step["fallbacks"]] == [("fast", "slow-but-sure")]
    assert document(troubled, "--step", "1")["model_reason"] == "routing rule 2 (phase Review)"


def test_a_turn_says_which_tool_output_it_was_sent_without(troubled: CommandHere) -> None:
    lines = troubled("trace", "--step", "6").stdout.splitlines()
    at = lines.index("  shortened to fit the context, from this turn on: 1 old tool output")
    assert lines[at + 1] == '    grep {"pattern": "TODO"}: 24 of 13,000 characters kept'
    assert at > lines.index("turn 2  slow-but-sure  stop  1.0s")


def test_a_trace_tells_what_happened_to_models_and_to_contexts(troubled: CommandHere) -> None:
    lines = lines_of(troubled("trace").stdout)
    at = lines.index("model: fast was rate limited: down to 2 calls at a time")
    assert lines[at + 1].startswith("model: fast was down for 12s: evil")
    assert lines[at + 2].startswith("model: goneevil")
    assert lines[at + 2].endswith("was down and did not answer again: 503")
    assert lines[at + 3].startswith("#6 went on with slow-but-sure in place of fast: evil")
    assert lines[at + 4] == "#6: old tool outputs shortened to fit the context, 12,976 characters left out"
    run = document(troubled)
    assert [event["event"] for event in run["models"]] == [
        *("model_slowed", "model_slowed", "model_down", "model_up", "model_down"),
    ]
    assert [(each["number"], each["failed"]) for each in run["fallbacks"]] == [(6, "fast")]
    assert [(each["turn"], each["characters"]) for each in run["shortened"]] == [(2, 12_976)]


# ---------------------------------------------------------------- errors


def test_errors_that_are_alike_stand_in_a_trace_once_with_their_number(troubled: CommandHere) -> None:
    lines = lines_of(troubled("trace").stdout)
    assert [line for line in lines if "API key for openai" in line] == [
        "16 steps: SetupError: no API key for openai; set OPENAI_API_KEY"
    ]
    assert lines[lines.index("✗ 26 merge:26 gpt-4o 2.5s") + 1].startswith("16 steps: ")
    assert "tried 3 times: RateLimited: fast: 429 too many requests; lower --concurrency" in lines
    assert "AgentError (no_winner): nobody won" in lines, "a kind is told where it says more than the type"
    assert "warning: parallel (line 9): 16 of 18 failed: setup_error: no API key (3 times)" in lines


def test_the_error_of_a_run_names_its_step_the_attempts_and_what_to_do(troubled: CommandHere) -> None:
    lines = troubled("trace").stdout.splitlines()
    at = lines.index("error: review.py:9: RateLimited: fast: 429 too many requests; lower --concurrency")
    assert lines[at + 1 : at + 3] == [
        "  in step #27 review:27 of Merge, tried 3 times: rate_limited (2 times), then provider_error",
        f"everything finished is kept. To look: `vibe trace {RUN} --step 27`; to go on: `vibe resume {RUN}`",
    ]
    error = document(troubled)["error"]
    assert (error["type"], error["kind"], error["fields"]) == ("RateLimited", "rate_limited", {})
    assert error["step"] == {
        "step": f"{RUN}-27",
        "number": 27,
        "label": "review:27",
        "phase": "Merge",
        "attempts": 3,
        "kinds": ["rate_limited", "rate_limited", "provider_error"],
    }


def test_a_failed_step_shows_what_came_of_each_attempt_and_what_to_do(troubled: CommandHere) -> None:
    lines = troubled("trace", "--step", "27").stdout.splitlines()
    assert lines[2] == (
        "attempts 1 to 2: failed after 1.0s, 1.0s, RateLimited: fast: 429 too many requests; lower --concurrency; "
        "then waited 2.0s, 6.0s"
    )
    assert lines[3].startswith("attempt 3: failed after 1.0s, ProviderError: fast: 503 evil")
    assert lines[4] == "waited 3 times, 8.2s at most; the last time after: 429"
    assert [wait["attempt"] for wait in document(troubled, "--step", "27")["waits"]] == [1, 1, 2]
    assert lines[-3:] == [
        "error",
        "RateLimited: fast: 429 too many requests; lower --concurrency",
        f"to try it again: `vibe resume {RUN}`",
    ]


def test_failures_in_json_are_bounded_and_counted(troubled: CommandHere) -> None:
    run = document(troubled)
    assert run["failed_steps"] == 18
    assert len(run["failures"]) == 18
    assert run["failures"][16] == {
        "step": f"{RUN}-27",
        "number": 27,
        "label": "review:27",
        "phase": "Merge",
        "type": "RateLimited",
        "kind": "rate_limited",
        "message": "fast: 429 too many requests; lower --concurrency",
        "attempts": 3,
    }


@pytest.mark.parametrize("origin", [None, 7, "step", {"step": 1}, {"number": "x"}, [{}]])
def test_an_origin_that_no_engine_wrote_is_no_origin(origin: object, here: CommandHere) -> None:
    fields: Any = {FAILED_STEP: origin}
    fault = Fault(type="RateLimited", message="flow.py:1: no", fields=fields)
    fill(here.command, [a_run("cc33", status=RunStatus.FAILED, fault=fault)])
    assert here("trace").returncode == 0
    assert json.loads(here("trace", "--json").stdout)["error"] == {
        "type": "RateLimited",
        "kind": "",
        "message": "flow.py:1: no",
        "fields": {},
        "step": None,
    }


# ---------------------------------------------------------------- hostile text, many events, terminals


def test_hostile_text_of_models_and_providers_neither_steers_nor_floods(troubled: CommandHere) -> None:
    for args in (["trace"], *(["trace", "--step", str(number)] for number in (1, 6, 27))):
        text = troubled(*args).stdout
        assert UNSAFE.search(text) is None, args
        assert "\nwarning: forged" not in text
        assert max(map(cell_width, text.splitlines())) < 500, args


def test_many_warnings_and_models_are_cut_with_their_number() -> None:
    events: list[Event] = [Warned(at=1.0, message=f"warning {number}") for number in range(500)]
    events += [ModelSlowed(at=1.0, model=f"model {number}", at_once=1) for number in range(500)]
    trace = RunTrace(run=a_run("dd44"), answered=(), unanswered=(), events=events, makeups={})
    lines = run_text(trace, Look(width=80, colour=False, now=2_000.0)).splitlines()
    assert len(lines) < 60
    assert sum("480 " in line for line in lines) == 2


@pytest.fixture
def on_terminal(vibe: Command) -> Callable[..., str]:
    fill(vibe, a_troubled_run())

    def show(columns: int, *args: str, **environ: str) -> str:
        """What a terminal of so many columns gets."""
        env = {**vibe.environ, "TERM": "xterm-256color", **environ}
        screen = screen_of(vibe.argv(*args), columns, 24, env, vibe.project)
        assert screen.code == 0
        return screen.output.replace("\r\n", "\n")

    return show


@pytest.mark.parametrize("columns", [80, 160])
def test_on_a_terminal_rates_have_their_colour_and_the_table_fits(
    columns: int, on_terminal: Callable[..., str]
) -> None:
    text = on_terminal(columns, "trace")
    assert re.search(rf"{re.escape(GREEN)} *60%", text)
    assert re.search(rf"{re.escape(YELLOW)} *30%", text)
    rows = [line for line in text.splitlines() if "review:3" in line or "review:4" in line]
    assert re.search(rf"{re.escape(RED)} *0%", rows[0])
    assert RED not in rows[1], "a prompt of 500 tokens"
    plain = re.sub("\x1b\\[[0-9;]*m", "", text)
    table = plain[: plain.index("warning:")]
    assert max(map(cell_width, table.splitlines())) <= columns


def test_without_colour_a_terminal_gets_the_same_words(on_terminal: Callable[..., str]) -> None:
    coloured = on_terminal(80, "trace", "--step", "6")
    plain = on_terminal(80, "trace", "--step", "6", NO_COLOR="1")
    assert "\x1b" not in plain
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == plain
