"""An observation holds exactly as long as its tool would give the same again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.support.projects import Project
from vibe_workflows.engine.errors import ToolDenied, ToolFailed
from vibe_workflows.engine.model import JSON, Observation, ToolSpec
from vibe_workflows.engine.observe import Replayer, canonical_arguments, observation_of, outcome_digest
from vibe_workflows.engine.ports import ToolResult


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("a.py", "one\ntwo\nthree\nfour\n")
    project.write("src/b.py", "needle\n")
    project.write("docs/c.md", "text\n")
    return project


def _look(project: Project, tool: str, arguments: dict[str, JSON]) -> Observation:
    try:
        return observation_of(project.tools.get(tool), arguments, project.call(tool, **arguments))
    except (ToolFailed, ToolDenied) as error:
        return observation_of(project.tools.get(tool), arguments, error)


def _holds(project: Project, *observations: Observation) -> Observation | None:
    return trio.run(Replayer(project.tools.by_name.values()).holds, observations)


Change = Callable[[Project], object]


def _replace_by_folder(project: Project) -> None:
    (project.root / "a.py").unlink()
    (project.root / "a.py").mkdir()


def _replace_by_link_to_secret(project: Project) -> None:
    (project.root / "docs/c.md").unlink()
    (project.root / "docs/c.md").symlink_to("../.env")


CHANGES: dict[str, Change] = {
    "edit a line": lambda p: p.write("a.py", "one\nTWO\nthree\nfour\n"),
    "add a line": lambda p: p.write("a.py", "one\ntwo\nthree\nfour\nfive\n"),
    "delete a file": lambda p: (p.root / "a.py").unlink(),
    "create a file": lambda p: p.write("src/new.py", "new\n"),
    "create a match": lambda p: p.write("src/d.md", "needle\n"),
    "create what was absent": lambda p: p.write("absent.py", "x\n"),
    "edit a markdown file": lambda p: p.write("docs/c.md", "other\n"),
    "edit without a match": lambda p: p.write("docs/c.md", "no match\n"),
    "touch": lambda p: os.utime(p.root / "a.py", (1, 1)),
    "rewrite the same": lambda p: p.write("a.py", "one\ntwo\nthree\nfour\n"),
    "ignore a file": lambda p: p.write(".gitignore", "/src/b.py\n"),
    "make a link": lambda p: (p.root / "src" / "link.py").symlink_to("b.py"),
    "replace by a folder": _replace_by_folder,
    "make it secret": _replace_by_link_to_secret,
}


GONE = ("delete a file", "replace by a folder")


@pytest.mark.parametrize(
    ("tool", "arguments", "changed_by"),
    [
        ("read_file", {"path": "a.py"}, {"edit a line", "add a line", *GONE}),
        ("read_file", {"path": "a.py", "start": 3}, {"add a line", *GONE}),
        ("read_file", {"path": "a.py", "start": 1, "end": 2}, {"edit a line", *GONE}),
        ("read_file", {"path": "absent.py"}, {"create what was absent"}),
        ("read_file", {"path": "docs/c.md"}, {"edit a markdown file", "edit without a match", "make it secret"}),
        ("read_file", {"path": "../x"}, set()),
        ("read_file", {"path": ".env"}, set()),
        ("list_files", {}, {"delete a file", "create what was absent", "ignore a file", "replace by a folder"}),
        ("list_files", {"path": "src"}, {"create a file", "create a match", "ignore a file", "make a link"}),
        ("list_files", {"path": "none"}, set()),
        ("glob", {"pattern": "**/*.md"}, {"create a match", "make it secret"}),
        ("glob", {"pattern": "*", "path": "src"}, {"create a file", "create a match", "ignore a file", "make a link"}),
        ("glob", {"pattern": "["}, set()),
        ("grep", {"pattern": "needle"}, {"create a match", "ignore a file"}),
        ("grep", {"pattern": "needle", "glob": "*.py"}, {"ignore a file"}),
        ("grep", {"pattern": "TWO"}, {"edit a line"}),
        ("grep", {"pattern": "("}, set()),
        ("grep", {"pattern": "x", "path": "none.py"}, set()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("change", CHANGES)
def test_an_observation_ends_with_the_changes_that_it_would_show_and_no_others(
    project: Project, tool: str, arguments: dict[str, JSON], changed_by: set[str], change: str
) -> None:
    seen = _look(project, tool, arguments)
    assert _holds(project, seen) is None
    CHANGES[change](project)
    assert (_holds(project, seen) == seen) == (change in changed_by)


def test_the_first_observation_that_does_not_hold_is_named(project: Project) -> None:
    seen = [_look(project, "read_file", {"path": path}) for path in ("src/b.py", "a.py", "docs/c.md")]
    project.write("a.py", "changed")
    project.write("docs/c.md", "changed")
    assert _holds(project, *seen) == seen[1]


def test_arguments_mean_the_same_with_nulls_and_defaults_written_out_or_not(project: Project) -> None:
    spec = project.tools.get("grep").spec
    short = canonical_arguments(spec, {"pattern": "x"})
    assert short == '{"ignore_case":false,"limit":200,"path":".","pattern":"x"}'
    assert canonical_arguments(spec, {"glob": None, "path": ".", "pattern": "x", "ignore_case": False}) == short
    assert canonical_arguments(spec, {"pattern": "x", "path": "src"}) != short


def test_the_digest_of_data_and_errors_is_pinned() -> None:
    assert outcome_digest(ToolResult(text="t", data={"b": 1, "a": ["ä"]})) == "8e5034ce3708806f0b8546d1398561e3"
    assert outcome_digest(ToolFailed("a.py: no such file")) == "7dd30a87d01262b0259de8b953039cfe"
    assert outcome_digest(ToolResult(text="other", data={"a": ["ä"], "b": 1})) == "8e5034ce3708806f0b8546d1398561e3"


@given(data=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_an_error_never_has_the_digest_of_data(data: JSON) -> None:
    digests = {outcome_digest(ToolResult(text="", data=data))}
    digests |= {outcome_digest(error("m")) for error in (ToolFailed, ToolDenied)}
    digests.add(outcome_digest(ToolResult(text="", data=["ToolFailed", "m"])))
    assert len(digests) == (3 if data == ["ToolFailed", "m"] else 4)


# ---------------------------------------------------------------- how often it looks


class Slow:
    """A tool that counts its runs and waits for `go`."""

    spec = ToolSpec(name="slow", description="", parameters={})
    group = "read"
    observes = True

    def __init__(self) -> None:
        self.answer: JSON = 1
        self.runs = 0
        self.go = trio.Event()

    def footprint(self, arguments: Mapping[str, JSON]) -> None:
        return None

    async def run(self, arguments: Mapping[str, JSON]) -> ToolResult:
        self.runs += 1
        answer = self.answer
        await self.go.wait()
        return ToolResult(text="", data=answer)

    def seen(self, data: JSON) -> Observation:
        return observation_of(self, {"n": 1}, ToolResult(text="", data=data))


def test_many_steps_that_share_an_observation_look_once() -> None:
    async def main() -> None:
        slow = Slow()
        replayer = Replayer([slow])
        found: list[Observation | None] = []

        async def verify(data: JSON) -> None:
            found.append(await replayer.holds([slow.seen(data)]))

        async with trio.open_nursery() as nursery:
            for data in (1, 1, 2):
                nursery.start_soon(verify, data)
            await trio.testing.wait_all_tasks_blocked()
            slow.go.set()
        assert sorted(found, key=repr, reverse=True) == sorted([None, None, slow.seen(2)], key=repr, reverse=True)
        assert slow.runs == 1

    trio.run(main)


def test_a_cancelled_look_is_taken_over_by_one_who_waits_for_it() -> None:
    async def main() -> None:
        slow = Slow()
        replayer = Replayer([slow])
        found: list[Observation | None] = []

        async def verify(scope: trio.CancelScope) -> None:
            with scope:
                found.append(await replayer.holds([slow.seen(1)]))

        first, second = trio.CancelScope(), trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(verify, first)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(verify, second)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert slow.runs == 2
            slow.go.set()
        assert found == [None]

    trio.run(main)


def test_what_was_found_is_kept_until_it_is_forgotten(project: Project) -> None:
    async def main() -> None:
        seen = observation_of(
            project.tools.get("read_file"), {"path": "a.py"}, await project.tools.get("read_file").run({"path": "a.py"})
        )
        replayer = Replayer(project.tools.by_name.values())
        assert not replayer.knows([seen])
        assert replayer.changed([seen]) == seen
        assert await replayer.holds([seen]) is None
        project.write("a.py", "changed")
        assert replayer.knows([seen])
        assert replayer.changed([seen]) is None
        replayer.forget()
        assert not replayer.knows([seen])
        assert await replayer.holds([seen]) == seen
        assert replayer.changed([seen]) == seen

    trio.run(main)


def test_what_a_model_was_not_shown_of_a_file_may_change(project: Project) -> None:
    async def main() -> None:
        tool = project.tools.get("read_file")
        project.write("long", "line\n" * 20_000)
        result = await tool.run({"path": "long"})
        to_model = observation_of(tool, {"path": "long"}, result, as_text=True)
        to_script = observation_of(tool, {"path": "long"}, result)
        project.write("long", "line\n" * 19_999 + "changed\n")
        assert await Replayer([tool]).holds([to_model]) is None
        assert await Replayer([tool]).holds([to_script]) == to_script
        project.write("long", "changed\n" + "line\n" * 19_999)
        assert await Replayer([tool]).holds([to_model]) == to_model

    trio.run(main)


def test_a_look_that_was_under_way_when_all_was_forgotten_is_not_kept() -> None:
    async def main() -> None:
        slow = Slow()
        replayer = Replayer([slow])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(replayer.holds, [slow.seen(1)])
            await trio.testing.wait_all_tasks_blocked()
            replayer.forget()
            slow.answer = 2
            slow.go.set()
        assert not replayer.knows([slow.seen(1)])
        assert await replayer.holds([slow.seen(2)]) is None

    trio.run(main)


def test_known_is_what_can_be_judged_without_the_rest(project: Project) -> None:
    async def main() -> None:
        replayer = Replayer(project.tools.by_name.values())
        stale = Observation(tool="read_file", arguments='{"path":"a.py","start":1}', digest="other")
        unknown = Observation(tool="read_file", arguments='{"path":"docs/c.md","start":1}', digest="x")
        assert await replayer.holds([stale, unknown]) == stale
        assert replayer.knows([stale, unknown])
        assert replayer.changed([stale, unknown]) == stale
        assert not replayer.knows([unknown])

    trio.run(main)


@pytest.mark.parametrize(
    "observation",
    [
        Observation(tool="gone", arguments="{}", digest="x"),
        Observation(tool="read_file", arguments="no json", digest="x"),
        Observation(tool="read_file", arguments="[1]", digest="x"),
        Observation(tool="read_file", arguments="[" * 100_000, digest="x"),
        Observation(tool="read_file", arguments='{"path": 5}', digest="x"),
    ],
)
def test_what_a_broken_or_newer_store_says_never_holds_and_never_raises(
    project: Project, observation: Observation
) -> None:
    assert _holds(project, observation) == observation
