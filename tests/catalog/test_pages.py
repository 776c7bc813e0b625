"""Every built-in workflow has a page in docs/catalog, which names all that its metadata declares."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.catalog_jobs import PAGES, result_schema
from vibe_workflows.catalog.discovery import BUILTIN_FOLDER

WORKFLOWS = sorted(BUILTIN_FOLDER.glob("[!_]*.py"))
#: What a reader looks for, wherever it stands.
HEADINGS = ("## Arguments", "## How it decides", "## What it costs", "## Result", "## Permissions and limits")


def name_of(path: Path) -> str:
    return path.stem.replace("_", "-")


def meta_of(path: Path) -> dict[str, Any]:
    (value,) = [
        node.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "meta"
    ]
    meta: dict[str, Any] = ast.literal_eval(value)
    return meta


def amount(unit: str, limit: float) -> str:
    if unit == "usd":
        return f"${limit:g}"
    if unit != "tokens":
        return f"{limit:,} {unit}"
    return f"{limit / 1_000_000:g}M tokens" if limit >= 1_000_000 else f"{limit / 1_000:g}k tokens"


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_the_page_names_every_argument_phase_permission_and_limit(path: Path) -> None:
    name, meta = name_of(path), meta_of(path)
    page = (PAGES / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    assert f"    $ vibe {name}" in page, "an invocation that runs"
    wanted = [f"`--{argument.replace('_', '-')}`" for argument in meta["args"]["properties"]]
    wanted += [f"**{phase}**" for phase in meta["phases"]]
    wanted += [f"`{permission}`" for permission in meta["permissions"]]
    wanted += [amount(*limit) for limit in meta["budget"].items()]
    wanted += HEADINGS
    assert [each for each in wanted if each not in page] == []
    for argument, told in meta["args"]["properties"].items():
        row = re.search(rf"^\| `--{argument.replace('_', '-')}` \|(.*)$", page, re.MULTILINE)
        assert row is not None, f"--{argument} is no row of the table"
        if isinstance(told.get("default"), str | int) and told["default"] != "":
            assert json.dumps(told["default"]).strip('"') in row[1], f"the default of --{argument}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_the_page_documents_the_result_as_a_schema(path: Path) -> None:
    schema = result_schema(name_of(path))
    assert not jsonschema.Draft202012Validator(schema).is_valid(0), "it promises something"


def test_the_index_has_all_of_them_and_nothing_else() -> None:
    index = (PAGES / "README.md").read_text()
    rows = re.findall(r"^\| \[([a-z-]+)\]\(([a-z-]+)\.md\) \|", index, re.MULTILINE)
    assert all(name == page for name, page in rows)
    assert sorted(name for name, _ in rows) == sorted(name_of(path) for path in WORKFLOWS)
    assert sorted(page.stem for page in PAGES.glob("[!R]*.md")) == sorted(name_of(path) for path in WORKFLOWS)
