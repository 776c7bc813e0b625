"""The policy against random programs: what compiles gets at nothing; what does not is refused, and never fails else."""

from __future__ import annotations

import ast
import dis
import random
from collections.abc import Iterator
from types import CodeType

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.in_child import with_modules
from tests.support.programs import KINDS, node_names, program
from tests.support.sandbox import RecordingEngine, run_native
from tests.support.zygotes import zygote as zygote
from vibe_workflows.sandbox.forker import Forker, open_forker
from vibe_workflows.sandbox.launcher import Zygote
from vibe_workflows.sandbox.limits import ChildLimits, HostLimits
from vibe_workflows.sandbox.policy import ScriptRefused, compile_script
from vibe_workflows.sandbox.verifier import verify

#: Programs in one child: a fork for each would cost more than they do.
_BATCH = 25
_EXAMPLES = settings().max_examples // 4
_LIMITS = HostLimits(child=ChildLimits(cpu_s=2), stall_s=20.0, wall_s=30.0, logs=100_000)
_MODULES = ("tests.support.reachable", "tests.support.script_world")
_RUN = """
from tests.support import script_world
{before}
script_world.run_watched({programs!r}, log)
"""


def tape(seed: int, length: int) -> list[int]:
    chance = random.Random(seed)
    return [chance.randrange(1 << 16) for _ in range(length)]


#: Shorter is simpler, so that a failure shrinks.
_tapes = st.builds(tape, st.integers(0, 1 << 32), st.integers(10, 300))


def run_programs(zygote: Zygote, programs: list[str], before: str = "") -> list[str]:
    """What the watched programs said. A program that is killed costs the others nothing: they run in another child."""
    said: list[str] = []

    async def main() -> None:
        async with open_forker(zygote) as forker:
            left = dict(enumerate(programs))
            while left:
                lines = await _run_some(forker, left, before)
                said.extend(lines)
                begun = [int(line.split()[1]) for line in lines if line.startswith("begin ")]
                assert begun, "the child did not come to its first program"
                left = {number: source for number, source in left.items() if number > begun[-1]}

    trio.run(main)
    return said


async def _run_some(forker: Forker, programs: dict[int, str], before: str) -> list[str]:
    source = with_modules(_MODULES, _RUN.format(programs=programs, before=before))
    ended, engine = await run_native(forker, source, engine=RecordingEngine(), limits=_LIMITS)
    assert ended.outcome in ("returned", "killed"), ended
    return engine.logs


def code_objects(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


def check_compiled(code: CodeType) -> None:
    """What must hold of all compiled code, said again in other words than the verifier's."""
    verify(code)
    for each in code_objects(code):
        for instruction in dis.get_instructions(each):
            name = instruction.opname
            assert "ATTR" not in name.replace("SET_FUNCTION_ATTRIBUTE", ""), name
            assert "IMPORT" not in name
            assert "METHOD" not in name
            assert "BUILD_CLASS" not in name
            if name.startswith(("STORE_", "DELETE_")) and isinstance(instruction.argval, str):
                assert not instruction.argval.startswith("_") or instruction.argval == "_"


@settings(max_examples=_EXAMPLES)
@given(tapes=st.lists(_tapes, min_size=_BATCH, max_size=_BATCH))
def test_whatever_compiles_gets_at_nothing_that_a_script_must_not_have(zygote: Zygote, tapes: list[list[int]]) -> None:
    programs = []
    for numbers in tapes:
        source = program(numbers)
        try:
            check_compiled(compile_script(source, "flow.py").code)
        except ScriptRefused:
            continue
        programs.append(source)
    said = run_programs(zygote, programs)
    assert sum(line.startswith("begin") for line in said) == len(programs)
    found = [line for line in said if line.startswith("INTROSPECT")]
    assert found == [], "\n".join([*found, *programs])


def test_the_watch_sees_a_hole(zygote: Zygote) -> None:
    """The same run with the table of attributes torn open."""
    before = (
        "from vibe_workflows.sandbox import attributes\n"
        "attributes.INSTANCE_ATTRIBUTES[type(x for x in ())] = frozenset({'close'})\n"
        "from vibe_workflows.sandbox.steps import Step\n"
        "attributes.INSTANCE_ATTRIBUTES[Step] = frozenset({'maker'})\n"
    )
    said = run_programs(
        zygote, ["step = agent('x')\nlog(step.maker)\nawait step", "return 1", "return {1: [type]}"], before
    )
    assert [line for line in said if line.startswith("INTROSPECT")] == [
        "INTROSPECT a value of type vibe_workflows.sandbox.trampoline.Task"
    ] * 2
    assert [line for line in said if line.startswith("end")] == ["end 0 done", "end 1 done", "end 2 error"]


def test_a_program_that_is_killed_does_not_keep_the_others_from_running(zygote: Zygote) -> None:
    said = run_programs(zygote, ["return 1", "while True: pass", "return 3"])
    assert [line for line in said if line.startswith("end")] == ["end 0 done", "end 2 done"]


def test_the_grammar_reaches_every_node_and_many_programs_compile() -> None:
    made: set[str] = set()
    compiled = 0
    for seed in range(1_500):
        source = program(tape(seed, 30 + seed % 270))
        try:
            made |= {type(node).__name__ for node in ast.walk(ast.parse(source))}
            compile_script(source, "flow.py")
        except (SyntaxError, UnicodeEncodeError, ScriptRefused):
            continue
        compiled += 1
    assert compiled > 300
    assert node_names() - made == set()
    assert len(KINDS["expr"]) >= 27
