"""vibe diff: which steps of two runs belong together, and what differs, on stores that real runs wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.past_runs import a_run, a_step, delivered
from tests.support.whole_runs import RunProject, body, new_project
from vibe_workflows.cli.main import main
from vibe_workflows.cli.render.run_diff import run_diff_text
from vibe_workflows.engine.errors import Refused
from vibe_workflows.engine.model import ModelRequest
from vibe_workflows.engine.past import RunStep
from vibe_workflows.engine.run_diff import pair_steps, run_diff

ITEMS = "return await parallel(agent(f'Look at {{n}}', label='look') for n in {})"


class Compared:
    """A project, and `vibe diff` in it."""

    def __init__(self, project: RunProject, capfd: pytest.CaptureFixture[str]) -> None:
        self.project = project
        self._capfd = capfd

    def vibe(self, *args: str) -> tuple[int, str, str]:
        self._capfd.readouterr()
        code = main(args)
        out, err = self._capfd.readouterr()
        return code, out, err

    def json(self, *runs: str) -> dict[str, Any]:
        code, out, err = self.vibe("diff", *runs, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    def lines(self, *runs: str) -> list[str]:
        code, out, err = self.vibe("diff", *runs)
        assert code == 0, err
        return [" ".join(line.split()) for line in out.splitlines()]

    def counts(self, *runs: str) -> tuple[int, int, int, int]:
        """Changed, new, gone, unchanged."""
        counts = self.json(*runs)["counts"]
        return counts["changed"], counts["new"], counts["gone"], counts["unchanged"]


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Compared:
    return Compared(new_project(tmp_path, monkeypatch), capfd)


def answers(request: ModelRequest) -> str:
    return f"answer to {request.messages[-1].text}"


def test_steps_are_new_gone_changed_or_unchanged_with_what_each_cost(compared: Compared) -> None:
    steps = "return [await agent('{}', label='a'), await agent('{}', label='b'), await agent('C', label='{}')]"
    first = compared.project.run(body(steps.format("A", "B", "c")), answers).run
    source = steps.format("A", "B, please", "c").replace("agent('C', label='c')", "agent('D', label='d')")
    second = compared.project.run(body(source), answers).run
    found = compared.json()
    assert (found["before"]["run"], found["after"]["run"]) == (first.id, second.id)
    assert found["counts"] == {"changed": 1, "new": 1, "gone": 1, "unchanged": 1}
    assert [each["label"] for each in found["new"] + found["gone"]] == ["d", "c"]
    (changed,), (same,) = found["changed"], found["unchanged"]
    assert (changed["after"]["label"], changed["fields"], changed["answer_differs"]) == ("b", ["prompt"], True)
    assert (same["before"]["stored"], same["after"]["stored"]) == (False, True)
    assert (same["fields"], same["answer_differs"]) == ([], False)
    assert same["after"]["usage"]["tokens"] > 0
    assert found["after"]["paid"]["tokens"] < found["before"]["paid"]["tokens"]
    lines = compared.lines()
    assert "the script was edited" in lines
    rows = lines[: lines.index("result")]
    assert [line[0] for line in rows if line[:2] in ("~ ", "+ ", "- ", "= ")] == ["~", "+", "-", "="]
    (row,) = [line for line in lines if line.startswith("= ")]
    assert row.startswith("= 1 1 a live -> stored ")
    (row,) = [line for line in lines if line.startswith("~ ")]
    assert row.endswith("prompt, answer")
    assert lines[-2].startswith("3 steps: 1 changed, 1 new, 1 gone, 1 unchanged; 2 live now, 3 before; $")
    assert lines[-1] == f"`vibe why {second.id}:2` says why a step ran"


def test_the_result_is_compared_line_by_line(compared: Compared) -> None:
    compared.project.run(body("return {'one': 1, 'two': 2}"))
    compared.project.run(body("return {'one': 1, 'two': 3}"))
    found = compared.json()
    assert found["same_result"] is False
    assert [line for line in found["result"]["lines"] if line[0] in "+-"] == ['-  "two": 2', '+  "two": 3']
    assert '+ "two": 3' in compared.lines()
    compared.project.run(body("return {'two': 3, 'one': 1}"))
    assert compared.json()["same_result"] is True
    assert "the result is the same" in compared.lines()


def test_a_run_without_a_result_is_told_apart_from_one_that_returned_nothing(compared: Compared) -> None:
    compared.project.run(body("return None"))
    compared.project.run(body("raise ValueError('no')"))
    assert "only the run before has a result" in compared.lines()
    compared.project.run(body("raise ValueError('again')"))
    assert "neither has a result" in compared.lines()


def test_a_text_is_another_result_than_the_number_that_it_looks_like(compared: Compared) -> None:
    compared.project.run(body("return '1'"))
    compared.project.run(body("return 1"))
    lines = compared.json()["result"]["lines"]
    assert [line for line in lines if line[0] in "+-"] == ['-"1"', "+1"]


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ("(1, 2, 3)", "(1, 2, 3)", (0, 0, 0, 3)),
        ("(1, 2, 3)", "(3, 1, 2)", (0, 0, 0, 3)),  # in another order
        ("(1, 2, 3)", "(1, 9, 2, 3)", (0, 1, 0, 3)),  # one put in
        ("(1, 2, 3)", "(1, 3)", (0, 0, 1, 2)),  # one taken out
        ("(1, 2, 3)", "(1, 9, 3)", (1, 0, 0, 2)),  # one is another
        ("(1, 2, 3)", "(4, 5, 6, 7)", (3, 1, 0, 0)),
        ("(1, 1, 1)", "(1, 1, 1, 1, 2)", (0, 2, 0, 3)),
    ],
)
def test_items_of_a_fan_out_with_one_label_are_told_apart(
    compared: Compared, before: str, after: str, counts: tuple[int, int, int, int]
) -> None:
    compared.project.run(body(ITEMS.format(before)))
    compared.project.run(body(ITEMS.format(after)))
    assert compared.counts() == counts


def test_a_step_without_a_label_is_the_same_step_when_its_prompt_is_edited(compared: Compared) -> None:
    compared.project.run(body("await agent('One')", "return await agent('Two')"))
    compared.project.run(body("await agent('Eins')", "return await agent('Two')"))
    found = compared.json()
    assert found["counts"] == {"changed": 1, "new": 0, "gone": 0, "unchanged": 1}
    assert (found["changed"][0]["before"]["label"], found["changed"][0]["after"]["label"]) == ("One", "Eins")


def test_steps_with_labels_of_their_own_are_never_taken_for_each_other(compared: Compared) -> None:
    compared.project.run(body("return await agent('One', label='one')"))
    compared.project.run(body("return await agent('Two', label='two')"))
    assert compared.counts() == (0, 1, 1, 0)


def test_a_step_that_failed_and_now_has_an_answer_is_changed(compared: Compared) -> None:
    source = body("return await parallel([agent('One', label='one')])")
    compared.project.run(source, lambda _request: Refused("no"))
    compared.project.run(source, answers)
    (changed,) = compared.json()["changed"]
    assert (changed["fields"], changed["answer_differs"]) == ([], True)
    (row,) = [line for line in compared.lines() if line.startswith("~ ")]
    assert row.startswith("~ 1 1 one failed -> live")
    assert row.endswith("failed, now completed")


def test_a_step_that_ran_again_and_gave_the_same_answer_is_unchanged(compared: Compared) -> None:
    source = body("return await agent('One', label='one')")
    compared.project.run(source, answers)
    compared.project.run(source, answers, fresh=True)
    (same,) = compared.json()["unchanged"]
    assert (same["before"]["stored"], same["after"]["stored"]) == (False, False)


def test_two_named_runs_are_compared_in_the_order_given_and_one_with_the_one_before(compared: Compared) -> None:
    runs = [compared.project.run(body(ITEMS.format(items))).run.id for items in ("(1,)", "(1, 2)", "(1, 2, 3)")]
    assert compared.counts(runs[0], runs[2]) == (0, 2, 0, 1)
    assert compared.counts(runs[2], runs[0]) == (0, 0, 2, 1)
    found = compared.json(runs[1])
    assert (found["before"]["run"], found["after"]["run"]) == (runs[0], runs[1])
    assert compared.json()["before"]["run"] == runs[1]


def test_other_arguments_are_told(compared: Compared) -> None:
    source = body("return await agent(f'Ask about {args.topic}', label='ask')")
    compared.project.run(source, arguments={"topic": "tea"})
    compared.project.run(source, arguments={"topic": "coffee"})
    assert compared.json()["same_args"] is False
    assert 'the arguments were {"topic":"tea"} and are {"topic":"coffee"}' in compared.lines()


def test_the_first_run_of_a_file_has_nothing_to_be_compared_with(compared: Compared) -> None:
    compared.project.run(body("return 1"))
    code, out, err = compared.vibe("diff")
    assert (code, out) == (2, "")
    assert "is the first one of" in err
    assert "name two runs" in err


# ---------------------------------------------------------------- pairing

_some_steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["", "P"]), st.sampled_from("xyz")), max_size=8
)


def made(run: str, steps: list[tuple[str, str, str]]) -> list[RunStep]:
    found = []
    for number, (label, phase, prompt) in enumerate(steps, start=1):
        step = replace(a_step(run, number), spec=json.dumps({"kind": "agent", "prompt": prompt}))
        answer = replace(delivered(run, number, step), place="")
        found.append(RunStep(number=number, label=label, phase=phase, step=step, delivery=answer))
    return found


def pairs_of(before: list[RunStep], after: list[RunStep]) -> list[tuple[int, int]]:
    return [(one.number, two.number) for one, two in pair_steps(before, after)[0]]


def test_the_same_stored_step_is_the_same_wherever_it_stands() -> None:
    before = made("run1", [("a", "", "x"), ("a", "", "x")])
    after = [replace(each, number=3 - each.number) for each in before][::-1]
    assert pairs_of(before, after) == [(2, 1), (1, 2)]


def test_of_like_inputs_those_of_one_label_belong_together() -> None:
    before, after = made("run1", [("a", "", "x"), ("b", "", "x")]), made("run2", [("b", "", "x"), ("a", "", "x")])
    assert pairs_of(before, after) == [(2, 1), (1, 2)]


def test_of_several_with_one_label_the_first_goes_with_the_first() -> None:
    before, after = made("run1", [("a", "", "x"), ("a", "", "y")]), made("run2", [("a", "", "p"), ("a", "", "q")])
    assert pairs_of(before, after) == [(1, 1), (2, 2)]


@given(before=_some_steps, after=_some_steps)
def test_every_step_is_in_one_pair_or_left_over_and_no_input_is_left_on_both_sides(
    before: list[tuple[str, str, str]], after: list[tuple[str, str, str]]
) -> None:
    old, new = made("run1", before), made("run2", after)
    pairs, gone, added = pair_steps(old, new)
    assert sorted(each.number for each in [*gone, *(one for one, _ in pairs)]) == [each.number for each in old]
    assert sorted(each.number for each in [*added, *(two for _, two in pairs)]) == [each.number for each in new]
    assert not {each.step.spec for each in gone} & {each.step.spec for each in added}
    assert [two.number for _, two in pairs] == sorted(two.number for _, two in pairs)


@given(steps=_some_steps)
def test_a_run_compared_with_its_like_has_each_step_at_its_own_side(steps: list[tuple[str, str, str]]) -> None:
    pairs, gone, added = pair_steps(made("run1", steps), made("run2", steps))
    assert (gone, added) == ([], [])
    assert all(one.number == two.number for one, two in pairs)


def test_a_file_that_went_along_and_was_edited_is_what_differs(compared: Compared) -> None:
    source = body("return await agent('Ask', label='ask', files=['a.txt', 'b.txt'])")
    compared.project.write("a.txt", "one")
    compared.project.write("b.txt", "same")
    first = compared.project.run(source).run.id
    compared.project.write("a.txt", "two")
    second = compared.project.run(source).run.id
    (changed,) = compared.json(first, second)["changed"]
    assert (changed["fields"], changed["answer_differs"]) == (["files"], False)
    assert compared.counts(second, compared.project.run(source).run.id) == (0, 0, 0, 1)


def test_the_totals_of_a_diff_are_broken_to_the_width_of_the_terminal() -> None:
    found = run_diff(a_run("aa01"), a_run("aa02"), [], [])
    whole, broken = (run_diff_text(found, width=width, colour=False).splitlines() for width in (None, 40))
    assert max(map(len, broken)) <= 40
    assert max(map(len, whole)) > 60
