"""Texts and specs compared: exact where they are short, bounded where they are not."""

from __future__ import annotations

import difflib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.past_runs import a_step
from vibe_workflows.engine.model import Step
from vibe_workflows.engine.observe import file_observation
from vibe_workflows.engine.spec_diff import input_changes, most_alike, names_of, spec_changes, spec_of
from vibe_workflows.engine.text_diff import MOST_CHARS, MOST_LINES, text_diff

_texts = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12).map("\n".join)


@given(before=_texts, after=_texts)
def test_a_diff_of_short_texts_turns_one_into_the_other(before: str, after: str) -> None:
    diff = text_diff(before, after)
    assert not diff.cut
    assert (diff.lines == ()) == (before == after)
    assert _patched(before, diff.lines) == after


def _patched(before: str, lines: tuple[str, ...]) -> str:
    """The text that a unified diff turns `before` into; every line that it removes or keeps must be there."""
    old, new, at = before.split("\n"), [], 0
    for line in lines:
        if line.startswith("@@"):
            first, _, count = line.split()[1][1:].partition(",")
            start = int(first) - (0 if count == "0" else 1)
            new += old[at:start]
            at = start
            continue
        if line[0] in " -":
            assert old[at] == line[1:]
            at += 1
        if line[0] in " +":
            new.append(line[1:])
    return "\n".join([*new, *old[at:]])


def test_a_diff_is_written_as_difflib_writes_it() -> None:
    before, after = [str(n) for n in range(40)], [str(n) for n in range(40)]
    after[20:22] = ["x", "y", "z"]
    wanted = list(difflib.unified_diff(before, after, lineterm=""))[2:]
    assert list(text_diff("\n".join(before), "\n".join(after)).lines) == wanted


@pytest.mark.parametrize("lines", [1_000, 100_000])
def test_long_texts_have_a_bounded_diff_that_says_that_it_goes_on(lines: int) -> None:
    before = "\n".join(f"old {n}" for n in range(lines))
    diff = text_diff(before, before.replace("old", "new"))
    assert diff.cut
    assert len(diff.lines) == MOST_LINES
    assert diff.lines[:2] == ("@@ -1,400 +1,400 @@", "-old 0")


def test_much_that_is_put_before_a_text_is_numbered_from_nothing() -> None:
    diff = text_diff("end", "\n".join([*(str(n) for n in range(500)), "end"]))
    assert diff.cut
    assert diff.lines[:2] == ("@@ -0,0 +1,400 @@", "+0")


def test_one_line_that_differs_far_behind_is_found_in_a_long_text() -> None:
    before = [f"line {n}" for n in range(100_000)]
    after = [*before[:70_000], "changed", *before[70_001:]]
    diff = text_diff("\n".join(before), "\n".join(after))
    assert not diff.cut
    assert diff.lines[0] == "@@ -69998,7 +69998,7 @@"
    assert [line for line in diff.lines if line[0] in "+-"] == ["-line 70000", "+changed"]


def test_a_long_line_is_cut_around_what_differs() -> None:
    before, after = "x" * 50_000 + "A" + "y" * 50_000, "x" * 50_000 + "B" + "y" * 50_000
    removed, added = text_diff(before, after).lines[1:]
    assert len(removed) <= MOST_CHARS + 3
    assert removed[1] == removed[-1] == "…"
    assert "xAy" in removed
    assert "xBy" in added


# ---------------------------------------------------------------- specs


def test_the_fields_that_differ_come_in_one_order_with_those_that_a_person_looks_for_first() -> None:
    before = {"kind": "agent", "prompt": "a", "model": "m", "salt": "1", "context": "d1", "effort": "low"}
    after = {"kind": "agent", "prompt": "b", "model": "n", "system": "s", "context": "d2", "max_turns": 3}
    assert names_of(spec_changes(before, after)) == [
        "prompt",
        "system",
        "context",
        "model",
        "effort",
        "max_turns",
        "salt",
    ]
    assert spec_changes(before, before) == []


@pytest.mark.parametrize("strange", ["", "[]", "no json", "[" * 100_000])
def test_a_spec_that_is_none_has_no_fields(strange: str) -> None:
    assert spec_of(strange) == {}


def test_files_are_told_by_what_became_of_them() -> None:
    (change,) = spec_changes({"files": ["kept", "dropped"]}, {"files": ["kept", "put in"]})
    assert change.note == "added: put in; gone: dropped"
    (change,) = spec_changes({"files": ["a", "b"]}, {"files": ["b", "a"]})
    assert change.note == "in another order"


def test_files_that_were_edited_are_told_where_both_steps_saw_them() -> None:
    def sent(**contents: str) -> Step:
        seen = tuple(file_observation(path, contents[path]) for path in contents)
        return replace(a_step("r", 1), spec=json.dumps({"files": list(contents)}), observations=seen)

    (change,) = input_changes(sent(a="1", b="1"), sent(c="1", a="2"))
    assert (change.name, change.note) == ("files", "added: c; gone: b; changed: a")
    (change,) = input_changes(sent(a="1", b="1"), sent(a="2", b="1"))
    assert (change.name, change.note) == ("files", "changed: a")
    assert input_changes(sent(a="1"), sent(a="1")) == []
    never_began = replace(sent(a="1"), observations=())
    assert input_changes(never_began, sent(a="2")) == []


def test_tools_are_told_by_what_became_of_them() -> None:
    (change,) = spec_changes(
        {"tools": [["kept", 1], ["newer", 1], ["dropped", 1]]},
        {"tools": [["kept", 1], ["newer", 2], ["put in", 1]]},
    )
    assert change.note == "added: put in; gone: dropped; changed: newer"


def test_the_most_similar_prompt_is_found_and_the_same_spec_is_not() -> None:
    def spec(prompt: str, model: str = "m") -> str:
        return json.dumps({"kind": "agent", "prompt": prompt, "model": model})

    wanted = spec_of(spec("Review the file a.py for mistakes of logic"))
    candidates = [
        ("same", spec("Review the file a.py for mistakes of logic")),
        ("far", spec("Sing a song")),
        ("other model", spec("Review the file b.py for mistakes of logic", "n")),
        ("near", spec("Review the file b.py for mistakes of logic")),
    ]
    found = most_alike(wanted, candidates)
    assert found is not None
    assert found[0] == "near"
    assert most_alike(wanted, candidates[:2]) is None
