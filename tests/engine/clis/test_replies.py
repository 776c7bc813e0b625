"""What is read of the output of programs, and which error a failure is. Their output is a stranger's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vibe_workflows.engine.bench.programs import ProgramEnd
from vibe_workflows.engine.clis.readings import documents_of, number_at, parse_reading, text_at
from vibe_workflows.engine.clis.replies import Came, came_of
from vibe_workflows.engine.clis.shipped import SHIPPED
from vibe_workflows.engine.errors import AgentError
from vibe_workflows.engine.model import Usage
from vibe_workflows.engine.ports import Job

JOB = Job(argv=("x",), timeout_s=60)


def ended(stdout: str | bytes = b"", *, code: int | None = 0, stderr: str = "", **more: Any) -> ProgramEnd:
    held = stdout if isinstance(stdout, bytes) else stdout.encode()
    given: dict[str, Any] = {"stdout_dropped": 0, "stderr_dropped": 0, "timed_out": False, **more}
    return ProgramEnd(exit_code=code, stdout=held, stderr=stderr.encode(), **given)


def came(agent: str, end: ProgramEnd) -> Came:
    return came_of(SHIPPED[agent], agent, JOB, end)


def kind(agent: str, end: ProgramEnd) -> str:
    error = came(agent, end).error
    assert error is not None
    return type(error).__name__


def result(**held: object) -> str:
    return json.dumps({"type": "result", **held})


@pytest.mark.parametrize(
    ("said", "error", "again", "after"),
    [
        ("You've hit your usage limit. Try again in 3 minutes", "RateLimited", True, 180),
        ("429 Too Many Requests, retry after 2.5 s", "RateLimited", True, 2.5),
        ("RESOURCE_EXHAUSTED: reset after 1m30s", "RateLimited", True, 90),
        ("rate_limit_error: retry in 250ms", "RateLimited", True, 0.25),
        ("Claude AI usage limit reached|1700000000", "RateLimited", True, None),
        ("API Error: 529 overloaded_error", "ProviderError", True, None),
        ("fetch failed", "ProviderError", True, None),
        ("Invalid API key · Please run /login", "SetupError", False, None),
        ("401 Unauthorized: rate limit unknown", "SetupError", False, None),
        ("Prompt is too long", "ContextTooLong", False, None),
        ("Reached max turns (5)", "TurnLimit", False, None),
        ("model refusal", "Refused", False, None),
        ("something else", "ProviderError", False, None),
        ("took 14290 ms and 5021 tokens; see the log in /tmp", "ProviderError", False, None),
    ],
)
def test_the_words_of_a_failure_say_which_error_it_is(said: str, error: str, again: bool, after: float | None) -> None:
    for agent, end in [
        ("claude-code", ended(result(is_error=True, result=said), code=1)),
        ("codex", ended(json.dumps({"type": "turn.failed", "error": {"message": said}}), code=1)),
        ("gemini-cli", ended(code=1, stderr="warning\n" + json.dumps({"error": {"message": said}}))),
        ("opencode", ended(json.dumps({"type": "error", "error": {"name": "E", "data": {"message": said}}}), code=1)),
        ("paseo", ended(code=1, stderr=said)),
    ]:
        found = came(agent, end).error
        assert type(found).__name__ == error, (agent, found)
        assert said[:20] in str(found)
        if isinstance(found, AgentError):
            assert (found.retryable, found.retry_after_s) == (again, after)


def test_exit_codes_and_the_ways_to_end_without_one() -> None:
    assert kind("gemini-cli", ended(code=41)) == "SetupError"
    assert kind("gemini-cli", ended(code=53)) == "TurnLimit"
    assert kind("codex", ended(code=None)) == "ProviderError"
    assert kind("codex", ended(code=None, timed_out=True)) == "Timeout"
    assert kind("claude-code", ended(result(subtype="error_max_turns", is_error=True))) == "TurnLimit"


def test_an_answer_that_speaks_of_errors_is_an_answer() -> None:
    assert came("claude-code", ended(result(is_error=False, result="Error 429: rate limit"))).answer.startswith("Error")
    events = [
        {"type": "error", "message": "Reconnecting... 1/5"},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "done"}},
        {"type": "turn.completed", "usage": {"input_tokens": 3, "output_tokens": 1}},
    ]
    found = came("codex", ended("\n".join(map(json.dumps, events))))
    assert (found.answer, found.error, found.usage) == (
        "done",
        None,
        Usage(input_tokens=3, output_tokens=1, cost_microusd=None),
    )


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"Welcome!",
        b"null",
        b"[]",
        b"[1, 2]",
        b'"text"',
        b"{",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"result": ' * 5_000,
        b'{"type": "result"}',
        b'{"result": null}',
        b'{"result": "\\ud800"}',
        result(result="x" * 5_000_000).encode(),
    ],
)
def test_garbage_is_no_answer(output: bytes) -> None:
    assert kind("claude-code", ended(output)) == "ProviderError"


def test_more_than_is_read_is_no_answer_whatever_stands_in_it() -> None:
    answer = json.dumps({"type": "item.completed", "item": {"type": "agent_message", "text": "x"}})
    assert kind("codex", ended(answer, stdout_dropped=1)) == "ProviderError"
    assert kind("codex", ended(answer + "\n{}" * 200_001)) == "ProviderError"


@pytest.mark.parametrize("count", [-1, 1e300, True, "9", None, [], {"a": 1}])
def test_what_is_no_count_counts_nothing(count: object) -> None:
    usage = {"input_tokens": count, "output_tokens": 5, "cache_read_input_tokens": 7}
    found = came("claude-code", ended(result(result="x", usage=usage, total_cost_usd=count)))
    assert found.usage == Usage(input_tokens=7, output_tokens=5, cached_tokens=7, cost_microusd=None)


def test_a_document_is_found_between_other_lines_and_last_in_a_list() -> None:
    assert came("claude-code", ended(f"Warning: old\n{result(result='x')}\nbye\n")).answer == "x"
    both = f'[{{"type": "system", "result": "no"}}, {result(result="x")}]'
    assert came("claude-code", ended(both)).answer == "x"


def test_readings() -> None:
    documents = documents_of(
        b'{"type": "a", "n": 1, "l": [{"k": 2}, {"k": 3}]}\nnoise\n{"type": "a", "n": 5}', lines=True
    )
    assert text_at(documents, "n") == "5"
    assert text_at(documents, "a > l.*.k") == "2"
    assert text_at(documents, "b > n") is None
    assert number_at(documents, ["sum a > n", "a > l.*.k"]) == 11
    assert number_at(documents, ["a(n=5) > n"]) is None  # of texts only


@pytest.mark.parametrize("text", ["", "a b", "a..b", ".a", "a >b", "> b", "sum b.", "a(b > c", "x" * 301, 7, None])
def test_what_is_no_reading_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="says no place in JSON"):
        parse_reading(text)
