"""Whatever an import is given: it is refused in words, or what comes of it is a step like those that runs write."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.engine.store.test_transfer import good
from vibe_workflows.engine.errors import ConfigError
from vibe_workflows.engine.keys import step_key
from vibe_workflows.engine.model import IMPORT_PREFIX, RunId, StepStatus
from vibe_workflows.engine.store.blobs import deflate
from vibe_workflows.engine.store.imports import check_file
from vibe_workflows.engine.store.migrate import migrate
from vibe_workflows.engine.store.portable import header_line, read_line
from vibe_workflows.engine.store.writer import write_records

NOW = 5_000.0
IMPORT = RunId(f"{IMPORT_PREFIX}1")
GOOD = good()

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from(["[" * 2000, '{"kind":"agent"}', '"\\ud800"', "\ud800", "run1-1", "x" * 3000, "null"]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    for name in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from paths(value[name], (*path, name))


PATHS = [path for path in paths(GOOD) if path]


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    """A store of the latest schema, in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        list(migrate(connection, Path(":memory:")))
        connection.create_function("deflate", 1, deflate)
        yield connection


@given(st.lists(st.tuples(st.sampled_from(PATHS), values), min_size=1, max_size=3), st.booleans())
@example([(("result",), '"another"')], True)
@example([(("tool_calls", 0, "output"), "another")], False)
def test_a_line_with_anything_in_it_is_refused_or_becomes_a_step(
    database: sqlite3.Connection, changes: list[tuple[tuple[str | int, ...], Any]], right_key: bool
) -> None:
    line = json.loads(json.dumps(GOOD))
    for path, value in changes:
        at: Any = line
        try:
            for name in path[:-1]:
                at = at[name]
            at[path[-1]] = value
        except (TypeError, LookupError):
            continue
    if right_key and isinstance(line["spec"], str):
        line["key"] = step_key(line["spec"].encode(errors="replace").decode())
    try:
        read = read_line(json.dumps(line).encode(), IMPORT, NOW)
    except ValueError:  # and nothing else
        return
    step = read.step
    assert (step.key, step.run_id, step.status) == (step_key(step.spec), IMPORT, StepStatus.COMPLETED)
    assert step.id.startswith("imported-")
    assert step.started_at <= step.finished_at <= NOW
    assert min(step.usage.input_tokens, step.usage.output_tokens, step.usage.cost_microusd or 0, step.turns) >= 0
    json.loads(step.result or "")
    write_records(database, [step, *read.turns, *read.tool_calls])


@given(st.binary(max_size=200))
@example(b'{"id":')
def test_a_line_of_any_bytes_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        read_line(line, IMPORT, NOW)


@given(at=st.integers(0, 10_000), change=st.integers(1, 255), cut=st.booleans())
def test_a_file_with_a_bit_turned_or_an_end_lost_is_refused_or_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, at: int, change: int, cut: bool
) -> None:
    data = bytearray(gzip.compress(header_line() + json.dumps(GOOD).encode() + b"\n", mtime=0))
    at %= len(data)
    if cut:
        del data[at:]
    else:
        data[at] ^= change
    file = tmp_path_factory.getbasetemp() / "turned.gz"
    file.write_bytes(data)
    try:
        found = check_file(file)
    except ConfigError:  # and nothing else
        return
    assert not cut
    assert found.steps == 1, "only gzip's own header was changed"
