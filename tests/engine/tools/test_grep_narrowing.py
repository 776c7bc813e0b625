"""grep looks only into files that hold a text that the pattern needs, and finds the same as if it looked into all."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.commands import PlainCommands
from tests.support.projects import Project
from vibe_workflows.cli.commands import ConfinedCommands
from vibe_workflows.engine.agents.tools import grep as grep_module
from vibe_workflows.engine.agents.tools import ripgrep
from vibe_workflows.engine.agents.tools.literals import holds_one, required_literals
from vibe_workflows.engine.errors import ToolFailed
from vibe_workflows.engine.ports import CommandRunner

# ---------------------------------------------------------------- which texts a pattern needs


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("needle", ("needle",)),
        (r"def \w+\(self", ("(self",)),
        (r"^import .*trio$", ("import ",)),
        ("TODO|FIXME", ("TODO", "FIXME")),
        ("TODO|.*", ()),
        ("colou?r", ("colo",)),
        ("ab*c", ("a",)),
        ("ab+c", ("ab",)),
        ("x{2,3}yz", ("yz",)),
        ("x{,}yz", ("yz",)),
        ("a{b}c", ("a{b}c",)),
        (r"a\.b\-c\/d", ("a.b-c/d",)),
        ("(abc)?de", ("de",)),
        ("(?:abc)de", ("de",)),
        ("(?i)abc", ()),
        ("(?x) a b", ()),
        ("ab(?#comment)c", ()),
        (r"\x41bc", ()),
        (r"\N{BULLET}bc", ()),
        (r"(a)\1bc", ()),
        ("[abc]de[^]f]gh", ("de",)),
        (r"[\]abc]de", ("de",)),
        ("a\tbc", ("bc",)),
        ("café au lait", (" au lait",)),
        ("abc)", ()),
        ("(abc", ()),
        ("[abc", ()),
        ("abc\\", ()),
        ("", ()),
        (".*", ()),
    ],
)
def test_a_pattern_needs_the_longest_text_that_stands_in_it_as_it_is(pattern: str, literals: tuple[str, ...]) -> None:
    assert required_literals(pattern, ignore_case=False) == literals


def test_without_regard_to_case_letters_with_relatives_elsewhere_in_unicode_are_left_out() -> None:
    assert required_literals("Disk|NAME", ignore_case=True) == ("d", "name")
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0{-":
        found = set(re.findall(re.escape(letter), every, re.IGNORECASE))
        alone = found == {letter.lower(), letter.upper()}
        assert alone == bool(required_literals(re.escape(letter), ignore_case=True)), letter


_PIECES = st.sampled_from(
    [
        *(
            "a",
            "b",
            "Sk",
            "I",
            "ab",
            "\\.",
            "\\-",
            ".",
            "\\w",
            "\\d",
            "\\s",
            "\\b",
            "^",
            "$",
            "|",
            "*",
            "+",
            "?",
            "{2}",
        ),
        *("{0,1}", "{", "}", "(", ")", "(?:", "[ab]", "[^a]", "[]a]", "[", "]", "{,}", " ", "é", "\\", "\\x61", "(?i)"),
        *("(?=a)", "(?P<n>a)", "*?", "+?", "++", "#", "\t"),
    ]
)
_LINES = st.text(st.sampled_from("aAbBsSkKiIıſK.-x1 {}é\t#"), max_size=12)


@pytest.mark.filterwarnings("ignore:Possible :FutureWarning")
@settings(max_examples=1_000, deadline=None)
@given(st.lists(_PIECES, max_size=8).map("".join), _LINES, st.booleans())
@example("ab{0,1}", "a", False)
@example("s", "ſ", True)
def test_whatever_a_pattern_matches_holds_one_of_its_literals(pattern: str, line: str, ignore_case: bool) -> None:
    try:
        matches = re.search(pattern, line, re.IGNORECASE if ignore_case else 0)
    except re.error:
        return
    literals = [each.encode() for each in required_literals(pattern, ignore_case=ignore_case)]
    if matches and literals:
        assert holds_one(line.encode(), literals, ignore_case=ignore_case)


# ---------------------------------------------------------------- the same with and without

CALLS: list[dict[str, Any]] = [
    {"pattern": "needle"},
    {"pattern": "NEEDLE", "ignore_case": True},
    {"pattern": "kiss", "ignore_case": True},
    {"pattern": "needle|other"},
    {"pattern": r"need\w+ (\d+)", "limit": 2},
    {"pattern": "needle", "path": "deep"},
    {"pattern": "needle", "glob": "*.py"},
    {"pattern": "^needle$"},
    {"pattern": ".import"},
    {"pattern": "n.edle"},
    {"pattern": "-e"},
    {"pattern": "absent"},
]


def _fill(project: Project) -> None:
    project.write(".gitignore", "*.log\nbuild/\n")
    project.write("a.py", "x\nneedle 1\nother\n")
    project.write("-e", "-e needle\n")
    project.write("deep/er/b.py", "needle 22\r\nneedle\r\n")
    project.write("deep/latin", "n\xe9edle needle\n".encode("latin-1"))
    project.write("deep/utf16", "needle\n".encode("utf-16"))
    project.write("deep/chinese", "\ufeff\u6f22\u5b57\n".encode("utf-16-le") + b"needle\n")
    project.write("deep/bom", b"\xef\xbb\xbfimport needle\n")
    project.write("deep/binary", b"\0needle\n")
    project.write("kelvin", "\u212ai\u017f\u017f\n")
    project.write("x.log", "needle\n")
    project.write("build/x", "needle\n")
    project.write(".env", "needle\n")
    project.write("new\nline", "needle\n")
    project.write(".ripgreprc", "--invert-match\n")
    project.write(".ignore", "*\n")
    project.write(".rgignore", "*\n")
    project.write("large", b"needle\n" * 400_000)
    (project.root / "link").symlink_to("a.py")
    (project.root / "linked").symlink_to("deep")
    (project.root / "loop").symlink_to(".")


def _results(root: Path, commands: CommandRunner) -> list[Any]:
    project = Project(root, commands=commands)
    return [project.call("grep", **arguments) for arguments in CALLS]


@pytest.fixture
def everything(tmp_path: Path) -> list[Any]:
    """What is found when every file is looked into."""
    _fill(Project(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grep_module, "required_literals", lambda _pattern, *, ignore_case: ())
        results = _results(tmp_path, PlainCommands(tmp_path, environ={"PATH": "/nonexistent"}))
    assert [len(result.data["matches"]) > 0 for result in results] == [True] * 11 + [False]
    return results


def test_looking_only_into_files_that_hold_a_literal_finds_the_same(tmp_path: Path, everything: list[Any]) -> None:
    assert _results(tmp_path, PlainCommands(tmp_path, environ={"PATH": "/nonexistent"})) == everything


@pytest.mark.skipif(shutil.which("rg") is None, reason="needs ripgrep")
@pytest.mark.parametrize("confined", [False, True], ids=["plain", "confined"])
def test_ripgrep_finds_the_same(
    tmp_path: Path, everything: list[Any], monkeypatch: pytest.MonkeyPatch, confined: bool
) -> None:
    monkeypatch.setattr(ripgrep, "WORTH_FILES", 0)
    monkeypatch.setenv("RIPGREP_CONFIG_PATH", str(tmp_path / ".ripgreprc"))
    plain = PlainCommands(tmp_path, environ=os.environ)
    runner = ConfinedCommands(tmp_path, accepted="strong", environ=os.environ) if confined else plain
    assert _results(tmp_path, runner) == everything
    assert confined or len(plain.ran) == len(CALLS) - 1  # of `kiss`, no letter can be told


# ---------------------------------------------------------------- how ripgrep is asked, with a stand-in for it

_STAND_IN = """\
#!{python} -S
import os, sys
flags, folders = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
for folder in folders:
    for name in sorted(os.listdir(folder)):
        if os.path.isfile(os.path.join(folder, name)) and "skip" not in name:
            sys.stdout.write(os.path.join(folder, name) + "\\0")
sys.exit({code})
"""


def _stand_in(folder: Path, code: int = 0) -> PlainCommands:
    """A `rg` that names all files in the folders that it is given, but for those with "skip" in their name."""
    folder.mkdir()
    program = folder / "rg"
    program.write_text(_STAND_IN.format(python=sys.executable, code=code))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return PlainCommands(folder.parent, environ={"PATH": str(folder)})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    for path in ("a.py", "skip.py", "-d/b.py", "build/c.py", "sub/deep/d.py"):
        Project(root).write(path, "needle\n")
    Project(root).write(".gitignore", "build/\n")
    return root


def _paths(root: Path, commands: PlainCommands, **arguments: Any) -> list[str]:
    commands.project = root
    found: Any = Project(root, commands=commands).data("grep", **{"pattern": "needle", **arguments})
    return [match["path"] for match in found["matches"]]


def test_ripgrep_is_asked_for_fixed_texts_in_folders_that_the_walk_found(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ripgrep, "WORTH_FILES", 0)
    commands = _stand_in(tmp_path / "bin")
    assert _paths(project, commands, pattern="needle|--pre=evil", ignore_case=True) == [
        "-d/b.py",
        "a.py",
        "sub/deep/d.py",
    ]
    (command,) = commands.ran
    assert command.argv[1:] == (
        *("--no-config", "--no-ignore", "--hidden", "--no-follow", "--text", "--encoding=none", "--max-depth=1"),
        *("--files-with-matches", "--null", "--fixed-strings", "--ignore-case"),
        *("--regexp=needle", "--regexp=--pre=ev"),
        *("--", "-d", ".", "sub/deep"),
    )


def test_ripgrep_is_not_asked_in_a_small_project_or_for_a_pattern_without_a_literal(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = _stand_in(tmp_path / "bin")
    assert "skip.py" in _paths(project, commands)
    monkeypatch.setattr(ripgrep, "WORTH_FILES", 0)
    assert "skip.py" in _paths(project, commands, pattern="(?i)NEEDLE")
    assert commands.ran == []


@pytest.mark.parametrize("code", [2, 127])
def test_where_ripgrep_could_not_look_at_everything_all_files_are_read(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(ripgrep, "WORTH_FILES", 0)
    commands = _stand_in(tmp_path / "bin", code)
    assert "skip.py" in _paths(project, commands)
    assert len(commands.ran) == 1


def test_many_folders_are_asked_for_in_several_commands(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ripgrep, "WORTH_FILES", 0)
    monkeypatch.setattr(ripgrep, "_FOLDER_BYTES", 1)
    commands = _stand_in(tmp_path / "bin")
    assert _paths(project, commands) == ["-d/b.py", "a.py", "sub/deep/d.py"]
    assert [command.argv[command.argv.index("--") + 1 :] for command in commands.ran] == [
        ("-d",),
        (".",),
        ("sub/deep",),
    ]


def test_a_pattern_that_is_wrong_is_an_error_where_nothing_holds_its_text_too(project: Path) -> None:
    assert required_literals("absent*{2}", ignore_case=False)
    with pytest.raises(ToolFailed, match="no regular expression"):
        Project(project).call("grep", pattern="absent*{2}")
