"""The scripted model of these tests: what it answers, how it fails, and that what a page promises is held."""

from __future__ import annotations

import pytest

from tests.support import catalog_jobs
from tests.support.catalog_jobs import Catalog, CutOff, look, turns

ASK = """\
async def main(args):
    asked = await parallel([agent(f"What is {n}?", tools=["read"], schema={"type": "array"}) for n in range(4)],
                           on_error="return")
    return [each if isinstance(each, list) else {"kind": each.kind} for each in asked]
"""
PAGE = '# ask\n\n## Result\n\n```json\n{"type": "array", "items": {"type": ["array", "object"]}}\n```\n'


@pytest.fixture
def ask(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    pages = tmp_path_factory.mktemp("pages")
    (pages / "ask.md").write_text(PAGE)
    monkeypatch.setattr(catalog_jobs, "PAGES", pages)
    catalog.project.write(".vibe/workflows/ask.py", ASK)
    catalog.project.write("a.txt", "one\n")
    return catalog


def test_answers_follow_what_is_asked_and_a_changed_file_costs_what_its_readers_cost(ask: Catalog) -> None:
    ask.model((("What is", "3"), turns(look("read_file", path="a.txt"), [3])), ("What is", [0]))
    first = ask.run("ask")
    assert first.result == [[0], [0], [0], [3]]
    assert first.document["usage"]["cost_microusd"] > 0
    ask.requires_free_rerun(first)
    ask.project.write("a.txt", "two\n")
    assert ask.again(first).prompts == ["What is 3?"] * 2


def test_every_other_conversation_is_turned_away_and_an_answer_is_cut_off(ask: Catalog) -> None:
    ask.model(("2?", CutOff(["a long answer", "of two parts"])), ("What is", [1]))
    ask.every_other_conversation_fails()
    assert ask.run("ask", "--concurrency", "1").result == [
        [1],
        {"kind": "provider_error"},
        {"kind": "truncated"},
        {"kind": "provider_error"},
    ]


def test_a_result_that_the_page_does_not_promise_fails_the_test(ask: Catalog) -> None:
    ask.model(("What is", [1]))
    (catalog_jobs.PAGES / "ask.md").write_text(PAGE.replace('["array", "object"]', '"string"'))
    with pytest.raises(AssertionError, match="documents another result"):
        ask.run("ask")
