"""What is made of the tools that a server lists: names, versions, what is left out, and what is kept on the disk."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.engine.mcp.listing import MAX_TOOLS, ListedTool, ListingCache, offered, sifted
from vibe_workflows.engine.mcp.names import MAX_NAME, qualified_names, server_of
from vibe_workflows.engine.mcp.schemas import schema_problem
from vibe_workflows.engine.mcp.server import McpServer

SERVER = McpServer(name="shelf", command=("shelf-server",))
OBJECT: dict[str, Any] = {"type": "object", "properties": {"query": {"type": "string"}}}


def listed(name: str, about: str = "", schema: dict[str, Any] = OBJECT) -> ListedTool:
    return ListedTool(name=name, description=about, parameters=schema)


# ---------------------------------------------------------------- names


@given(st.lists(st.text(alphabet="ab._- é", min_size=1, max_size=6), unique=True), st.randoms())
def test_names_are_unique_and_taken_by_every_provider_whatever_the_order(
    tools: list[str], shuffle: random.Random
) -> None:
    names = qualified_names("shelf", tools)
    assert len(set(names.values())) == len(names)
    assert all(re.fullmatch(r"shelf__[A-Za-z0-9_-]+", name) and len(name) <= MAX_NAME for name in names.values())
    shuffled = list(tools)
    shuffle.shuffle(shuffled)
    assert qualified_names("shelf", shuffled) == names


def test_a_name_that_can_stay_does_and_one_that_would_be_taken_for_it_gets_a_digest() -> None:
    names = qualified_names("shelf", ["a.b", "a_b", "c.d"])
    assert names["a_b"] == "shelf__a_b"
    assert re.fullmatch(r"shelf__a_b_[0-9a-f]{8}", names["a.b"])
    assert names["c.d"] == "shelf__c_d"


def test_long_names_are_cut_and_stay_apart() -> None:
    names = qualified_names("shelf", ["x" * 100, "x" * 101])
    assert len(set(names.values())) == 2
    assert {len(name) for name in names.values()} == {MAX_NAME}


@pytest.mark.parametrize(("name", "server"), [("shelf__search", "shelf"), ("a-b__c__d", "a-b"), ("read_file", "")])
def test_a_qualified_name_tells_its_server(name: str, server: str) -> None:
    assert server_of(name) == server


# ---------------------------------------------------------------- schemas


@pytest.mark.parametrize(
    "schema",
    [
        OBJECT,
        {"type": "object", "$defs": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a"}}},
        {"type": "object", "$defs": {"t": {"properties": {"next": {"$ref": "#/$defs/t"}}}}, "$ref": "#/$defs/t"},
        {"type": "object", "properties": {"a": {"pattern": "(a+)+$"}}},
    ],
)
def test_schemas_that_are_handed_on(schema: dict[str, Any]) -> None:
    assert schema_problem(schema) == ""


# ---------------------------------------------------------------- lists


def test_a_second_tool_of_a_name_and_tools_beyond_the_most_are_left_out() -> None:
    found = sifted([listed("a"), listed("a", "another"), *(listed(f"t{each}") for each in range(MAX_TOOLS))])
    assert len(found.tools) == MAX_TOOLS
    assert found.tools[0].description == ""
    assert found.left_out == (
        "its tool 'a' is left out: another one has that name",
        f"it has more than {MAX_TOOLS} tools; the others are left out",
    )


def test_a_long_description_is_cut() -> None:
    (tool,) = sifted([listed("a", "x" * 20_000)]).tools
    assert len(tool.description) < 8_100


def test_only_the_tools_that_the_configuration_names_are_offered() -> None:
    some = SERVER._replace(tools=("b",))
    assert [tool.name for tool in offered(some, sifted([listed("a"), listed("b")]))] == ["shelf__b"]


@pytest.mark.parametrize(
    ("server", "tool"),
    [
        (SERVER, listed("a", "other words")),
        (SERVER, listed("a", schema={"type": "object"})),
        (SERVER._replace(command=("shelf-server", "--other")), listed("a")),
    ],
)
def test_a_tool_has_another_version_where_a_model_is_told_otherwise_or_another_program_answers(
    server: McpServer, tool: ListedTool
) -> None:
    (before,) = offered(SERVER, sifted([listed("a")]))
    (after,) = offered(server, sifted([tool]))
    assert before.version != after.version
    assert before.version < 1 << 53  # what every reader of JSON holds exactly


def test_the_version_does_not_depend_on_how_a_server_is_waited_for() -> None:
    (before,) = offered(SERVER, sifted([listed("a")]))
    (after,) = offered(SERVER._replace(timeout_s=1.0, ttl_s=1.0, env=("KEY",)), sifted([listed("a")]))
    assert before == after


def test_a_list_is_kept_by_what_the_configuration_says_of_its_server(tmp_path: Path) -> None:
    cache = ListingCache(tmp_path)
    listing = sifted([listed("a"), listed("a")])
    cache.save(SERVER, listing)
    assert cache.load(SERVER) == listing
    assert cache.load(SERVER._replace(command=("other-server",))) is None
    (file,) = (tmp_path / "mcp").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text('{"format": 1, "tools": 3}')
    assert cache.load(SERVER) is None


def test_a_folder_that_cannot_be_written_keeps_no_list_and_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "mcp").write_text("a file")
    cache = ListingCache(tmp_path)
    cache.save(SERVER, sifted([listed("a")]))
    assert cache.load(SERVER) is None
