"""The main job, end to end: real processes, real litellm, a real server on loopback, a real database."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import Any

from tests.e2e.conftest import ROOT, Machine, read_events
from tests.support.behaviours import Answer, Behaviour, Call, Fail, Hang
from tests.support.exchanges import SeenRequest
from tests.support.model_server import ModelServer

FORTY = """\
async def main(args):
    return await parallel(agent(f"Item {number}: what is it?") for number in range(40))
"""


def prompt_of(request: SeenRequest) -> str:
    """The text of the first user message."""
    content = next(each["content"] for each in request.body["messages"] if each["role"] == "user")
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def findings_for(request: SeenRequest) -> Behaviour | None:
    """One finding a file from reviewers, agreement from sceptics; whatever fits the schema otherwise."""
    if "Review the file" not in prompt_of(request):
        return Answer(text=json.dumps({"reason": "it does", "holds": True}))
    name = prompt_of(request).split("Review the file ")[1].split(".py")[0]
    finding = {"line": 1, "severity": "high", "title": f"{name} is wrong", "evidence": "x", "fix": "y"}
    return Answer(text=json.dumps({"value": [finding]}))


def test_a_rerun_of_review_files_is_free_and_an_edited_prompt_runs_just_its_own_steps(
    online: Machine, model_server: ModelServer
) -> None:
    model_server.handler = findings_for
    script = online.project / "review_files.py"
    shutil.copy(ROOT / "examples/workflows/review_files.py", script)
    for name in ("a", "b", "c"):
        online.write(f"src/{name}.py", f"{name} = 1\n")
    first = online.vibe("run", "review_files.py", "--pattern", "src/*.py", "--votes", "1", "--json")
    assert first.code == 0, first.err
    assert len(first.document["result"]["confirmed"]) == 3
    calls = len(model_server.requests)
    assert calls >= 6  # three reviews and three sceptics, each in the schema

    second = online.vibe("run", "review_files.py", "--pattern", "src/*.py", "--votes", "1", "--json")
    assert second.code == 0, second.err
    assert len(model_server.requests) == calls
    assert second.document["result"] == first.document["result"]
    assert second.document["paid"]["tokens"] == 0

    edited = script.read_text().replace("Try to refute it.", "Try hard to refute it.")
    script.write_text(edited)
    third = online.vibe("run", "review_files.py", "--pattern", "src/*.py", "--votes", "1", "--json")
    assert third.code == 0, third.err
    new = [prompt_of(request) for request in model_server.requests[calls:]]
    assert new
    assert all("Try hard to refute it." in prompt for prompt in new)
    assert len({prompt.split(",")[0] for prompt in new}) == 3


def test_after_kill_9_in_a_fan_out_no_finished_step_is_called_again(online: Machine, model_server: ModelServer) -> None:
    answered = 0

    def fifteen_then_silence(_request: SeenRequest) -> Behaviour | None:
        nonlocal answered
        answered += 1
        return None if answered <= 15 else Hang()

    model_server.handler = fifteen_then_silence
    online.write("forty.py", FORTY)
    process = online.start("run", "forty.py", "--events")
    finished = [each for each in read_events(process.stdout, "step_finished", 15) if each["event"] == "step_finished"]
    model_server.wait_requests(31)  # the sixteen slots are taken again
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = [prompt_of(request) for request in model_server.requests]

    model_server.handler = None
    again = online.vibe("run", "forty.py", "--json")
    assert again.code == 0, again.err
    after = [prompt_of(request) for request in model_server.requests[len(before) :]]
    done = {each["label"].split(":")[0] for each in finished}
    assert len(done) == 15
    assert not {prompt.split(":")[0] for prompt in after} & done
    assert len(after) == 25
    assert len(again.document["result"]) == 40
    assert None not in again.document["result"]
    assert "going on with run" in again.err
    _require_integrity(online.project / ".vibe/vibe.db")


def test_after_kill_9_in_the_middle_of_a_conversation_no_finished_turn_is_asked_for_again(
    online: Machine, model_server: ModelServer
) -> None:
    def read_on(request: SeenRequest) -> Behaviour | None:
        turn = sum(each["role"] == "assistant" for each in request.body["messages"])
        if turn == 6:
            return Answer(text="read it all")
        call = Call(name="read_file", arguments=json.dumps({"path": f"data/{turn}.txt"}), id=f"c{turn}")
        return Answer(calls=(call,), finish="tool_calls")

    for number in range(6):
        online.write(f"data/{number}.txt", f"value {number}\n")
    online.write("long.py", 'async def main(args):\n    return await agent("Read on", tools=["read"])\n')
    model_server.handler = lambda request: read_on(request) if len(model_server.requests) < 4 else Hang()
    process = online.fork("run", "long.py")
    model_server.wait_requests(4)
    os.kill(process.pid, signal.SIGKILL)
    process.end()

    model_server.handler = read_on
    again = online.vibe("run", "long.py", "--json")
    assert again.code == 0, again.err
    assert again.document["result"] == "read it all"
    asked = [json.dumps(request.body["messages"]) for request in model_server.requests]
    assert len(asked) == 4 + 4
    assert asked[4] == asked[3], "the turn that was under way is asked for again, in the same words"
    assert len(set(asked)) == 7
    step = json.loads(online.vibe("trace", "--json", "--step", "1").out)
    assert [turn["number"] for turn in step["turns"]] == list(range(1, 8))
    assert "goes on with" in step["reason"]
    _require_integrity(online.project / ".vibe/vibe.db")


def test_after_failures_in_two_stages_the_rerun_makes_those_calls_and_what_they_kept_from_happening(
    online: Machine, model_server: ModelServer
) -> None:
    failing = {"Stage one of item 3.", "Stage two of item 40: "}

    def two_fail(request: SeenRequest) -> Behaviour | None:
        prompt = prompt_of(request)
        if any(prompt.startswith(each) for each in failing):
            return Fail(status=500, message="it broke")
        return Answer(text=f"seen {prompt[-20:]}")

    model_server.handler = two_fail
    online.write(
        "pipe.py",
        "async def main(args):\n"
        "    def one(item):\n"
        '        return agent(f"Stage one of item {item}.", retries=0)\n'
        "    def two(text, item):\n"
        '        return agent(f"Stage two of item {item}: ", retries=0)\n'
        "    return await pipeline(range(51), one, two)\n",
    )
    first = online.vibe("run", "pipe.py", "--json", "--concurrency", "50")
    assert first.code == 0, first.err
    assert [place for place, value in enumerate(first.document["result"]) if value is None] == [3, 40]
    calls = len(model_server.requests)
    assert calls == 101  # the item that failed in stage one has no stage two

    model_server.handler = lambda request: Answer(text=f"seen {prompt_of(request)[-20:]}")
    second = online.vibe("run", "pipe.py", "--json", "--concurrency", "50")
    assert second.code == 0, second.err
    new = sorted(prompt_of(request) for request in model_server.requests[calls:])
    # The failed one of stage one is followed by its own stage two, which was never made.
    assert new == ["Stage one of item 3.", "Stage two of item 3: ", "Stage two of item 40: "]
    assert None not in second.document["result"]


def test_ctrl_c_leaves_a_run_that_resume_goes_on_with(online: Machine, model_server: ModelServer) -> None:
    model_server.behave(Answer(text="one"))
    model_server.handler = lambda _request: Hang(text="wor")
    online.write(
        "two.py",
        "async def main(args):\n"
        '    one = await agent("First?")\n'
        '    return one + await agent("Second, after " + one)\n',
    )
    process = online.start("run", "two.py")
    model_server.wait_requests(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "vibe resume" in err
    model_server.wait_closed()  # the request that was under way
    runs = json.loads(online.vibe("runs", "--json").out)
    assert [run["status"] for run in runs] == ["interrupted"]

    model_server.handler = lambda _request: Answer(text=" two")
    resumed = online.vibe("resume", runs[0]["run"][:6])
    assert resumed.code == 0, resumed.err
    assert resumed.out.strip() == "one two"
    assert len(model_server.requests) == 3
    again = online.vibe("resume", runs[0]["run"])
    assert again.code == 2
    assert "has completed" in again.err


def test_ctrl_c_in_a_fan_out_starts_nothing_more_and_counts_only_what_was_sent(
    online: Machine, model_server: ModelServer
) -> None:
    model_server.handler = lambda _request: Hang()
    online.write("forty.py", FORTY)
    process = online.fork("run", "forty.py", "--json")
    model_server.wait_requests(16)
    os.kill(process.pid, signal.SIGINT)
    ran = process.end()
    assert ran.code == 130, ran.err
    assert "RuntimeWarning" not in ran.err
    model_server.wait_closed(16)
    assert len(model_server.requests) == 16
    trace = json.loads(online.vibe("trace", "--json").out)
    assert [step["status"] for step in trace["steps"]] == ["cancelled"] * 16
    assert ran.document["paid"]["estimated"] is True


def test_two_processes_use_one_store_at_the_same_time(online: Machine, model_server: ModelServer) -> None:
    online.write("forty.py", FORTY)
    model_server.hold()
    processes = [online.fork("run", "forty.py", "--new", "--json") for _ in range(2)]
    model_server.wait_requests(32)
    model_server.release()
    for process in processes:
        ran = process.end()
        assert ran.code == 0, ran.err
        assert len(ran.document["result"]) == 40
    _require_integrity(online.project / ".vibe/vibe.db")


def _require_integrity(path: Path) -> None:
    connection = sqlite3.connect(path)
    result: list[Any] = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    assert result == [("ok",)]
