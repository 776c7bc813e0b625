"""Keys are a contract: golden values pin them, and each input must count."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from vibe_workflows.engine.keys import canonical_json, canonical_spec, chain, content_digest, step_key
from vibe_workflows.engine.model import StepId, StepKind, StepSpec, ToolVersion

SPEC = StepSpec(
    kind=StepKind.AGENT,
    prompt="Review é",
    prompts_version=1,
    system="Be brief.",
    context="shared",
    model="openai/gpt-test",
    effort="low",
    temperature=0.5,
    max_tokens=100,
    max_turns=3,
    schema={"type": "object", "properties": {"b": {}, "a": {}}},
    tools=(ToolVersion(name="grep", version=1),),
    files=("a.py",),
    grants=("read",),
    salt="v2",
)
CHANGED = {
    "kind": StepKind.TOOL,
    "prompt": "Review e",
    "prompts_version": 3,
    "system": "Be long.",
    "context": "shared ",
    "profile": "reviewer",
    "model": "openai/gpt-test2",
    "fallbacks": ("other/model",),
    "effort": "high",
    "temperature": 0.6,
    "max_tokens": 101,
    "max_turns": 4,
    "schema": {"type": "object", "properties": {"a": {}}},
    "tools": (ToolVersion(name="grep", version=2),),
    "agents": ("0123",),
    "files": ("b.py",),
    "grants": ("read", "web"),
    "salt": "v3",
    "tool": "grep",
    "arguments": {"pattern": "x"},
    "isolation": "worktree",
    "merge": "manual",
    "gate": ("pytest", "-q"),
    "gate_retries": 3,
    "merged": StepId("s-1"),
}
#: What some of them count beside.
BASES = {
    "arguments": replace(SPEC, tool="list_files", arguments={"path": "."}),
    "gate_retries": replace(SPEC, gate=("pytest",), gate_retries=2),
}

GOLDEN_KEY = "s1:3b2762af1f04298cf99ad55c6436411e"
GOLDEN_SHORT_KEY = "s1:b66767dd202e986b04ee689251fec45e"


def test_the_canonical_spec_and_its_key_are_pinned() -> None:
    canonical = canonical_spec(SPEC)
    assert canonical == (
        '{"context":"' + content_digest(b"shared") + '","effort":"low","files":["a.py"],"grants":["read"],'
        '"kind":"agent","max_tokens":100,"max_turns":3,"model":"openai/gpt-test","prompt":"Review é",'
        '"prompts_version":1,"salt":"v2",'
        '"schema":{"properties":{"a":{},"b":{}},"type":"object"},"system":"Be brief.","temperature":0.5,'
        '"tools":[["grep",1]]}'
    )
    assert step_key(canonical) == GOLDEN_KEY
    assert step_key('{"kind":"agent","prompt":"x"}') == GOLDEN_SHORT_KEY


@pytest.mark.parametrize("name", [field.name for field in fields(StepSpec)])
def test_every_field_of_a_spec_changes_the_key(name: str) -> None:
    base = BASES.get(name, SPEC)
    changed = replace(base, **{name: CHANGED[name]})
    assert step_key(canonical_spec(changed)) != step_key(canonical_spec(base))


def test_a_key_is_the_same_in_another_process_whatever_its_hash_seed() -> None:
    code = "from tests.engine.test_keys import *; print(step_key(canonical_spec(SPEC)), end='')"
    for seed in ("0", "1", "4242"):
        environ = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        assert run.stdout == step_key(canonical_spec(SPEC))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, min_size=2, max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(backwards)


@given(json_values, json_values)
def test_different_values_have_different_canonical_forms(one: object, other: object) -> None:
    # 1, 1.0 and True are equal to Python and different to JSON; comparing the text is what reuse does.
    if canonical_json(one) == canonical_json(other):
        assert one == other


def test_a_trail_depends_on_the_order_of_its_parts_and_on_their_bounds() -> None:
    assert chain("", "a", "b") != chain("", "b", "a")
    assert chain("", "ab") != chain("", "a", "b")
