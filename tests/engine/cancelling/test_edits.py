"""A step that edits is cut off at its first wait, at its second, and so on to its end, in every way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.engine.cancelling.scene import TIMEOUT_S, Scene, Way
from tests.engine.cancelling.test_every_wait import CutOff
from tests.support.behaviours import Answer, Behaviour, Call
from tests.support.model_calls import LITELLM_WARNINGS
from tests.support.model_server import ModelServer
from tests.support.works import PLAYED, Finished, Works, open_works
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import ModelRequest, StepStatus
from vibe_workflows.engine.run import Stop
from vibe_workflows.sandbox.launcher import Zygote

pytestmark = LITELLM_WARNINGS

BEGINNING = "begin end\n"
#: What each file may hold at some time.
HELD: dict[str, list[str | None]] = {
    "a.txt": [BEGINNING, "begin 1 end\n", "begin 1 2 end\n"],
    "new/b.txt": [None, "all of it\n"],
}


def call(number: int, tool: str, **arguments: str) -> Call:
    return Call(name=tool, arguments=json.dumps(arguments), id=f"c{number}")


CONVERSATION: tuple[Behaviour, ...] = (
    Answer(
        calls=(
            call(1, "edit_file", path="a.txt", old="end", new="1 end"),
            call(2, "read_file", path="a.txt"),
            call(3, "edit_file", path="a.txt", old="end", new="2 end"),
            call(4, "write_file", path="new/b.txt", content="all of it\n"),
        ),
        finish="tool_calls",
    ),
    Answer(text="done"),
)


def held(folder: Path, path: str) -> str | None:
    place = folder / path
    return place.read_text() if place.exists() else None


def begin_again(folder: Path) -> None:
    folder.joinpath("a.txt").write_text(BEGINNING)
    folder.joinpath("new/b.txt").unlink(missing_ok=True)


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".vibe-tmp-*"))


async def check_files(works: Works, done: Finished, folder: Path) -> None:
    """They are old or new, the chains have an entry for each edit that was made and no other, and no lock is held."""
    changes = [each for each in works.reader.chains(list(HELD)) if each.run_id == done.report.run.id]
    for path, contents in HELD.items():
        lying = held(folder, path)
        assert lying in contents
        entries = [each.change for each in changes if each.change.path == path]
        assert len(entries) == contents.index(lying), f"{path}: each edit that was made is one entry, and no other"
        if entries:
            assert entries[-1].after == content_digest(str(lying).encode())
    assert not leftovers(folder)
    with trio.fail_after(5):
        async with done.session._project.lock.alone():
            pass
    edited = [each for each in done.prompted("work").calls if any(seen.change for seen in each.observations)]
    assert len(edited) == len(changes), "and the trace has it"


WORK = f"agent('work', tools=['read', 'write'], retries=0, timeout={TIMEOUT_S:g})"
#: The other branch fails when it is told to, at the latest when the step is over.
BESIDE = f"""\
async def work():
    await {WORK}
    return await agent('over', model='{PLAYED}')

async def main(args):
    return await parallel([work(), agent('kill', model='{PLAYED}')], on_error='raise')
"""


@pytest.mark.parametrize("way", Way)
def test_a_step_that_edits_can_be_cut_off_at_each_of_its_waits(
    zygote: Zygote, tmp_path: Path, model_server: ModelServer, way: Way
) -> None:
    clock = MockClock(rate=1.0)
    cut_off = 0
    seen: set[str | None] = set()

    async def once(works: Works, scene: Scene, nth: int) -> bool:
        """Whether the step came to its end before its `nth` wait."""
        begin_again(tmp_path)
        model_server.behave(*CONVERSATION)
        scene.stop, scene.kill = Stop(), trio.Event()
        instrument = CutOff(nth, lambda: scene.act(way))
        trio.lowlevel.add_instrument(instrument)
        try:
            text = BESIDE if way is Way.SIBLING else f"return await {WORK}"
            done = await works.run(text, stop=scene.stop, retries=0)
        finally:
            trio.lowlevel.remove_instrument(instrument)
            model_server.forget()
        done.check_nothing_is_held()
        await check_files(works, done, tmp_path)
        seen.add(held(tmp_path, "a.txt"))
        work = done.prompted("work").step
        assert work.status in (StepStatus.CANCELLED, StepStatus.TIMED_OUT, StepStatus.COMPLETED)
        return instrument.waits < nth

    async def main() -> None:
        nonlocal cut_off
        scene = Scene(zygote, tmp_path, model_server, clock)

        async def played(request: ModelRequest) -> Exception:
            if request.messages[-1].text == "over":
                scene.kill.set()
            return await scene.killed(request)

        port, grants = model_server.port, ("read", "write")
        async with open_works(zygote, tmp_path, port, played=played, clock=clock, grants=grants) as works:
            while not await once(works, scene, cut_off + 1):
                cut_off += 1

    trio.run(main, clock=clock)
    assert cut_off > 10
    assert seen == set(HELD["a.txt"])
