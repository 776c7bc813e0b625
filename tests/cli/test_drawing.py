"""A picture that is drawn over on a terminal, as its bytes and as pyte renders them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

from tests.support.terminals import Terminal, terminal_of
from vibe_workflows.cli.render.drawing import Drawing
from vibe_workflows.cli.render.live import LiveProgress
from vibe_workflows.cli.render.paint import Line, Span, Style
from vibe_workflows.cli.render.sanitize import cell_width, folded
from vibe_workflows.engine.events import Logged


def lines(*texts: str) -> list[Line]:
    return [(Span(text, Style.GOOD),) for text in texts]


@contextmanager
def drawn(columns: int = 40, rows: int = 10) -> Iterator[tuple[Terminal, Drawing]]:
    with terminal_of(columns, rows) as terminal, stream_to(terminal) as stream:
        yield terminal, Drawing(stream)


@contextmanager
def stream_to(terminal: Terminal) -> Iterator[TextIO]:
    with open(terminal.path, "w") as stream:
        yield stream


def seen(terminal: Terminal) -> list[str]:
    """What is on the terminal once all of it has arrived."""
    return list(terminal.until(lambda screen: screen.output.endswith("\x1b[?2026l")).lines)


def test_a_picture_takes_the_place_of_the_one_before_and_leaves_the_cursor_below_it() -> None:
    with drawn() as (terminal, drawing):
        drawing.draw([], lines("one", "two", "three"), columns=40)
        assert seen(terminal) == ["one", "two", "three"]
        drawing.draw([], lines("one", "2"), columns=40)
        assert terminal.until(lambda screen: "three" not in screen.text).lines == ("one", "2")
        assert terminal.screen().cursor == (0, 2)
        assert terminal.screen().cursor_shown


def test_what_scrolls_away_stands_above_the_picture() -> None:
    with drawn() as (terminal, drawing):
        for number in range(30):
            drawing.draw(lines(f"log {number}"), lines("tree", f"total {number}"), columns=40)
        screen = terminal.until("total 29")
        assert list(screen.lines) == [*(f"log {number}" for number in range(30)), "tree", "total 29"]


def test_only_lines_that_changed_are_sent() -> None:
    with drawn() as (terminal, drawing):
        drawing.draw([], lines("a long line that stays", "0s"), columns=40)
        drawing.draw([], lines("a long line that stays", "1s"), columns=40)
        assert terminal.until("1s").output.count("stays") == 1


def test_a_line_that_is_too_long_is_cut_off_and_never_broken() -> None:
    with drawn() as (terminal, drawing):
        drawing.draw([], lines("x" * 60, "end"), columns=80)  # as where the window just became narrower
        screen = terminal.until("end")
        assert len(screen.lines) == 2
        assert not screen.wrapped


@pytest.mark.parametrize("width", [39, 20, 11])
def test_where_a_narrower_terminal_broke_its_lines_all_of_them_are_erased(width: int) -> None:
    """pyte cuts lines off where others break them: so what they broke is written here as they would."""
    broken = [part for line in ("a" * 39, "b" * 25) for part in folded_hard(line, width)]
    with drawn(width, 24) as (terminal, drawing):
        drawing.draw([], lines("a" * 39, "b" * 25), columns=40)
        seen(terminal)
        with stream_to(terminal) as stream:
            stream.write("\x1b[H\x1b[J" + "".join(f"{part}\n" for part in broken))
            stream.flush()
        drawing.draw([], lines("new", "picture"), columns=width)
        assert terminal.until("picture").lines == ("new", "picture")


def folded_hard(line: str, width: int) -> list[str]:
    return [line[at : at + width] for at in range(0, len(line), width)]


def test_before_a_run_has_begun_nothing_is_drawn() -> None:
    with terminal_of(40, 10) as terminal, stream_to(terminal) as stream:
        view = LiveProgress(stream)
        view.start()
        view.close()
        assert terminal.until(lambda screen: bool(screen.output)).lines == ()


def test_a_long_line_above_the_tree_is_broken_between_words() -> None:
    with terminal_of(40, 10) as terminal, stream_to(terminal) as stream:
        view = LiveProgress(stream)
        view.handle(Logged(at=1.0, message="many words " * 8))
        view.start()
        view.close()
        screen = terminal.until(lambda screen: bool(screen.output))
        assert not screen.wrapped
        assert " ".join(" ".join(screen.lines).split()) == ("many words " * 8).strip()


# ---------------------------------------------------------------- lines that are broken


def test_a_broken_line_keeps_its_indent_and_its_commands_whole() -> None:
    text = "  everything is kept. To go on: `vibe resume 7f4c8e115e --budget LIMIT`, or the same command"
    found = folded(text, 50, indent=2)
    assert found == [
        "  everything is kept. To go on:",
        "    `vibe resume 7f4c8e115e --budget LIMIT`, or",
        "    the same command",
    ]


@pytest.mark.parametrize("text", ["", "one", "a `b", "`" * 7, "x" * 90, " " * 90, "日本語 " * 20, "a  b\tc " * 20])
def test_breaking_a_line_loses_no_word(text: str) -> None:
    found = folded(text, 30, indent=2)
    assert "".join(" ".join(found).split()) == "".join(text.split())
    assert all(cell_width(line.strip()) <= 30 or " " not in line.strip() for line in found)


def test_a_terminal_that_is_gone_is_an_error_and_no_hang() -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream:
        drawing = Drawing(stream)
        os.close(master)
        with pytest.raises(OSError):
            drawing.draw([], lines("x"), columns=40)
