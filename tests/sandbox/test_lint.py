"""The rules over scripts, as the locked worker applies them: what they find, and that they find nothing else."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.checking import locked
from tests.support.lint_cases import BROKEN, OUTSIDE_BROKEN, SOUND, Broken, Sound
from tests.support.reuse_world import Call, Several, Tree, source_of
from vibe_workflows.sandbox.checker import LockedChecker
from vibe_workflows.sandbox.lint import linter
from vibe_workflows.sandbox.lint.findings import MAX_FACTS, MAX_FINDINGS
from vibe_workflows.sandbox.lint.rules import BY_CODE, LOUD, RULES
from vibe_workflows.sandbox.lint_report import LintFinding, LintPlace, LintReport

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted([*(ROOT / "examples/workflows").glob("*.py"), *(ROOT / "catalog/workflows").glob("[!_]*.py")])
GUIDE = (ROOT / "cli" / "guide.md").read_text().split("```python\n")[1].split("```")[0]

#: Found outside of the worker: these have no script that the worker alone could judge.
_ELSEWHERE = {"unreadable"}


@functools.cache
def _loaded() -> Callable[[str, str], dict[str, Any]]:
    linter.load()
    return linter.lint


def found_in(source: str) -> list[tuple[int, str, str]]:
    """Line, code and message of each finding."""
    report = _loaded()(source, "flow.py")
    return [(each["place"][0], each["code"], each["message"]) for each in report["findings"]]


@pytest.mark.parametrize("case", BROKEN, ids=[f"{case.code}-{number}" for number, case in enumerate(BROKEN)])
def test_a_broken_script_is_told_of_in_its_line_and_of_nothing_else(case: Broken) -> None:
    found = found_in(case.script)
    assert [(line, code) for line, code, _ in found] == [(case.line, case.code)], found
    assert case.says in found[0][2]


@pytest.mark.parametrize("case", SOUND, ids=[f"{case.near}-{number}" for number, case in enumerate(SOUND)])
def test_a_script_that_is_right_is_told_of_nothing(case: Sound) -> None:
    assert found_in(case.script) == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_nothing_is_found_in_what_is_shipped(path: Path) -> None:
    assert found_in(path.read_text()) == []


def test_nothing_is_found_in_the_guides_example() -> None:
    assert found_in(GUIDE) == []


def test_every_rule_has_a_script_that_breaks_it() -> None:
    assert {case.code for case in (*BROKEN, *OUTSIDE_BROKEN)} | _ELSEWHERE == BY_CODE.keys()


def test_every_rule_is_told_apart_and_explained() -> None:
    assert len(BY_CODE) == len(RULES)
    assert BY_CODE.keys() >= LOUD
    assert all(rule.meaning and rule.example for rule in RULES)


def test_a_place_counts_characters_and_ends_behind_its_last_one() -> None:
    source = 'x = "漢字"; return await agent("é", promt="é")'
    (found,) = _loaded()(source, "flow.py")["findings"]
    start = source.index("promt") + 1
    assert tuple(found["place"]) == (1, start, 1, start + len('promt="é"'))


def test_what_silences_a_rule_is_found_in_comments_only() -> None:
    source = "x = '# vibe: ignore[a]'\ny = 1  # noqa  # vibe: ignore[b, c]\n# vibe: ignore\nreturn [x, y]"
    ignores = _loaded()(source, "flow.py")["ignores"]
    assert [(each["line"], each["column"], each["code"]) for each in ignores] == [
        (2, 16, "b"),
        (2, 16, "c"),
        (3, 1, ""),
    ]


def test_facts_for_the_engine_have_their_places() -> None:
    source = "M = 'm'\nreturn await agent('a', model=M, tools=['t'], files=['f'], gate=['g', '-q'], profile='p')"
    facts = _loaded()(source, "flow.py")["facts"]
    assert {(each["kind"], each["value"], source.split("\n")[1][each["place"][1] - 1]) for each in facts} == {
        ("model", "m", "M"),
        ("tool", "t", "'"),
        ("file", "f", "'"),
        ("program", "g", "'"),
        ("profile", "p", "'"),
    }


def test_findings_and_facts_are_bounded() -> None:
    lines = [f"agent('x', model='m{number}')" for number in range(MAX_FACTS + 5)]
    report = _loaded()("\n".join(lines), "flow.py")
    assert (len(report["findings"]), len(report["facts"])) == (MAX_FINDINGS, MAX_FACTS)


# ---------------------------------------------------------------- in the locked worker


def test_the_locked_worker_says_the_same() -> None:
    cases = BROKEN[::5]

    async def work(checker: LockedChecker) -> list[LintReport]:
        return await checker.lint([("flow.py", case.script) for case in cases])

    reports = locked(work)
    assert [report.findings[0].code for report in reports] == [case.code for case in cases]


ATTACKS = {
    "many names to compare": "meta = {'phases': ["
    + ", ".join(f"'Phase {n}'" for n in range(1_500))
    + "]}\n"
    + "\n".join(f"phase('Phase x{n}')" for n in range(1_800)),
    "nested brackets": "x = " + "(" * 5_000 + ")" * 5_000,
    "nested minus signs": "x = " + "-" * 90_000 + "1",
    "a huge number": "x = 9" + "9" * 200_000,
    "a schema that doubles": "s0 = {'type': 'string'}\n"
    + "\n".join(f"s{n} = {{'properties': {{'a': s{n - 1}, 'b': s{n - 1}}}}}" for n in range(1, 60))
    + "\nreturn await agent('a', schema=s59)",
    "names that name each other": "a = b\nb = a\nreturn await agent('x', model=a, schema=b, tools=[a])",
    "a source that is too large": "x = 1\n" * 50_000,
}


def test_an_attack_on_the_rules_is_bounded_and_costs_only_itself() -> None:
    async def work(checker: LockedChecker) -> list[LintReport]:
        return await checker.lint([("good.py", "agent('x')"), *ATTACKS.items()])

    good, *attacked = locked(work, request_s=0.3)
    assert len(attacked) == len(ATTACKS)
    assert [found.code for found in good.findings] == ["not-awaited"]
    assert all(len(report.findings) <= MAX_FINDINGS for report in attacked)
    said = dict(zip(ATTACKS, attacked, strict=True))
    assert said["many names to compare"].findings[0].code == "unreadable"
    assert said["a source that is too large"].findings[0].message.endswith("and may have 262,144")
    assert "takes more than 0.3 s" in said["many names to compare"].findings[0].message


def test_a_worker_that_invents_a_rule_or_hides_an_escape_is_not_believed() -> None:
    place = LintPlace(1, 1, 1, 1)
    with pytest.raises(ValueError, match="there is no rule 'invented'"):
        LintReport((LintFinding(place, "invented", "x"),)).cleaned()
    shown = LintReport((LintFinding(place, "refused", "a\x1b[2Jb"),)).cleaned().findings[0].message
    assert "\x1b" not in shown
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"findings": [], "more": 1}', type=LintReport)


# ---------------------------------------------------------------- random scripts


def trees() -> st.SearchStrategy[Tree]:
    leaf = st.builds(Call, name=st.sampled_from("abc"), looks=st.just(()), takes=st.booleans())

    def several(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
        return st.builds(Several, together=st.booleans(), parts=parts)

    return st.recursive(leaf, several, max_leaves=6)


@given(tree=trees(), dressing=st.sampled_from(("one", "two words")))
@settings(deadline=None)
def test_nothing_is_found_in_a_random_script_that_runs(tree: Tree, dressing: str) -> None:
    assert found_in(source_of(tree, dressing)) == []


SEEDS = (GUIDE, *(case.script for case in (*BROKEN, *SOUND)), *(path.read_text() for path in WORKFLOWS[:2]))
_WORDS = (
    "await ",
    "agent",
    "parallel",
    "meta",
    "args",
    "x",
    "lambda: ",
    "for x in ",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "*",
    "\n",
    "'",
)


def mutated(seed: int) -> str:
    """A source, with some pieces taken out, doubled, moved or put in."""
    draw = random.Random(seed)
    source = draw.choice(SEEDS)
    for _ in range(draw.randint(1, 4)):
        start = draw.randrange(len(source) + 1)
        end = min(len(source), start + draw.choice((0, 1, 5, 40)))
        piece = draw.choice((source[start:end] * 2, "", draw.choice(_WORDS), source[-40:]))
        source = source[:start] + piece + source[end:]
    return source


@given(seed=st.integers(0, 1 << 40))
@settings(deadline=None)
def test_no_source_brings_the_rules_down(seed: int) -> None:
    report = _loaded()(mutated(seed), "flow.py")
    assert {each["code"] for each in report["findings"]} <= BY_CODE.keys()
    msgspec.convert(report, LintReport)


def test_no_source_brings_the_locked_worker_down() -> None:
    async def work(checker: LockedChecker) -> list[LintReport]:
        return await checker.lint([("flow.py", mutated(seed)) for seed in range(150)])

    reports = locked(work)
    assert len(reports) == 150
    assert not any(found.code == "unreadable" for report in reports for found in report.findings)
