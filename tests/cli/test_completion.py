"""What is offered at the cursor."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.command import Command, CommandHere
from vibe_workflows.cli import sandboxing
from vibe_workflows.cli.completing import scripts, shells, values
from vibe_workflows.cli.completing.shells import open_quote, split_line
from vibe_workflows.cli.main import COMMANDS, main
from vibe_workflows.cli.sandboxing import open_zygote
from vibe_workflows.sandbox.launcher import Zygote

_REVIEW = '''"""Reviews."""
meta = {"phases": ["Look", "Judge"], "permissions": ["write", "command:pytest"],
"args": {"type": "object", "properties": {
    "path": {"type": "string", "description": "what to look at", "default": "."},
    "max_files": {"type": "integer"}, "deep": {"type": "boolean"}, "model": {"type": "string"},
    "mode": {"enum": ["fast", "slow"]},
}}}
return 1
'''

Complete = Callable[..., dict[str, str]]


@pytest.fixture
def complete(here: CommandHere, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Complete:
    """The answers to fish for a line up to the cursor, with their descriptions."""
    here.command.write("workflows/re_view.py", _REVIEW)

    def answers(line: str) -> dict[str, str]:
        monkeypatch.setattr(shells, "PATIENCE_S", 300.0)  # it would end this process, too
        monkeypatch.setenv("_VIBE_COMPLETE", "fish_complete")
        monkeypatch.setenv(scripts.LINE, line)
        with pytest.raises(SystemExit) as ended:
            main([])
        out, err = capfd.readouterr()
        monkeypatch.delenv("_VIBE_COMPLETE")
        assert (ended.value.code, err) == (0, "")
        pairs = (each.partition("\t") for each in out.splitlines() if each)
        return {value: about for value, _, about in pairs}

    return answers


def test_the_first_word_is_a_command_or_a_workflow(complete: Complete) -> None:
    found = complete("vibe ")
    assert list(found)[: len(COMMANDS)] == list(COMMANDS)
    assert found["trace"] == COMMANDS["trace"].about
    assert found["multi-review"] == "built-in"  # nobody has read it yet, and completing a name reads nothing
    assert found["re-view"] == "project"
    assert list(complete("vibe re_")) == ["re_view"]
    assert list(complete("vibe --v")) == ["--version"]


def test_a_workflows_own_options_come_first_and_those_given_no_more(complete: Complete) -> None:
    found = complete("vibe re-view --path src --")
    assert list(found)[:4] == ["--max-files", "--deep", "--mode", "--args"]
    assert complete("vibe re-view --pa") == {"--path": "what to look at (default: .)"}
    assert complete("vibe run re-view --deep --pa") == complete("vibe re-view --pa")


def test_a_name_that_is_vibes_own_is_offered_as_a_pair_or_after_two_dashes(complete: Complete) -> None:
    assert list(complete("vibe re-view mo")) == ["model=", "mode="]
    assert list(complete("vibe re-view -- --mo")) == ["--model", "--mode"]
    assert complete("vibe re-view --model")["--model"].startswith("The model of steps")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("vibe re-view --mode ", ["fast", "slow"]),
        ("vibe re-view --mode=s", ["--mode=slow"]),
        ("vibe re-view mode=", ["mode=fast", "mode=slow"]),
        ("vibe re-view --deep=", ["--deep=true", "--deep=false"]),
        ("vibe re-view deep=f", ["deep=false"]),
        ("vibe re-view --max-files ", []),
        ("vibe re-view --no-", ["--no-deep"]),
        ("vibe re-view --path=fl", ["--path=flow.py"]),
        ("vibe re-view --args ", ["@"]),
        ("vibe re-view --args @wo", ["@workflows/"]),
        ("vibe re-view -o fl", ["flow.py"]),
        ("vibe re-view --sandbox-accept ", ["strong", "good", "weak"]),
        ("vibe re-view --allow w", ["write", "web"]),
        ("vibe re-view --allow write,comm", ["write,command:pytest", "write,command"]),
        ("vibe re-view --refresh ", ["Look", "Judge"]),
        ("vibe run fl", ["flow.py"]),
        ("vibe run re", ["re-view"]),
        ("vibe run workflows/", ["workflows/re_view.py"]),
        ("vibe show w", ["workflows/"]),
        ("vibe cache im", ["import"]),
        ("vibe config catalog.", ["catalog.builtin", "catalog.hide"]),
        ("vibe new x --from p", ["pipeline"]),
        ("vibe nope --x", []),
        ("vibe trace ", []),
    ],
)
def test_values_are_what_may_stand_there(complete: Complete, line: str, found: list[str]) -> None:
    assert list(complete(line)) == found


def test_model_aliases_come_from_the_config(complete: Complete, here: CommandHere) -> None:
    here.command.write("../home/.config/vibe/config.yaml", "aliases: {big: openai/large}\nmodel: openai/small\n")
    assert complete("vibe run flow.py -m ") == {"big": "openai/large", "openai/small": "the configured model"}
    assert list(complete("vibe run flow.py --model big=")) == ["big=big", "big=openai/small"]


def test_runs_are_offered_latest_first_and_steps_by_their_number(complete: Complete, here: CommandHere) -> None:
    for topic in ("tea", "ice"):
        assert here("run", "flow.py", "--offline", f"topic={topic}").returncode == 0
    before = _held(here.project / ".vibe")
    complete("vibe trace ")
    complete("vibe run flow.py --refresh ")
    assert _held(here.project / ".vibe") == before
    ids = [each["run"] for each in json.loads(here("runs", "--json").stdout)]
    assert list(complete("vibe trace ")) == ids
    assert complete(f"vibe undo {ids[1][:6]}")[ids[1]].startswith("flow, completed, ")
    assert list(complete("vibe resume ")) == []
    assert complete("vibe why ") == {
        "1": "ask:0, completed",
        "2": "ask:1, completed",
        "3": "merge, completed",
        **{f"{each}:": complete("vibe trace ")[each] for each in ids},
    }
    assert f"{ids[1]}:3" in complete(f"vibe why {ids[1]}:")
    assert list(complete("vibe run flow.py --refresh ")) == ["Ask", "Merge", "ask:0", "ask:1", "merge"]


def _held(folder: Path) -> list[tuple[str, int]]:
    return sorted((each.name, each.stat().st_mtime_ns) for each in folder.iterdir())


def test_nothing_is_said_where_nothing_can_be_known(complete: Complete, here: CommandHere) -> None:
    here.command.write("vibe.yaml", "nonsense: [1\n")
    assert list(complete("vibe tra")) == ["trace"]
    assert complete("vibe re-view --pa") == {}
    assert complete("vibe trace ") == {}


def test_a_broken_file_is_no_name_and_a_broken_line_no_error(complete: Complete, here: CommandHere) -> None:
    (here.project / "workflows/latin.py").write_bytes(b"# \xe9\n")
    os.mkfifo(here.project / "workflows/pipe.py")
    assert not {"latin", "pipe"} & set(complete("vibe "))
    for line in ("", "vibe", 'vibe "', "vibe \\", "vibe run '$(", "vibe run --args=@"):
        complete(line)


def test_only_a_workflow_that_stands_on_the_line_is_read_and_once(
    complete: Complete, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[None] = []

    def counted() -> AbstractContextManager[Zygote]:
        opened.append(None)
        return open_zygote()

    monkeypatch.setattr(sandboxing, "open_zygote", counted)
    complete("vibe ")
    assert opened == []
    complete("vibe re-view --")
    complete("vibe re-view --")
    assert opened == [None]
    assert complete("vibe ")["re-view"] == "Reviews."


def test_a_store_that_somebody_keeps_locked_is_not_waited_for(here: CommandHere, vibe: Command) -> None:
    assert here("run", "flow.py", "--offline").returncode == 0
    holder = sqlite3.connect(here.project / ".vibe/vibe.db", isolation_level=None)
    try:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("CREATE TABLE held (number INTEGER)")
        asked = {"_VIBE_COMPLETE": "fish_complete", scripts.LINE: "vibe trace "}
        done = vibe(environ=asked, timeout=12)  # readers of a store wait for 15 seconds
    finally:
        holder.close()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_file_that_looks_like_an_option_is_offered_by_a_path(here: CommandHere) -> None:
    (here.project / "--allow=write").touch()
    assert "./--allow=write" in [each.value for each in values.files("")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("vibe run ", (["vibe", "run"], "")),
        ("vibe run a\\ b", (["vibe", "run"], "a b")),
        ('vibe "a b" "c d', (["vibe", "a b"], "c d")),
        ("vibe '", (["vibe"], "")),
        ("vibe a\\", (["vibe"], "a")),
        ("", ([], "")),
    ],
)
def test_a_line_is_split_as_the_shell_would(line: str, words: tuple[list[str], str]) -> None:
    assert split_line(line) == words


@pytest.mark.parametrize(
    ("line", "quote"), [("a", ""), ("'a", "'"), ("\"a'", '"'), ("'a' \"b\"", ""), ('"a\\"', '"'), ("\\'a", "")]
)
def test_an_open_quote_is_known(line: str, quote: str) -> None:
    assert open_quote(line) == quote


# ---------------------------------------------------------------- vibe completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_printed_script_and_the_one_that_click_is_asked_for_are_the_same(
    here: CommandHere, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], shell: str
) -> None:
    printed = here("completion", shell).stdout
    assert scripts.MARK in printed
    monkeypatch.setenv("_VIBE_COMPLETE", f"{shell}_source")
    with pytest.raises(SystemExit):
        main([])
    assert capfd.readouterr().out == printed


_PLACES = {
    "bash": ".local/share/bash-completion/completions/vibe",
    "zsh": ".zfunc/_vibe",
    "fish": ".config/fish/completions/vibe.fish",
}


@pytest.mark.parametrize("shell", list(_PLACES))
def test_install_writes_where_the_shell_looks_and_twice_does_no_harm(
    here: CommandHere, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    file = here.command.home / _PLACES[shell]
    first = here("completion", "--install")
    assert (first.returncode, first.stdout) == (0, "")
    assert first.stderr.splitlines()[0] == f"{file}: written"
    assert file.read_text() == here("completion", shell).stdout
    assert here("completion", shell, "--install").stderr.splitlines()[0] == f"{file}: written already"
    file.write_text(f"# {scripts.MARK}\nold\n")
    assert here("completion", shell, "--install").stderr.splitlines()[0] == f"{file}: written anew"
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_install_leaves_the_file_of_somebody_else_alone(here: CommandHere) -> None:
    file = here.command.write("../home/.zfunc/_vibe", "#compdef vibe\n")
    done = here("completion", "zsh", "--install")
    assert done.returncode == 2
    assert "not written by vibe, and left as it is; move it away" in done.stderr
    assert file.read_text() == "#compdef vibe\n"


def test_install_writes_through_a_link_and_says_why_it_cannot(here: CommandHere, tmp_path: Path) -> None:
    (here.command.home / ".zfunc").symlink_to(tmp_path / "dotfiles")
    assert here("completion", "zsh", "--install").returncode == 0
    assert (tmp_path / "dotfiles/_vibe").is_file()
    (here.command.home / ".config").touch()
    done = here("completion", "fish", "--install")
    assert done.returncode == 2
    assert "vibe.fish: cannot be written: Not a directory" in done.stderr
    assert stat.S_ISREG((here.command.home / ".config").stat().st_mode)


def test_zsh_needs_no_advice_where_its_folder_is_read_already(here: CommandHere) -> None:
    assert "fpath=(" in here("completion", "zsh", "--install").stderr
    here.command.write("../home/.zshrc", "fpath=(~/.zfunc $fpath)\nautoload -Uz compinit && compinit\n")
    assert "fpath=(" not in here("completion", "zsh", "--install").stderr


def test_without_a_known_shell_it_asks_for_one(here: CommandHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    done = here("completion")
    assert done.returncode == 2
    assert "name the shell: vibe completion bash, zsh or fish" in done.stderr
