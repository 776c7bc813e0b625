"""Progress from events: as lines, and as the picture of a live view."""

from __future__ import annotations

import io

import msgspec
import pytest

from vibe_workflows.cli.render.frame import frame, short_model
from vibe_workflows.cli.render.made_up import MadeUp
from vibe_workflows.cli.render.paint import Line, Style
from vibe_workflows.cli.render.plain import PlainProgress
from vibe_workflows.cli.render.progress import Progress
from vibe_workflows.cli.render.sanitize import cell_width
from vibe_workflows.cli.render.stream import Output
from vibe_workflows.engine.events import (
    ContextShortened,
    Event,
    Logged,
    ModelDown,
    ModelSlowed,
    ModelUp,
    PhaseStarted,
    RunFinished,
    RunLimits,
    RunStarted,
    StepFellBack,
    StepFinished,
    StepRetried,
    StepStarted,
    TurnFinished,
    Warned,
)

BEGUN = RunStarted(at=0.0, run="r1", workflow="review", lineage="l1", model="gpt")


def started(number: int, phase: str = "Review", at: float = 1.0) -> StepStarted:
    return StepStarted(
        at=at, number=number, step=f"s{number}", label=f"step:{number}", phase=phase, kind="agent", model="gpt"
    )


def finished(
    number: int,
    phase: str = "Review",
    *,
    status: str = "completed",
    stored: bool = False,
    error: str = "",
    error_type: str = "",
) -> StepFinished:
    return StepFinished(
        at=3.0,
        number=number,
        step=f"s{number}",
        label=f"step:{number}",
        phase=phase,
        status="cached" if stored else status,
        stored=stored,
        model="gpt",
        tokens=1_500,
        cost_microusd=20_000,
        duration_s=2.0,
        error=error,
        error_type=error_type,
    )


def failed(number: int, error: str, error_type: str = "RateLimited") -> StepFinished:
    return finished(number, status="failed", error=error, error_type=error_type)


def ended(status: str = "completed") -> RunFinished:
    return RunFinished(
        at=4.0,
        run="r1",
        status=status,
        live_steps=1,
        stored_steps=1,
        tokens=3_000,
        cost_microusd=1,
        paid_tokens=1_500,
        paid_microusd=1,
    )


def lines_of(*events: Event, quiet: bool = False) -> list[str]:
    stream = io.BytesIO()
    view = PlainProgress(Output(stream), quiet=quiet)
    for event in events:
        view.handle(event)
    view.close()
    return stream.getvalue().decode().splitlines()


def picture(*events: Event, width: int = 80, height: int = 20, now: float = 5.0) -> list[str]:
    progress = Progress()
    for event in events:
        progress.apply(event)
    lines = [plain(line) for line in frame(progress, width=width, height=height, now=now)]
    return lines[1:] if lines[0].startswith("run r1 ") else lines


def shown_of(*events: Event, **size: int) -> list[str]:
    """The picture with its line of titles, as it is read: without spaces at the ends of lines."""
    progress = Progress()
    for event in events:
        progress.apply(event)
    return [plain(line).rstrip() for line in frame(progress, width=80, height=size.get("height", 20), now=5.0)]


def plain(line: Line) -> str:
    return "".join(span.text for span in line)


# ---------------------------------------------------------------- lines


def test_lines_tell_live_steps_one_by_one_and_count_those_from_the_store() -> None:
    stored = [finished(number, stored=True) for number in range(1, 4)]
    assert lines_of(BEGUN, PhaseStarted(at=1.0, title="Review", scope=1), *stored, finished(4), ended()) == [
        "run r1 of review",
        "Review",
        "  3 steps from the store",
        "  #4 step:4 completed 1.5k tokens $0.02 2.0s",
    ]


def test_a_run_from_the_store_alone_is_told_in_one_line_a_phase() -> None:
    stored = [finished(number, "A" if number < 500 else "B", stored=True) for number in range(1_000)]
    assert lines_of(BEGUN, *stored, ended()) == [
        "run r1 of review",
        "A",
        "  500 steps from the store",
        "B",
        "  500 steps from the store",
    ]


def test_quiet_keeps_warnings_and_failures() -> None:
    events = (
        BEGUN,
        Logged(at=1.0, message="a log line"),
        finished(1),
        Warned(at=2.0, message="2 of 3 failed: rate limited"),
        finished(2, status="failed", error="rate limited"),
        ended(),
    )
    assert lines_of(*events, quiet=True) == [
        "warning: 2 of 3 failed: rate limited",
        "  #2 step:2 failed 1.5k tokens $0.02 2.0s: rate limited",
    ]


def test_retries_logs_and_continuations_are_told() -> None:
    begun = RunStarted(at=0.0, run="r2", workflow="review", lineage="l1", parent="r1")
    retried = StepRetried(at=1.0, number=1, step="s1", attempt=2, wait_s=0.5, error="rate limited")
    assert lines_of(begun, retried, Logged(at=1.0, message="found", fields={"n": 3})) == [
        "run r2 of review, going on with run r1",
        "  #1 tried again in 500ms: rate limited",
        "  found n=3",
    ]


def test_steps_that_all_meet_the_error_that_ends_the_run_are_one_line() -> None:
    setup = [failed(number, "no key", "SetupError") for number in range(1, 17)]
    dropped = [finished(number, status="cancelled") for number in range(17, 40)]
    assert lines_of(BEGUN, *setup, *dropped, ended())[2:] == [
        "  16 steps failed: SetupError: no key",
        "  23 steps cancelled",
    ]
    alone = lines_of(BEGUN, failed(1, "no key", "SetupError"), finished(2), ended())
    assert alone[2] == "  #1 step:1 failed 1.5k tokens $0.02 2.0s: SetupError: no key", "told before what came later"
    assert alone[3].startswith("  #2")


def test_an_error_is_told_at_once_and_again_only_as_a_number() -> None:
    several = [failed(1, "step:1: too many"), finished(2), failed(3, "step:3: too many"), failed(4, "other")]
    told = [
        "  #1 step:1 failed 1.5k tokens $0.02 2.0s: RateLimited: too many",
        "  #4 step:4 failed 1.5k tokens $0.02 2.0s: RateLimited: other",
    ]
    assert [line for line in lines_of(BEGUN, *several) if "failed" in line] == told
    assert lines_of(BEGUN, *several, quiet=True) == [*told, "  1 more step failed: RateLimited: too many"]


def test_errors_are_alike_where_only_numbers_and_the_own_label_differ() -> None:
    waits = [
        failed(number, f"gpt is down for {number} s, the last of {number:,} tries; 1,{number} left")
        for number in range(20)
    ]
    assert len([line for line in lines_of(BEGUN, *waits) if "failed" in line]) == 1
    assert picture(BEGUN, *waits)[1].startswith("  ✗ 20 steps  RateLimited: gpt is down for 0 s, the last")
    for names in (("a1.py", "a2.py"), ("flow.py:3:", "flow.py:4:"), ("gpt-4", "gpt-5"), ("v1.0", "v2.0")):
        errors = [failed(number, f"{name} is wrong") for number, name in enumerate(names)]
        assert len([line for line in lines_of(BEGUN, *errors) if "failed" in line]) == 2, names


def test_errors_that_all_differ_are_told_one_by_one_in_bounded_memory() -> None:
    stream = io.BytesIO()
    view = PlainProgress(Output(stream), quiet=True)
    for number in range(1_000):
        view.handle(failed(number, f"error{number}"))
    view.close()
    assert len(stream.getvalue().splitlines()) == 1_000
    assert len(view._failed) <= 64


def test_retries_because_of_one_error_are_told_once_and_counted() -> None:
    retried = [
        StepRetried(at=1.0, number=number, step=f"s{number}", attempt=1, wait_s=2.0, error="429") for number in range(9)
    ]
    assert lines_of(*retried, ended()) == ["  #0 tried again in 2.0s: 429", "  8 more retries: 429"]


def test_models_fallbacks_and_shortened_contexts_are_told() -> None:
    assert lines_of(
        ModelSlowed(at=1.0, model="gpt", at_once=1),
        ModelDown(at=2.0, model="gpt", failures=5, wait_s=30.0, error="503"),
        StepFellBack(at=3.0, number=1, step="s1", failed="gpt", model="sure", error="503"),
        ContextShortened(at=4.0, number=1, step="s1", turn=3, outputs=2, characters=9_000),
        ModelUp(at=5.0, model="gpt"),
    ) == [
        "  gpt is rate limited: 1 call at a time",
        "warning: gpt is down, asked again in 30s (5 failures in a row): 503",
        "  #1 goes on with sure in place of gpt: 503",
        "  #1 turn 3: 2 old tool outputs shortened to fit the context, 9,000 characters left out",
        "  gpt answers again",
    ]


HOSTILE = "\x1b[2J\u202eevil\r\nwarning: forged \x1b]0;t\x07" + "long " * 2_000
HOSTILE_EVENTS: tuple[Event, ...] = (
    ModelSlowed(at=1.0, model=HOSTILE, at_once=1),
    ModelDown(at=2.0, model=HOSTILE, failures=5, wait_s=30.0, error=HOSTILE),
    StepFellBack(at=3.0, number=1, step="s1", failed=HOSTILE, model=HOSTILE, error=HOSTILE),
    StepRetried(at=4.0, number=1, step="s1", attempt=1, wait_s=2.0, error=HOSTILE),
    failed(2, HOSTILE, HOSTILE),
    failed(3, HOSTILE, HOSTILE),
)


def test_hostile_names_and_errors_are_cleaned_and_cut_in_lines_and_in_the_picture() -> None:
    lines = lines_of(BEGUN, *HOSTILE_EVENTS, quiet=True) + lines_of(BEGUN, *HOSTILE_EVENTS)
    shown = picture(BEGUN, started(1), *HOSTILE_EVENTS)
    for line in (*lines, *shown):
        assert line.isprintable(), line
        assert not line.startswith("warning: forged")
    assert max(map(len, lines)) < 800
    assert max(map(cell_width, shown)) <= 80


def test_made_up_answers_are_announced_once_with_the_first_of_them() -> None:
    begun = RunStarted(at=0.0, run="r1", workflow="review", lineage="l1", offline=True)
    tool = StepFinished(at=1.0, number=1, step="s1", label="glob", phase="Review", status="completed")
    first, second = (msgspec.structs.replace(finished(number), model="offline") for number in (2, 3))
    lines = lines_of(begun, tool, first, second)
    assert [line.split()[0] for line in lines] == ["run", "Review", "#1", "offline:", "#2", "#3"]


@pytest.mark.parametrize("status", ["failed", "cancelled", "timed_out"])
def test_a_step_that_had_no_answer_has_none_that_is_made_up(status: str) -> None:
    view = MadeUp()
    assert not view.begins(msgspec.structs.replace(finished(1, status=status), model="offline"))
    assert not view.begins(finished(2))
    assert view.begins(msgspec.structs.replace(finished(3, stored=True), model="offline"))
    assert view.found


def test_the_picture_shows_the_type_of_an_error_that_came_before_any_model() -> None:
    failure = msgspec.structs.replace(finished(1, status="failed", error="BudgetExceeded: none left"), model="")
    assert any("BudgetExceeded: none left" in line for line in picture(BEGUN, failure))


def test_a_scripts_text_cannot_steer_the_terminal_or_make_lines_of_its_own() -> None:
    (line,) = lines_of(Logged(at=1.0, message="\x1b[2Jgone\nwarning: forged", fields={"a": "\x1b]0;t\x07"}))
    assert line == "  gone warning: forged a="


# ---------------------------------------------------------------- the picture


def test_the_picture_is_a_tree_of_phases_and_steps_with_a_line_of_totals() -> None:
    shown = shown_of(
        BEGUN,
        finished(1, stored=True),
        started(2),
        finished(2),
        started(3, "Merge"),
        TurnFinished(
            at=2.0, number=3, step="s3", turn=1, input_tokens=900, output_tokens=100, cost_microusd=500, tools=("grep",)
        ),
    )
    assert shown == [
        "run r1  review                                            tokens     cost   time",
        "✓ Review  1 stored, 1 live                                  1.5k    $0.02    0ms",
        "  = #1 step:1  gpt                                          1.5k    $0.02  store",
        "  ✓ #2 step:2  gpt                                          1.5k    $0.02   2.0s",
        "▸ Merge  1 running                                                          4.0s",
        "  ▸ #3 step:3  gpt  turn 2 grep                             1.0k  $0.0005   4.0s",
        "2 steps: 1 stored, 1 live, 1 running                        2.5k    $0.02   5.0s",
    ]


def test_what_was_paid_leaves_out_what_came_from_the_store() -> None:
    progress = Progress()
    turn = TurnFinished(at=2.0, number=2, step="s2", turn=1, input_tokens=900, output_tokens=100, cost_microusd=500)
    for event in (BEGUN, finished(1, stored=True), started(2), turn, finished(2)):
        progress.apply(event)
    assert (progress.tokens, progress.microusd) == (1_500, 20_000)


def test_an_unknown_price_makes_the_sum_unknown_and_no_zero() -> None:
    turn = TurnFinished(at=2.0, number=1, step="s1", turn=1, input_tokens=900, cost_microusd=None)
    assert "$?" in picture(BEGUN, started(1), turn)[-1]


def test_a_step_that_is_tried_again_says_why_until_its_next_turn() -> None:
    retried = StepRetried(at=2.0, number=1, step="s1", attempt=1, wait_s=8.0, error="rate limited")
    turn = TurnFinished(at=3.0, number=1, step="s1", turn=1)
    assert "waits 3.0s: rate limited" in picture(BEGUN, started(1), retried, now=7.0)[1]
    assert "tried again: rate limited" in picture(BEGUN, started(1), retried, now=10.0)[1]
    assert "rate limited" not in picture(BEGUN, started(1), retried, turn)[1]


@pytest.mark.parametrize("height", [4, 10, 24])
@pytest.mark.parametrize("width", [40, 80, 160])
def test_a_run_of_thousands_of_steps_folds_into_the_terminal(width: int, height: int) -> None:
    events: list[Event] = [BEGUN]
    for number in range(3_000):
        phase = f"Phase {number // 1_000} " + "long " * 40
        events.append(started(number, phase))
        if number % 50:
            failed = number % 97 == 0
            status, error = ("failed", "no answer " * 30) if failed else ("completed", "")
            events.append(finished(number, phase, status=status, error=error))
    shown = picture(*events, width=width, height=height)
    assert len(shown) <= height
    whole = [line for line in shown if not any(word in line for word in ("more", "earlier", " steps  "))]
    assert all(cell_width(line) == min(width, 120) for line in whole)
    assert all(cell_width(line) <= width for line in shown)
    if width > 40:
        assert "60 running" in shown[-1]


def test_alike_failures_are_one_row_with_their_number() -> None:
    events: list[Event] = [
        started(100),
        *(failed(number, f"step:{number}: no key") for number in range(40)),
        finished(41),
    ]
    assert picture(BEGUN, *events)[1:] == [
        "  ✗ 40 steps  RateLimited: no key",
        "  ✓ #41  step:41   gpt                                      1.5k    $0.02   2.0s",
        "  ▸ #100 step:100  gpt                                                      4.0s",
        "41 steps: 1 live, 40 failed, 1 running                     61.5k    $0.82   5.0s",
    ]


def test_a_model_in_trouble_stands_at_the_bottom_until_it_is_well_again() -> None:
    slowed = ModelSlowed(at=10.0, model="gpt", at_once=3)
    down = ModelDown(at=10.0, model="gpt", failures=5, wait_s=30.0, error="gpt: 503")
    well = ModelUp(at=20.0, model="gpt")
    assert picture(BEGUN, started(1), slowed, now=12.0)[-2] == "! gpt is rate limited: 3 calls at a time"
    assert picture(BEGUN, started(1), slowed, down, now=12.0)[-2] == "! gpt is down, asked again in 28s: 503"
    assert picture(BEGUN, started(1), slowed, down, now=50.0)[-2] == "! gpt is down, asked again now: 503"
    assert picture(BEGUN, started(1), slowed, down, well, now=21.0)[-2] == "! gpt is rate limited: 3 calls at a time"
    for gone in (picture(BEGUN, started(1), down, well), picture(BEGUN, started(1), slowed, down, well, now=70.0)):
        assert not any(line.startswith("!") for line in gone)


def test_models_in_trouble_take_three_lines_at_most_and_leave_room_for_a_step() -> None:
    slowed: list[Event] = [ModelSlowed(at=1.0, model=f"model-{number}", at_once=1) for number in range(500)]
    shown = picture(BEGUN, started(1), *slowed)
    assert [line.startswith("!") for line in shown] == [False, False, True, True, True, False]
    assert shown[-2] == "! 14 more models are slowed or down"
    for height in (1, 4, 5):
        small = picture(BEGUN, started(1), *slowed, height=height)
        assert len(small) <= max(height, 4)
        assert any("step:1" in line for line in small)


def test_a_step_shows_the_model_that_goes_on_with_it() -> None:
    retried = StepRetried(at=2.0, number=1, step="s1", attempt=1, wait_s=8.0, error="rate limited")
    fell = StepFellBack(at=2.0, number=1, step="s1", failed="gpt", model="sure", error="503")
    row = picture(BEGUN, started(1), retried, fell)[1]
    assert "sure" in row
    assert "rate limited" not in row


def test_of_many_steps_failures_and_running_ones_are_shown_and_the_rest_is_counted() -> None:
    events = [finished(number) for number in range(100)]
    events[3] = finished(3, status="failed", error="boom")
    shown = picture(BEGUN, *events, started(100), height=6)
    assert [line.split()[:2] for line in shown[1:-1]] == [["98", "more"], ["✗", "#3"], ["✓", "#99"], ["▸", "#100"]]


def test_of_many_phases_the_oldest_fold_into_one_line() -> None:
    shown = picture(BEGUN, *(PhaseStarted(at=1.0, title=f"P{number}", scope=number) for number in range(50)), height=6)
    assert shown[0].strip() == "46 earlier phases"
    assert [line.split()[1] for line in shown[1:-1]] == ["P46", "P47", "P48", "P49"]


def test_the_state_of_a_long_run_stays_small() -> None:
    progress = Progress()
    for number in range(20_000):
        progress.apply(started(number))
        progress.apply(finished(number, status="failed" if number % 2 else "completed", error=f"x{number}"))
        progress.apply(ModelSlowed(at=1.0, model=f"model {number}", at_once=1))
    (phase,) = progress.phases.values()
    assert len(progress.models) < 20
    assert len(phase.recent) + len(phase.failures) + len(phase.running) + len(progress.running) < 30
    assert (progress.over.live, progress.over.failed) == (10_000, 10_000)


def test_marks_need_no_colour_to_be_told_apart() -> None:
    shown = picture(BEGUN, finished(1), finished(2, stored=True), finished(3, status="failed"), started(4))
    assert len({line.split()[0] for line in shown[1:5]}) == 4


def test_failures_are_red_and_stored_steps_have_their_own_colour() -> None:
    progress = Progress()
    for event in (BEGUN, finished(1, status="failed", error="boom"), finished(2, stored=True)):
        progress.apply(event)
    lines = frame(progress, width=80, height=20, now=5.0)[1:]
    assert any(span.style is Style.BAD and "boom" in span.text for span in lines[1])
    assert any(span.style is Style.STORED for span in lines[2])


# ---------------------------------------------------------------- the run as a whole


def test_phases_that_are_announced_stand_below_until_something_comes_of_them() -> None:
    begun = RunStarted(at=0.0, run="r1", workflow="review", lineage="l1", phases=("Review", "Merge", "\x1b[2JTell"))
    assert shown_of(begun)[1] == "· to come: Review, Merge, Tell"
    assert "· to come: Merge, Tell" in shown_of(begun, started(1))
    assert "· not reached: Merge, Tell" in shown_of(begun, started(1), finished(1), ended("failed"))
    assert not any("reached" in line for line in shown_of(begun, started(1), finished(1), ended()))


def test_the_budget_stands_above_the_totals() -> None:
    begun = RunStarted(at=0.0, run="r1", workflow="review", lineage="l1", limits=RunLimits(tokens=2_000, seconds=10))
    assert shown_of(begun, started(1), finished(1))[-2:] == [
        "budget  [#######---]  75%  1.5k of 2k tokens, 5.0s of 10s",
        "1 step: 1 live                                              1.5k    $0.02   5.0s",
    ]


def test_calls_that_wait_for_their_turn_are_counted() -> None:
    waiting = StepStarted(at=1.0, number=1, step="s1", label="a", phase="Review", kind="agent", waiting=1_984)
    assert shown_of(BEGUN, waiting)[-1].startswith("0 steps: 1 running, 1,984 waiting ")
    assert "waiting" not in shown_of(BEGUN, waiting, finished(1), ended())[-1]


def test_steps_that_were_cancelled_are_counted_apart() -> None:
    shown = shown_of(BEGUN, finished(1), finished(2, status="cancelled"))
    assert shown[1].startswith("✓ Review  1 live, 1 cancelled ")
    assert shown[3].startswith("  - #2 step:2")
    assert shown[-1].startswith("2 steps: 1 live, 1 cancelled ")
    nothing = shown_of(BEGUN, finished(1, status="cancelled"))
    assert nothing[1].startswith("- Review  1 cancelled ")


def test_a_phase_that_came_from_the_store_alone_is_marked_so() -> None:
    assert shown_of(BEGUN, finished(1, stored=True))[1].startswith("= Review  1 stored")
    assert shown_of(BEGUN, finished(1, stored=True), finished(2))[1].startswith("✓ Review")


@pytest.mark.parametrize("height", [1, 4, 6, 10])
def test_where_there_is_little_room_a_step_and_the_totals_come_first(height: int) -> None:
    limits = RunLimits(tokens=2_000, microusd=90_000_000, seconds=10, steps=500, paid_microusd=1)
    begun = RunStarted(at=0.0, run="r1", workflow="w", lineage="l1", phases=("Review", "Merge"), limits=limits)
    shown = shown_of(begun, started(1), height=height)
    assert len(shown) <= max(height, 4)
    assert any("#1" in line for line in shown)
    assert shown[-1].startswith("0 steps: 1 running")


def test_of_a_long_name_of_a_model_its_own_part_is_shown() -> None:
    assert short_model("anthropic/claude-sonnet-4-5", 18) == "claude-sonnet-4-5"
    assert short_model("a/claude-sonnet-4-5-20250929", 12) == "claude-sonn…"
    assert short_model("openai/gpt-5", 12) == "openai/gpt-5"


def test_no_blue_no_white_and_no_bright_colour_is_used() -> None:
    assert {style.value for style in Style} <= {"", "1", "2", "31", "32", "33", "35", "36"}
