"""Which model a step gets, who chose it, who takes over where it fails, and what it costs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from tests.support.config_place import Place
from vibe_workflows.catalog.metadata import Metadata
from vibe_workflows.cli.models import model_resolver
from vibe_workflows.engine.agents.profile_text import Profile
from vibe_workflows.engine.agents.tools.registry import ToolBox
from vibe_workflows.engine.backends.estimate import text_tokens
from vibe_workflows.engine.config import Settings
from vibe_workflows.engine.config_layers import Layer
from vibe_workflows.engine.errors import ConfigError, SetupError
from vibe_workflows.engine.keys import canonical_spec
from vibe_workflows.engine.prices import ModelPrice
from vibe_workflows.engine.requests import Horizons, StepDefaults, StepRequest, StepRequests
from vibe_workflows.engine.routing import resolve_fallbacks, resolve_model, star_match

_DEFAULTS = StepDefaults(max_tokens=1, max_turns=1, timeout_s=1, retries=0)
_HORIZONS = Horizons(run=None, lineage_start=0, now=0)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


class OneProfile:
    """Any name is that of a profile, which names this model."""

    def __init__(self, model: str) -> None:
        self._model = model

    def get(self, name: str) -> Profile:
        return Profile(name=name, where=f"{name}.md", model=self._model)


def asked(
    held: Settings,
    *,
    phase: str = "",
    phase_model: str = "",
    profile_model: str = "",
    meta_model: str = "",
    **params: Any,
) -> StepRequest:
    """What the call of a script becomes, through the resolver that a run has."""
    requests = StepRequests(
        tools=ToolBox(()),
        resolve_model=model_resolver(held, Metadata(name="flow", model=meta_model)),
        defaults=_DEFAULTS,
        horizons=_HORIZONS,
        profiles=OneProfile(profile_model),
    )
    return requests.agent(msgspec.json.encode({"prompt": "p", **params}), phase=phase, phase_model=phase_model)


# ---------------------------------------------------------------- who has the last word

#: From the strongest to the weakest, with the reason that the trace gives.
SOURCES = {
    "agent": "agent(model=)",
    "profile": "profile critic",
    "phase": "phase(model=)",
    "rule": "routing rule 2",
    "flag": "--model",
    "meta": 'meta["model"]',
    "config": "config",
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    named=st.fixed_dictionaries({}, optional={source: st.sampled_from(["fast", "smart", "x/y"]) for source in SOURCES}),
    moved=st.sampled_from([None, "fast", "smart"]),
)
def test_the_first_that_names_a_model_wins_and_is_named_in_the_trace(
    tmp_path_factory: pytest.TempPathFactory, named: dict[str, str], moved: str | None
) -> None:
    place = Place(tmp_path_factory.mktemp("case"))
    aliases = {"fast": "a/fast", "smart": "a/smart"}
    rules = [{"phase": "Other", "model": "never/one"}]
    if "rule" in named:
        rules.append({"phase": "Rev*", "label": "bug:*", "profile": "crit*", "model": named["rule"]})
    config = {"aliases": aliases, "routing": rules}
    place.user(yaml.safe_dump(config | ({"model": named["config"]} if "config" in named else {})))
    flags = [named["flag"]] if "flag" in named else []
    if moved is not None:
        flags.append(f"{moved}=b/moved")
        aliases[moved] = "b/moved"
    request = asked(
        place.load(model=flags or None),
        phase="Review",
        label="bug:1",
        profile="critic",
        profile_model=named.get("profile", ""),
        phase_model=named.get("phase", ""),
        meta_model=named.get("meta", ""),
        **({"model": named["agent"]} if "agent" in named else {}),
    )
    first = next((source for source in SOURCES if source in named), None)
    if first is None:
        assert (request.spec.model, request.model_reason) == ("offline", "no model is configured")
        return
    name = named[first]
    assert request.spec.model == aliases.get(name, name)
    assert request.model_reason == SOURCES[first] + (f", alias {name}" if name in aliases else "")


def test_nothing_stands_in_for_the_offline_model(place: Place) -> None:
    place.user("aliases: {none: offline/x}\nfallbacks: {none: a/b}\n")
    assert asked(place.load(), model="none").spec.fallbacks == ()


def test_offline_answers_whatever_was_named_and_says_so(place: Place) -> None:
    place.user("fallbacks: {a/b: c/d}\n")
    request = asked(place.load(offline=True), model="a/b")
    assert (request.spec.model, request.spec.fallbacks) == ("offline", ())
    assert request.model_reason == "offline was asked for"


@pytest.mark.parametrize("where", ["model", "profile_model", "phase_model", "meta_model"])
def test_a_script_may_not_name_an_address(place: Place, where: str) -> None:
    with pytest.raises(SetupError, match="holds an address"):
        asked(place.load(), profile="critic", **{where: "http://evil"})


def test_a_rule_may_ask_for_a_profile(place: Place) -> None:
    place.user("model: a/b\nrouting: [{profile: 'crit*', model: c/d}]\n")
    held = place.load()
    assert asked(held, profile="critic").spec.model == "c/d"
    assert asked(held, profile="other").spec.model == "a/b"
    assert asked(held).spec.model == "a/b"


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
@example("*a*a*", "ba")
@example("a*a", "a")
def test_a_star_stands_for_any_characters(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    assert star_match(pattern, text) is expected


# ---------------------------------------------------------------- routing by size


def test_a_rule_by_size_takes_what_is_larger_than_it_says(place: Place) -> None:
    place.user("model: a/small\nrouting:\n- {prompt_tokens_over: 30, label: big, model: a/large}\n")
    held = place.load()
    parts = {"system": "s" * 35, "context": "c" * 35, "prompt": "p" * 35}
    assert sum(map(text_tokens, parts.values())) == 30
    assert asked(held, label="big", **parts).spec.model == "a/small"
    for name, text in parts.items():
        larger = asked(held, label="big", **{**parts, name: text + "x"})
        assert (larger.spec.model, larger.model_reason) == ("a/large", "routing rule 1")
        assert asked(held, label="other", **{**parts, name: text + "x"}).spec.model == "a/small"


def test_a_size_is_estimated_at_most_once_and_only_for_a_rule_that_asks(place: Place) -> None:
    sizes: list[int] = []

    def size() -> int:
        sizes.append(1)
        return 7

    place.user("model: a/b\nrouting: [{phase: X, model: a/x}]\n")
    resolve_model(place.load(), phase="Y", prompt_tokens=size)
    assert sizes == []
    place.user("model: a/b\nrouting: [{prompt_tokens_over: 1k, model: a/x}, {prompt_tokens_over: 7, model: a/y}]\n")
    assert resolve_model(place.load(), prompt_tokens=size).model == "a/b"
    assert sizes == [1]


# ---------------------------------------------------------------- fallbacks


def test_the_list_of_the_name_that_was_asked_for_counts_first(place: Place) -> None:
    place.user(
        "aliases: {smart: best, best: a/one, cheap: c/three}\n"
        "fallbacks: {smart: [b/two, cheap], best: [x/best], a/one: x/own, other/m: [smart, a/one]}\n"
    )
    held = place.load()
    assert asked(held, model="smart").spec.fallbacks == ("b/two", "c/three")
    assert asked(held, model="best").spec.fallbacks == ("x/best",)
    assert asked(held, model="a/one").spec.fallbacks == ("x/own",)
    assert asked(held, model="other/m").spec.fallbacks == ("a/one",), "both names stand for one model"
    assert asked(held, model="b/two").spec.fallbacks == ()


def test_fallbacks_change_the_key_of_a_step_only_where_there_are_some(place: Place) -> None:
    plain = asked(place.load(), model="a/one")
    place.user("fallbacks: {b/two: c/three}\n")
    assert asked(place.load(), model="a/one").key == plain.key
    place.user("fallbacks: {a/one: c/three}\n")
    changed = asked(place.load(), model="a/one")
    assert changed.key != plain.key
    assert '"fallbacks":["c/three"]' in canonical_spec(changed.spec)


def test_fallbacks_add_up_and_two_models_may_stand_in_for_each_other(place: Place) -> None:
    place.user("fallbacks: {a/one: b/two, c/three: d/four}\n")
    place.vibe_yaml("fallbacks: {c/three: e/five, b/two: [a/one]}\n")
    held = place.load({"VIBE_FALLBACKS": '{"d/four": ["a/one"]}'})
    assert held.warnings == ()
    assert held.fallbacks == {"a/one": ("b/two",), "b/two": ("a/one",), "c/three": ("e/five",), "d/four": ("a/one",)}
    assert held.sources["fallbacks.c/three"].layer is Layer.PROJECT
    assert asked(held, model="a/one").spec.fallbacks == ("b/two",)
    assert asked(held, model="b/two").spec.fallbacks == ("a/one",)


def test_a_model_that_would_stand_in_for_itself_is_left_out_with_a_warning(place: Place) -> None:
    place.user("aliases: {smart: a/one}\nfallbacks:\n  smart: [a/one, b/two]\n")
    held = place.load()
    (warning,) = held.warnings
    assert warning == (
        f"{place.user_file}:2: `fallbacks` of `smart`: some of a/one, b/two stand for one model, or for the one that "
        "would have failed; each model is asked once"
    )
    assert asked(held, model="smart").spec.fallbacks == ("b/two",)
    assert place.load(model="smart=c/three").warnings == ()


names = st.sampled_from(["a", "b", "c", "m/1", "m/2", "m/3"])


@given(
    aliases=st.dictionaries(st.sampled_from(["a", "b", "c"]), names),
    listed=st.dictionaries(names, st.lists(names, unique=True, max_size=4).map(tuple)),
    name=names,
)
def test_fallbacks_are_models_none_twice_and_never_the_one_that_failed(
    aliases: Mapping[str, str], listed: Mapping[str, tuple[str, ...]], name: str
) -> None:
    try:
        found = resolve_fallbacks(aliases, listed, name)
    except ConfigError:
        event("a circle of aliases")  # refused when settings are loaded, before any step
        return
    assert not set(found) & set(aliases)
    assert len(set(found)) == len(found)
    asked_for, model = name, name
    while model in aliases:
        model = aliases[model]
    assert model not in found
    if asked_for in listed:
        assert len(found) <= len(listed[asked_for])


# ---------------------------------------------------------------- keys of the environment


def test_mappings_come_from_the_environment_as_json(place: Place) -> None:
    held = place.load(
        {
            "VIBE_ALIASES": '{"fast": "a/b"}',
            "VIBE_ROUTING": '[{"phase": "X", "model": "fast"}]',
            "VIBE_PRICES": '{"a/b": {"input": 1, "output": 2.5}}',
            "VIBE_API_BASES": '{"openai": "http://localhost:1/v1/"}',
            "VIBE_PREFIX_WARMUP": "off",
        }
    )
    assert held.aliases == {"fast": "a/b"}
    assert held.routing[0].model == "fast"
    assert held.prices == {"a/b": ModelPrice(input=1, output=2.5, cached=1, cache_write=1)}
    assert held.api_bases == {"openai": "http://localhost:1/v1"}
    assert not held.prefix_warmup
    assert place.error({"VIBE_ALIASES": "fast=a/b"}) == (
        'VIBE_ALIASES: a JSON object is needed, such as `{"fast": "openai/gpt-5-mini"}`, not `fast=a/b`'
    )
    assert place.error({"VIBE_PRICES": "[" * 100_000}).startswith("VIBE_PRICES: a JSON object is needed")
