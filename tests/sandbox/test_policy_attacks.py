"""Wall 1 by itself against the scripts of the attack corpus, in a throw-away process without any other wall.

What exhausts memory or time is for the process around it, and runs in tests/attacks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "attacks" / "scripts"

#: They end by the limits of the process, or of the wire.
EXHAUSTING = {
    *("script_big_result", "script_c_loop_max", "script_call_flood_noawait", "script_deep_map", "script_dict_bomb"),
    *("script_datetime_state", "script_finally_loops", "script_stall"),
    *("script_fmt_bomb", "script_log_flood", "script_loop", "script_mem_grow", "script_pow_c", "script_regex"),
    *("script_result_deep", "script_swallow_cancel", "script_tee_crash"),
}

_RUNNER = """
import json, os, resource, sys
from vibe_workflows.sandbox import guards, namespace
from vibe_workflows.sandbox.policy import ScriptRefused, compile_script

class Step:
    def __init__(self, prompt): self.prompt = prompt
    def __await__(self):
        return f"<{self.prompt}>"
        yield

def attack(source):
    logged = []
    def log(*values): logged.append(" ".join(map(str, values)))
    try:
        code = compile_script(source, "flow.py").code
    except ScriptRefused as refused:
        return "refused", str(refused), logged
    namespace.lock_codecs()
    scope = guards.make_globals({"agent": Step, "log": log, "print": log, "args": {}}, filename="flow.py")
    try:
        exec(code, scope)
        scope["main"]({}).send(None)
    except StopIteration as stop:
        return "returned", repr(stop.value)[:200], logged
    except Exception as error:
        return "raised", f"{type(error).__name__}: {error}"[:300], logged
    return "waits", "", logged

for name, source in json.load(sys.stdin).items():
    sys.stdout.flush()
    if os.fork() == 0:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
        sys.stdout.write(json.dumps([name, *attack(source)]) + "\\n")
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""

ATTACKS = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted(SCRIPTS.glob("script_*.py"))
    if path.stem not in EXHAUSTING
}


@pytest.fixture(scope="module")
def ends() -> dict[str, tuple[str, str, list[str]]]:
    process = subprocess.run(
        [sys.executable, "-c", _RUNNER],
        input=json.dumps(ATTACKS),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=os.environ | {"SECRET": "canary-value"},
    )
    reports = [json.loads(line) for line in process.stdout.splitlines()]
    return {name: (end, detail, logged) for name, end, detail, logged in reports}


def test_the_corpus_is_there() -> None:
    assert len(ATTACKS) > 30


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_an_attack_is_refused_or_comes_to_nothing(name: str, ends: dict[str, tuple[str, str, list[str]]]) -> None:
    end, detail, logged = ends[name]
    expected = ATTACKS[name].splitlines()[1]
    if "refused" in expected:
        assert end == "refused", detail
    else:
        assert end in ("refused", "raised", "returned"), detail
    assert not any("PWNED" in line or "INTROSPECT" in line for line in logged)
    assert "root:" not in detail
    assert "canary-value" not in detail + "".join(logged)
