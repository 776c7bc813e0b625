"""TAB in real shells, on a pseudo-terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shells import Shell, ShellHome, each_shell

_ASK = '''"""Asks: about each item (and merges)."""
meta = {"args": {"type": "object", "properties": {
    "path": {"type": "string", "description": "what to look at"},
    "mode": {"enum": ["fast", "deep"]},
}}}
return 1
'''

#: Each begins with a letter of its own, by which it is asked for.
_HOSTILE_FILES = (
    "a$(touch pwned).py", "b`touch pwned`.py", "c;touch pwned;.py", "d|touch pwned.py", "e&touch pwned&.py",
    "f'q\"q.py", "g\\b\\.py", "h{x,y}.py", "i*?[a].py", "j#k.py", "k${PWD}.py", "l$'\\n'.py",
    "m%F{red}.py", "n:o=p@q.py", "o<(touch pwned)>x.py", "pü日.py", "q!!.py", "r -- --allow=write.py",
)  # fmt: skip
_UNPRINTABLE_FILES = ("s\nt.py", "t\x1b]0;title\x07.py", "u\u202ev.py", "x\rtouch pwned\r.py")

shells = pytest.mark.parametrize("name", each_shell())


@pytest.fixture
def place(name: str, tmp_path: Path) -> ShellHome:
    made = ShellHome(name, tmp_path)
    (made.project / "vibe.yaml").touch()
    (made.project / "workflows").mkdir()
    (made.project / "workflows/ask_all.py").write_text(_ASK)
    script = shlex.quote(str(tmp_path / "completion"))
    (tmp_path / "completion").write_text(made.vibe("completion", name).stdout)
    with made.start_file.open("a") as file:
        file.write(f"source {script}\n")
    return made


@pytest.fixture
def shell(place: ShellHome) -> Iterator[Shell]:
    with place.started() as started:
        yield started


@shells
def test_tab_completes_names_options_values_and_files(place: ShellHome, shell: Shell) -> None:
    (place.project / "my notes.txt").touch()
    (place.project / "src").mkdir()
    (place.project / "src/deep one.py").touch()
    assert shell.completed("vibe ask\t--pa\tmy\t--mode f\t") == [
        "vibe",
        "ask-all",
        "--path",
        "my notes.txt",
        "--mode",
        "fast",
    ]
    assert shell.completed("vibe ask_a\tmode=d\tpath=sr\tde\t") == [
        "vibe",
        "ask_all",
        "mode=deep",
        "path=src/deep one.py",
    ]
    assert shell.completed("vibe run --args @my\t") == ["vibe", "run", "--args", "@my notes.txt"]
    assert shell.completed('vibe run "src/d\t') == ["vibe", "run", "src/deep one.py"]
    assert shell.completed("vibe comp\tz\t --ins\t") == ["vibe", "completion", "zsh", "--install"]


@shells
def test_the_list_shows_commands_and_workflows_with_what_they_are(name: str, place: ShellHome, shell: Shell) -> None:
    place.vibe("list")  # so that the description is known
    shell.type("vibe \t\t")
    shell.until("ask-all")
    if name != "bash":  # which has no place for descriptions
        shell.until("Asks: about each item (and merges).")
        shell.until("Take the edits of a run back.")


@shells
def test_answers_of_the_same_description_keep_their_order(place: ShellHome, shell: Shell) -> None:
    names = ["zeta", "beta", "alpha"]  # as runs of one workflow and day, the latest first
    config = place.home / ".config/vibe/config.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f"aliases: {{{', '.join(f'{name}: openai/x' for name in names)}}}\n")
    shell.type("vibe ask-all -m \t\t")
    for name in names:
        text = shell.until(name).text
    assert min(names, key=text.rindex) == names[0]


@shells
def test_a_files_name_is_inserted_as_what_it_is_and_never_run(place: ShellHome, shell: Shell) -> None:
    for each in (*_HOSTILE_FILES, *_UNPRINTABLE_FILES):
        (place.project / each.replace("/", "-")).touch()
    for each in _HOSTILE_FILES:
        assert shell.completed(f"vibe cache import {each[0]}\t")[3:] == [each]
    for each in _UNPRINTABLE_FILES:
        assert shell.completed(f"vibe cache import {each[0]}\t")[3:] == [each[0]]
    assert not (place.project / "pwned").exists()
    assert "\x1b]0;title" not in shell.screen().output


@shells
def test_a_description_can_neither_run_nor_steer_the_terminal(place: ShellHome, shell: Shell) -> None:
    (place.project / "workflows/bad.py").write_text(
        'meta = {"description": "Says $(touch pwned) `touch pwned` %F{red} \\x1b]0;title\\x07 \\\\n\\nx: y\\tz",'
        ' "args": {"type": "object", "properties": {"a": {"enum": ["$(touch pwned)", "x\\ny", "\\x1b]0;title\\x07"]}}}}'
        "\nreturn 1\n"
    )
    place.vibe("list")
    shell.type("vibe b\t\tmode\x15vibe \t\t")
    shell.until("ask-all")
    assert shell.completed("\x15vibe bad --a=\t") == ["vibe", "bad", "--a=$(touch pwned)"]
    assert not (place.project / "pwned").exists()
    assert "\x1b]0;title" not in shell.screen().output


@shells
def test_tab_after_a_strangers_program_of_the_same_name_does_not_run_it(place: ShellHome, shell: Shell) -> None:
    stranger = place.project / "vibe"
    stranger.write_text("#!/bin/sh\ntouch pwned\necho pwned\n")
    stranger.chmod(0o755)
    assert shell.completed("./vibe comp\t") in (["./vibe", "completion"], ["./vibe", "comp"])
    assert not (place.project / "pwned").exists()


@shells
def test_what_install_says_is_all_that_is_to_do(name: str, tmp_path: Path) -> None:
    place = ShellHome(name, tmp_path)
    done = place.vibe("completion", name, "--install")
    assert done.returncode == 0
    before = place.start_file.read_text() if name == "bash" else ""  # zsh's lines have to stand before compinit
    todo = "".join(line.removeprefix("    ") + "\n" for line in done.stderr.splitlines() if line.startswith("    "))
    place.start_file.write_text(f"{before}{todo}" + ("PS1='$ '\n" if name == "zsh" else "")) if todo else None
    with place.started() as shell:
        assert shell.completed("vibe comp\t") == ["vibe", "completion"]
