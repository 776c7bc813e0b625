"""Profiles: what a file says, what of it counts, and which file a name stands for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vibe_workflows.engine.agents import profiles as profiles_module
from vibe_workflows.engine.agents.profile_text import MAX_BYTES, Profile, Vocabulary, parse_profile
from vibe_workflows.engine.agents.profiles import Profiles, examine, hiding, profile_folders
from vibe_workflows.engine.errors import ConfigError, SetupError, ToolDenied

WORDS = Vocabulary(
    tools={
        "read": ["read_file", "grep"],
        "write": ["write_file", "edit_file"],
        **{name: [name] for name in ("read_file", "grep", "write_file", "edit_file")},
    },
    aliases={"fast", "sonnet"},
)


def parsed(text: str | bytes, name: str = "reviewer", words: Vocabulary = WORDS) -> Profile:
    return parse_profile(name, f"{name}.md", text if isinstance(text, bytes) else text.encode(), words)


def front(*lines: str, body: str = "Be strict.") -> str:
    return "\n".join(["---", *lines, "---", body])


def refused(text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return caught.value.message


# ---------------------------------------------------------------- what a file says


def test_a_profile_says_what_its_fields_say_and_the_rest_is_the_system_text() -> None:
    text = front(
        "name: reviewer",
        "description: Reviews.",
        "model: fast",
        "tools: [read, edit_file]",
        "effort: high",
        "temperature: 1",
        "max_tokens: 100",
        "max_turns: 3",
        "permissions: [write, 'command:pytest']",
        body="\nBe strict.\n\n---\nAnd brief.\n",
    )
    assert parsed(text) == Profile(
        name="reviewer",
        where="reviewer.md",
        system="Be strict.\n\n---\nAnd brief.",
        description="Reviews.",
        model="fast",
        tools=("read", "edit_file"),
        effort="high",
        temperature=1.0,
        max_tokens=100,
        max_turns=3,
        permissions=("write", "command:pytest"),
    )


def test_what_a_profile_leaves_open_is_not_set() -> None:
    nothing = Profile(name="reviewer", where="reviewer.md", system="Be strict.")
    assert parsed("Be strict.\n") == nothing
    assert parsed(front("tools:", "model:")) == nothing
    assert parsed("\n\n" + front()) == nothing
    assert parsed("") == Profile(name="reviewer", where="reviewer.md")
    assert parsed(front("tools: []")).tools == ()


def test_line_ends_and_a_byte_order_mark_make_no_other_profile() -> None:
    text = front("model: fast", "tools: read", body="One.\nTwo.\n")
    assert parsed(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == parsed(text)


def test_a_description_on_one_line_may_hold_what_yaml_would_take_for_a_key() -> None:
    said = "Use this: it's \"good\" # really. Example: user: 'hi'"
    assert parsed(front(f"description: {said}", "model: fast")).description == said
    assert parsed(front("description: one", "  two", "model: fast")).description == "one two"
    assert parsed(front("description: >", "  one: two")).description == "one: two"
    assert parsed(front('description: "a: b"')).description == "a: b"


# ---------------------------------------------------------------- the words of Claude Code


def test_tools_of_claude_code_are_ours_where_there_are_such_and_the_others_are_told_once() -> None:
    profile = parsed(front("tools: Read, Grep, Edit, MultiEdit, Bash, Bash(git diff:*), TodoWrite, mcp__git__log"))
    assert profile.tools == ("read_file", "grep", "edit_file")
    assert profile.notes == (
        "reviewer.md:2: `tools`: not available here, and left out: Bash, Bash(git diff:*), TodoWrite, mcp__git__log",
    )
    assert parsed(front("tools:", "  - Read", "  - grep")).tools == ("read_file", "grep")


def test_a_part_of_a_tool_is_never_taken_for_the_whole_tool() -> None:
    words = Vocabulary(tools={"run_command": ["run_command"]}, aliases=())
    assert parsed(front("tools: Bash(git:*)"), words=words).tools == ()
    assert parsed(front("tools: Bash"), words=words).tools == ("run_command",)


def test_tools_that_a_profile_denies_are_taken_out_of_those_that_it_names() -> None:
    assert parsed(front("tools: [read, write]", "disallowedTools: Edit, Bash, grep")).tools == (
        "read_file",
        "write_file",
    )
    assert parsed(front("disallowedTools: [write]", "tools: [read, write]")).tools == ("read_file", "grep")
    assert parsed(front("disallowedTools: [write]")).tools is None


@pytest.mark.parametrize(
    ("named", "model", "told"),
    [
        ("inherit", "", ""),
        ("openai/gpt-5", "openai/gpt-5", ""),
        ("sonnet", "sonnet", ""),
        ("opus", "", "reviewer.md:2: `model: opus` is ignored: no alias says which model that is here"),
        ("haiku[1m]", "", "`model: haiku[1m]` is ignored"),
    ],
)
def test_a_model_of_claude_code_counts_where_an_alias_says_what_it_is(named: str, model: str, told: str) -> None:
    profile = parsed(front(f"model: {named}"))
    assert profile.model == model
    assert (told in profile.notes[0]) if told else not profile.notes


def test_fields_that_mean_nothing_here_are_told_and_ignored() -> None:
    profile = parsed(
        front(
            "color: blue",
            "permissionMode: bypassPermissions",
            "hooks: {PreToolUse: [{command: rm}]}",
            "modle: x/y",
            "maxTurns: 4",
            "name: other",
        )
    )
    assert profile.max_turns == 4
    assert profile.permissions == ()
    told = "\n".join(profile.notes)
    assert "reviewer.md:3: `permissionMode` means nothing here, and is ignored" in told
    assert "reviewer.md:4: `hooks` means nothing here" in told
    assert "reviewer.md:5: `modle` means nothing here, and is ignored; did you mean `model`?" in told
    assert "reviewer.md:7: `name: other` is ignored" in told
    assert len(profile.notes) == 4


def test_what_is_told_of_a_file_is_bounded() -> None:
    profile = parsed(
        front(*(f"f{number}: 1" for number in range(400)), "tools: " + ", ".join("Q" * n for n in range(1, 59)))
    )
    assert len(profile.notes) == 11
    assert sum(map(len, profile.notes)) < 3_000
    assert profile.notes[-1].endswith("QQQQQQQQQQ, 48 more")


# ---------------------------------------------------------------- what is no profile


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["max_turns: '5'"], "reviewer.md:2: `max_turns`: a whole number is needed, not `5`"),
        (["", "maxTurns: true"], "reviewer.md:3: `maxTurns`: a whole number is needed, not `True`"),
        (["max_turns: 0"], "a number from 1 to 10,000 is needed, not 0"),
        (["max_tokens: 1.5"], "reviewer.md:2: `max_tokens`: a whole number is needed"),
        (["temperature: warm"], "reviewer.md:2: `temperature`: a number from 0 to 2 is needed, not `warm`"),
        (["temperature: 2.1"], "a number from 0 to 2 is needed"),
        (["temperature: .nan"], "a number from 0 to 2 is needed"),
        (["temperature: true"], "a number from 0 to 2 is needed"),
        (["effort: off"], "reviewer.md:2: `effort`: a word such as `low` or `high` is needed, not `False`"),
        (["model: [a, b]"], "reviewer.md:2: `model`: a model's name is text"),
        (["model: 'a b'"], "is no model's name"),
        (["model: http://evil/v1"], "reviewer.md:2: the model `http://evil/v1` holds an address"),
        (["tools: 5"], "reviewer.md:2: `tools`: a list of names is needed"),
        (["tools: [read, [grep]]"], "a list of names is needed"),
        (["tools: {read: true}"], "a list of names is needed"),
        (
            ["tools: [raed_file]"],
            "reviewer.md:2: `tools`: there is no tool `raed_file` here; did you mean `read_file`?",
        ),
        (["permissions: root"], "reviewer.md:2: `permissions`: `root` is no grant"),
        (["name: 5"], "reviewer.md:2: `name`: a name is text, not `5`"),
        (["description: [a]"], "reviewer.md:2: `description`: a text is needed"),
        (["max_turns: 1", "maxTurns: 2"], "reviewer.md:3: `max_turns` is set twice (first in line 2)"),
        (["model: a/b", "model: c/d"], "reviewer.md:3: `model` is set twice"),
        (["x: &a [1]"], ""),
        (["x: &a [1]", "y: *a"], "reviewer.md:3:4: not valid YAML: aliases (*name) are not available here"),
        (["x: !!python/object/apply:os.system [id]"], ""),
        (["x: " + "[" * 40], "nested too deeply"),
        (["model: [a"], "not valid YAML"),
        (["- a"], "settings are `key: value` lines, not a list"),
    ],
)
def test_a_field_with_a_wrong_value_is_an_error_with_its_line(lines: list[str], said: str) -> None:
    if not said:  # nothing is made of it, and nothing runs
        assert "means nothing here" in parsed(front(*lines)).notes[0]
        return
    assert said in refused(front(*lines))


def test_what_is_no_text_too_large_or_without_end_is_no_profile() -> None:
    assert "not UTF-8 text (byte 3)" in refused(b"abc\xff")
    assert "reviewer.md:2: a NUL character" in refused("a\nb\0")
    assert "larger than 64 KB" in refused("a" * (MAX_BYTES + 1))
    assert len(parsed("a" * MAX_BYTES).system) == MAX_BYTES
    assert "reviewer.md:1: more than 8 KB of front matter" in refused(front("x: " + "a" * 9_000))
    assert "reviewer.md:2: the front matter has no end" in refused("\n---\nmodel: a/b\n")
    assert "reviewer.md:4: `effort`" in refused("\n\n" + front("effort: 3"))


@given(
    st.text(max_size=200)
    | st.lists(st.sampled_from(["---", "tools: ", "- ", "{", "*a", "&a ", "\n", ": ", "'", "|", "x"])).map("".join)
)
@example("--- \n---")
def test_whatever_a_file_holds_it_is_a_profile_or_an_error(text: str) -> None:
    for whole in (text, front(text)):
        with suppress(ConfigError):
            parsed(whole.encode("utf-8", "replace"))


# ---------------------------------------------------------------- which file a name stands for


class Shelf:
    """A project and a home with profiles, and what a run makes of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.trusted: list[tuple[Path, bytes]] = []
        self.project = root / "project"
        self.project.mkdir()
        (root / "home").mkdir()

    def put(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def profiles(self, *granted: str) -> Profiles:
        return Profiles(self.folders, WORDS, ("read", *granted), self.trusts)

    def trust(self, file: Path) -> None:
        self.trusted.append((file, file.read_bytes()))

    def trusts(self, path: Path, content: bytes) -> bool:
        return (path, content) in self.trusted

    @property
    def folders(self) -> Any:
        return profile_folders(self.project, self.root / "home/.config/vibe", self.root / "home")

    def system(self, name: str) -> str:
        return self.profiles().get(name).system

    def error(self, name: str) -> str:
        with pytest.raises(SetupError) as caught:
            self.profiles().get(name)
        return caught.value.message


VIBE, CLAUDE, USER = "project/.vibe/agents/", "project/.claude/agents/", "home/.config/vibe/agents/"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_the_nearest_file_wins(shelf: Shelf) -> None:
    shelf.put(USER + "x.md", "mine")
    assert shelf.system("x") == "mine"
    assert shelf.profiles().get("x").notes == ()
    shelf.trust(shelf.put(CLAUDE + "x.md", "claude"))
    assert shelf.system("x") == "claude"
    shelf.trust(shelf.put(VIBE + "x.md", "vibe"))
    found = shelf.profiles().get("x")
    assert (found.system, found.where, found.notes) == ("vibe", ".vibe/agents/x.md", ())


def test_a_projects_profile_has_the_name_of_the_persons_own_only_with_trust(shelf: Shelf) -> None:
    shelf.put(USER + "x.md", "mine")
    file = shelf.put(CLAUDE + "x.md", "theirs")
    said = shelf.error("x")
    assert ".claude/agents/x.md takes the name of your own, ~/.config/vibe/agents/x.md; `vibe trust` lets it" in said
    (offer,) = hiding(shelf.folders, shelf.trusts)
    assert (offer.name, offer.path, offer.content, offer.hides) == ("x", file, b"theirs", "~/.config/vibe/agents/x.md")
    shelf.trust(file)
    assert shelf.system("x") == "theirs"
    assert hiding(shelf.folders, shelf.trusts) == []
    file.write_text("theirs, changed")
    assert "takes the name of your own" in shelf.error("x")
    file.write_text("mine")
    assert shelf.system("x") == "mine", "it says the same"
    file.unlink()
    assert shelf.system("x") == "mine"


def test_what_hides_is_the_nearest_file_of_the_project(shelf: Shelf) -> None:
    shelf.put(USER + "x.md", "mine")
    shelf.trust(shelf.put(VIBE + "x.md", "near"))
    shelf.put(CLAUDE + "x.md", "far")
    shelf.put(CLAUDE + "y.md", "only theirs")
    assert hiding(shelf.folders, shelf.trusts) == []
    assert shelf.system("x") == "near"


def test_a_broken_file_does_not_make_way_for_one_that_is_further_away(shelf: Shelf) -> None:
    shelf.put(CLAUDE + "x.md", "fine")
    shelf.put(VIBE + "x.md", front("max_turns: many"))
    assert shelf.error("x").startswith("agent: profile `x`: .vibe/agents/x.md:2: `max_turns`")


def test_an_unknown_name_is_an_error_with_the_nearest_known_one(shelf: Shelf) -> None:
    shelf.put(USER + "reviewer.md", "x")
    shelf.put(VIBE + "tester.md", "x")
    places = ".vibe/agents, .claude/agents, ~/.config/vibe/agents"
    assert shelf.error("reviwer") == f"agent: no profile `reviwer` in {places}; did you mean `reviewer`?"
    assert shelf.error("Tester").endswith("did you mean `tester`?")
    assert shelf.error("qqq").endswith("known: reviewer, tester")


def test_a_file_is_read_once_and_stays_what_it_was(shelf: Shelf) -> None:
    file = shelf.put(VIBE + "x.md", "first")
    held = shelf.profiles()
    assert held.get("x").system == "first"
    file.write_text("second")
    assert held.get("x").system == "first"
    with pytest.raises(SetupError):
        held.get("y")
    shelf.put(VIBE + "y.md", "late")
    with pytest.raises(SetupError):
        held.get("y")
    assert shelf.system("x") == "second"


def test_a_run_reads_so_many_profiles_and_no_more(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles_module, "_MAX_PROFILES", 2)
    for name in "abc":
        shelf.put(f"{VIBE}{name}.md", name)
    held = shelf.profiles()
    assert [held.get(name).system for name in "abab"] == ["a", "b", "a", "b"]
    with pytest.raises(SetupError, match="more than 2 profiles"):
        held.get("c")


def test_a_profile_only_asks_for_what_the_person_grants(shelf: Shelf) -> None:
    shelf.put(CLAUDE + "x.md", front("permissions: write, command:pytest"))
    with pytest.raises(ToolDenied) as caught:
        shelf.profiles().get("x")
    assert caught.value.message.startswith(
        ".claude/agents/x.md: the profile asks for write, command:pytest, which this"
    )
    assert "--allow write,command:pytest" in caught.value.message
    with pytest.raises(ToolDenied, match="asks for command:pytest, which"):
        shelf.profiles("write", "command:ruff").get("x")
    assert shelf.profiles("write", "command").get("x").system == "Be strict."


# ---------------------------------------------------------------- links, and what is no file


def test_a_link_within_the_project_is_followed_and_one_that_leads_out_is_not(shelf: Shelf) -> None:
    shelf.put("project/prompts/inside.md", "inside")
    shelf.put("outside.md", "outside")
    shelf.put(CLAUDE + "real.md", "real")
    (shelf.project / ".claude/agents/inside.md").symlink_to("../../prompts/inside.md")
    (shelf.project / ".claude/agents/out.md").symlink_to("../../../outside.md")
    (shelf.project / ".claude/agents/gone.md").symlink_to("nowhere.md")
    (shelf.project / ".vibe").mkdir()
    (shelf.project / ".vibe/agents").symlink_to("../.claude/agents")
    assert shelf.system("inside") == "inside"
    assert shelf.system("real") == "real"
    assert ".vibe/agents/out.md: leads out of the project through a symbolic link" in shelf.error("out")
    assert "no such file" in shelf.error("gone")


def test_a_link_to_what_no_tool_reads_is_not_followed(shelf: Shelf) -> None:
    shelf.put("project/.env", "KEY=1")
    shelf.put("project/.vibe/vibe.db", "prompts")
    shelf.put(CLAUDE + "real.md", "real")
    (shelf.project / ".claude/agents/env.md").symlink_to("../../.env")
    (shelf.project / ".claude/agents/db.md").symlink_to("../../.vibe/vibe.db")
    assert "leads to what no tool reads: it looks like a secret" in shelf.error("env")
    assert "leads to what no tool reads: `.vibe` is not open to tools" in shelf.error("db")


def test_a_folder_that_leads_out_is_not_read_and_the_others_are(shelf: Shelf) -> None:
    shelf.put("elsewhere/x.md", "outside")
    shelf.put(USER + "x.md", "mine")
    (shelf.project / ".claude").mkdir()
    (shelf.project / ".claude/agents").symlink_to("../../elsewhere")
    found = shelf.profiles().get("x")
    assert found.system == "mine"
    assert found.notes == (
        ".claude/agents: leads out of the project through a symbolic link, so no profile in it is read",
    )
    assert "so no profile in it is read" in shelf.error("y")


def test_a_persons_own_links_lead_wherever_they_like(shelf: Shelf) -> None:
    shelf.put("dotfiles/x.md", "mine")
    (shelf.root / "home/.config/vibe").mkdir(parents=True)
    (shelf.root / "home/.config/vibe/agents").symlink_to(shelf.root / "dotfiles")
    assert shelf.system("x") == "mine"


@pytest.mark.parametrize("folder", [VIBE, USER])
def test_a_pipe_or_a_folder_is_no_profile_and_nobody_waits_for_it(shelf: Shelf, folder: str) -> None:
    (shelf.root / folder / "dir.md").mkdir(parents=True)
    os.mkfifo(shelf.root / folder / "pipe.md")
    assert "not a regular file" in shelf.error("pipe")
    assert "dir.md" in shelf.error("dir")


def test_a_link_that_is_put_in_place_between_the_look_and_the_opening_is_not_followed(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shelf.put(VIBE + "x.md", "x")
    shelf.put("outside.md", "outside")
    real = os.path.realpath

    def swapping(path: Any) -> str:
        found = str(real(path))
        if found.endswith("x.md"):
            file.unlink()
            file.symlink_to("../../../outside.md")
        return found

    held = shelf.profiles()
    monkeypatch.setattr(os.path, "realpath", swapping)
    with pytest.raises(SetupError, match="not a regular file"):
        held.get("x")


# ---------------------------------------------------------------- all of them


def test_every_profile_is_examined_also_one_that_is_hidden(shelf: Shelf) -> None:
    shelf.put(VIBE + "x.md", "fine")
    shelf.put(USER + "x.md", front("max_turns: many"))
    shelf.put(USER + "y.md", front("hooks: []", "permissions: [write]"))
    shelf.put(USER + "not a name.md", "\0")
    (shelf.project / ".claude").symlink_to("..")
    found = {each.where: each for each in examine(shelf.folders, WORDS)}
    assert list(found) == [
        ".vibe/agents/x.md",
        ".claude/agents",
        "~/.config/vibe/agents/x.md",
        "~/.config/vibe/agents/y.md",
    ]
    assert [bool(each.problem) for each in found.values()] == [False, True, True, False]
    assert "`hooks` means nothing here" in found["~/.config/vibe/agents/y.md"].notes[0]
