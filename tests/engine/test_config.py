"""Where settings come from, who may set them, and what is said about what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.config_place import Place
from vibe_workflows.engine.config import Layer, parse_budget
from vibe_workflows.engine.config_keys import KEYS, Reach
from vibe_workflows.engine.errors import ConfigError
from vibe_workflows.engine.ports import Limits

LAYERS = (Layer.USER, Layer.PROJECT, Layer.ENVIRONMENT, Layer.FLAG)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_any_file_the_defaults_hold_and_say_so(place: Place) -> None:
    held = place.load()
    assert (held.concurrency, held.max_tokens, held.max_turns, held.timeout_s, held.retries) == (16, 16_384, 30, 600, 2)
    assert held.max_microusd == 10_000_000
    assert held.budget == Limits()
    assert held.db_path == place.project / ".vibe" / "vibe.db"
    assert not held.has_model
    assert held.warnings == ()
    assert {source.layer for source in held.sources.values()} == {Layer.BUILTIN}


def test_each_value_knows_its_file_and_line(place: Place) -> None:
    place.user("# mine\nretries: 5\nsandbox:\n  memory_mb: 512\naliases: {fast: a/b}\n")
    place.vibe_yaml("model: fast\n")
    held = place.load({"VIBE_CONCURRENCY": "3"}, timeout="20")
    assert str(held.sources["retries"]) == f"{place.user_file}:2"
    assert str(held.sources["sandbox.memory_mb"]) == f"{place.user_file}:4"
    assert str(held.sources["aliases.fast"]) == f"{place.user_file}:5"
    assert str(held.sources["model"]) == f"{place.project_file}:1"
    assert str(held.sources["concurrency"]) == "VIBE_CONCURRENCY"
    assert str(held.sources["timeout"]) == "--timeout"
    assert (held.retries, held.sandbox_memory_mb, held.concurrency, held.timeout_s) == (5, 512, 3, 20.0)


# ---------------------------------------------------------------- precedence

VALUES = {
    "model": st.sampled_from(["a/one", "b/two", "c/three"]),
    "concurrency": st.integers(1, 1000),
    "retries": st.integers(0, 20),
    "max_turns": st.integers(1, 100),
    "max_usd": st.integers(0, 50).map(float),
    "offline": st.booleans(),
}
FREE = {"model", "concurrency"}


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.fixed_dictionaries(
        {layer: st.fixed_dictionaries({}, optional=VALUES) for layer in LAYERS},
    ),
    trusted=st.booleans(),
)
def test_each_value_comes_from_the_highest_layer_that_may_set_it(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[Layer, dict[str, Any]], trusted: bool
) -> None:
    place = Place(tmp_path_factory.mktemp("case"))
    place.user(yaml.safe_dump(chosen[Layer.USER]))
    place.vibe_yaml(yaml.safe_dump(chosen[Layer.PROJECT]))
    if trusted:
        place.trust()
    variables = {f"VIBE_{name.upper()}": str(value) for name, value in chosen[Layer.ENVIRONMENT].items()}
    held = place.load(variables, **chosen[Layer.FLAG])

    fallback = {"model": "", "concurrency": 16, "retries": 2, "max_turns": 30, "max_usd": 10.0, "offline": False}
    ignored = {ignored.key for ignored in held.ignored}
    for name, default in fallback.items():
        below = chosen[Layer.USER].get(name, default)
        wanted, source = default, Layer.BUILTIN
        for layer in LAYERS:
            if name not in chosen[layer]:
                continue
            value = chosen[layer][name]
            if layer is Layer.PROJECT and not trusted and name not in FREE:
                lowers = name == "max_usd" and value <= below
                assert (name in ignored) is not lowers
                if not lowers:
                    continue
            wanted, source = value, layer
        assert getattr(held, name) == wanted
        assert held.sources[name].layer is source
    assert len(held.warnings) == len(ignored)


def test_aliases_folders_and_grants_of_all_layers_add_up(place: Place) -> None:
    place.user("aliases: {fast: a/x, smart: a/y}\nworkflows: [~/mine]\nallow: [web]\n")
    place.vibe_yaml("aliases: {fast: b/z}\nworkflows: [tools/flows]\n")
    held = place.load({"VIBE_ALLOW": "write, command:pytest"}, model=["smart", "smart=c/w"])
    assert held.aliases == {"fast": "b/z", "smart": "c/w"}
    assert held.model == "smart"
    assert held.workflow_folders == (place.project / "tools/flows", place.home / "mine")
    assert set(held.allow) == {"web", "write", "command:pytest"}
    assert held.sources["allow.web"].layer is Layer.USER
    assert held.sources["aliases.smart"].name == "--model"


# ---------------------------------------------------------------- what a project may not do

FORBIDDEN = {
    "allow": "[write]",
    "api_base": "http://localhost:1/v1",
    "api_bases": "{openai: http://localhost:1/v1}",
    "db": "/tmp/x.db",
    "max_tokens": "5",
    "max_turns": "5",
    "offline": "true",
    "require_model": "true",
    "prices": "{a/b: {input: 1, output: 1}}",
    "retries": "5",
    "timeout": "5",
    "sandbox": "{accept: weak, memory_mb: 4096, cpu_s: 900}",
    "web": "{allow_hosts: [localhost], proxy: 'http://evil.example:1', search: {provider: brave, url: 'http://e/'}}",
}


def test_what_a_stranger_may_not_set_is_ignored_with_a_warning_until_the_file_is_trusted(place: Place) -> None:
    place.vibe_yaml("".join(f"{name}: {value}\n" for name, value in FORBIDDEN.items()))
    before = place.load()
    assert {ignored.key.partition(".")[0] for ignored in before.ignored} == set(FORBIDDEN)
    assert all(source.layer is Layer.BUILTIN for source in before.sources.values())
    assert before.warnings[1] == (
        f"{place.project_file}:2: `api_base` is ignored: a project's file may not set it; set it in {place.user_file}, "
        "or run `vibe trust` to accept what this file asks for"
    )
    place.trust()
    after = place.load()
    assert after.warnings == ()
    assert after.allow == ("write",)
    assert after.sandbox_accept == "weak"
    place.project_file.write_text(place.project_file.read_text() + "\n")
    assert place.load().sandbox_accept == "strong", "a changed file is untrusted again"


def test_a_project_may_lower_a_budget_and_never_raise_it(place: Place) -> None:
    place.user("budget: {tokens: 1000, usd: 2}\nmax_usd: 5\n")
    place.vibe_yaml("budget: {tokens: 2000, usd: 1, steps: 7}\nmax_usd: 6\n")
    held = place.load()
    assert held.budget == Limits(tokens=1000, microusd=1_000_000, steps=7)
    assert held.sources["budget.tokens"].layer is Layer.USER
    assert held.sources["budget.usd"].layer is Layer.PROJECT
    assert held.max_usd == 5
    assert [ignored.key for ignored in held.ignored] == ["budget", "max_usd"]
    assert "may only lower it" in held.warnings[0]
    assert place.load(budget="5k").budget.tokens == 5000
    place.trust()
    assert place.load().budget.tokens == 2000


def test_a_project_may_name_no_folder_outside(place: Place) -> None:
    place.vibe_yaml("workflows: [flows, ../other, /etc, ~/x]\n")
    held = place.load()
    assert held.workflow_folders == (place.project / "flows",)
    assert "outside the project" in held.warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        "model: http://evil/x",
        "aliases: {fast: openai://evil}",
        "routing: [{phase: R, model: a://b}]",
        "fallbacks: {a: [b, openai://evil]}",
        "fallbacks: {'openai://evil': b}",
    ],
)
def test_a_project_may_not_name_an_address_as_a_model(place: Place, text: str) -> None:
    place.vibe_yaml(text)
    assert "holds an address" in place.error()
    place.project_file.unlink()
    place.user(text)
    place.load()


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle: x", ":1: unknown key `modle`; did you mean `model`?"),
        ("a: 1\nsandbox: {memory: 1}", ":1: unknown key `a`"),
        ("sandbox: {memory: 1}", ":1: unknown key `sandbox.memory`; did you mean `sandbox.memory_mb`?"),
        ("sandbox: 7", ":1: `sandbox` holds `key: value` lines of its own, not `7`"),
        ("\nconcurrency: many", ":2: `concurrency`: a whole number is needed, not `many`"),
        ("concurrency: true", ":1: `concurrency`: a whole number is needed, not `True`"),
        ("concurrency: 0", "a number from 1 to 1,000 is needed, not 0"),
        ("timeout: '20'", "a number of seconds"),
        ("offline: maybe", "true or false is needed, not `maybe`"),
        ("sandbox: {accept: none}", "one of strong, good, weak is needed, not `none`"),
        ("allow: [wirte]", "did you mean `write`?"),
        ("allow: write", "a list of names is needed"),
        ("api_base: localhost", "an address such as"),
        ("api_base: http://me:secret@host/v1", "without user or password"),
        ("budget: lots", "`steps=40` or `seconds=600` are needed, not `lots`"),
        ("budget: {token: 5}", "`token` is no unit of a budget; did you mean `tokens`?"),
        ("max_usd: -1", "dollars are needed"),
        ("model: [a]", "a model's name is text"),
        ("model: two words", "has spaces"),
        ("aliases: [a]", "`key: value` lines are needed, such as `{fast: openai/gpt-5-mini}`"),
        ("aliases: {a: b, b: a}", "goes in a circle: a -> b -> a"),
        ("routing: {phase: x}", "a list of rules is needed"),
        ("routing: [{phase: x}]", "rule 1 names no `model`"),
        ("routing: [{model: x}]", "rule 1 matches every step"),
        ("routing: [{model: x, fase: y}]", "unknown key `fase`; did you mean `phase`?"),
        ("routing: [{model: x, phase: }]", "rule 1 matches every step"),
        ("routing: [{model: x, promt_tokens_over: 5}]", "unknown key `promt_tokens_over`; did you mean"),
        ("routing: [{model: x, prompt_tokens_over: much}]", "`prompt_tokens_over` of rule 1 is a number of tokens"),
        ("fallbacks: [a]", "`key: value` lines are needed, such as `{smart: [openai/gpt-5"),
        (
            "\nfallbacks: {a: 5}",
            ":2: `fallbacks`: fallbacks of `a`: a model's name, or a list of names, is needed, not `5`",
        ),
        ("fallbacks: {a: [two words]}", "fallbacks of `a`: `two words` is no model's name"),
        ("fallbacks: {a: [b, a]}", "fallbacks of `a`: it names itself"),
        ("fallbacks: {a: [b, b]}", "`b` is there twice; keep one"),
        ("fallbacks: {a: offline/x}", "a failure must not look like an answer"),
        ("aliases: {cheap: offline}\nfallbacks: {a: cheap}", ":2: `fallbacks`: `cheap`, a fallback of `a`, stands for"),
        ("fallbacks: {a: [b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11]}", "11 are too many; name 10 at most"),
        ("prefix_warmup: soon", "true or false is needed, not `soon`"),
        ("prices: {a: 5}", "price of `a`: dollars per million tokens are needed"),
        ("prices: {a: {input: 1}}", "price of `a`: `output` is missing"),
        ("prices: {a: {input: 1, output: 2, cashed: 1}}", "unknown key `cashed`; did you mean `cached`?"),
        ("prices: {a: {input: '1', output: 2}}", "`input` is dollars per million tokens, from 0 to 1,000,000, not `1`"),
        ("prices: {a: {input: 1, output: -2}}", "`output` is dollars per million tokens"),
        ("prices: {a: {input: 1, output: .nan}}", "`output` is dollars per million tokens"),
        ("aliases: {a: b}\nprices: {a: {input: 1, output: 1}}", ":2: `prices`: `a` is an alias"),
        ("api_bases: {openai/gpt-5: 'http://x/v1'}", "`openai/gpt-5` is no provider, such as `openai`"),
        ("api_bases: {OpenAI: 'http://x/v1'}", "`OpenAI` is no provider"),
        ("api_bases: {openai: localhost}", "address of `openai`: an address such as"),
        ("web: {allow_hosts: [http://x]}", "`http://x` is no host, such as `wiki.corp.example`"),
        ("web: {allow_hosts: ['x:99999']}", "`x:99999` is no host"),
        ("web: {allow_hosts: ['*.corp']}", "`*.corp` is no host"),
        ("web: {allow_hosts: ['[1:2]']}", "`[1:2]` holds no IPv6 address"),
        ("web: {proxy: 'https://p:1'}", "an address such as `http://proxy.corp.example:3128` is needed"),
        ("web: {proxy: 'http://u:p@p:1'}", "without user or password"),
        ("web: {search: brave}", "`key: value` lines are needed, such as `{provider: searxng,"),
        ("web: {search: {provider: bing}}", "`provider` is one of brave, tavily, searxng, not `bing`"),
        ("web: {search: {provider: searxng}}", "`url` is missing: where your searxng answers"),
        ("web: {search: {provider: brave, key: k-123}}", "unknown key `key`; did you mean `key_env`?"),
        ("web: {search: {provider: brave, key_env: k-123}}", "`key_env` is the name of an environment variable"),
        ("- a", ":1: settings are `key: value` lines, not a list"),
        ("model: x\nmodel: y", ":2: `model` is set twice (first in line 1); keep one"),
        ("model: &a x\ndb: *a", ":2:5: not valid YAML: aliases (*name) are not available here"),
        ("model: [" * 30, "nested too deeply"),
        ("model: 'x", "not valid YAML"),
        ("retries: " + "9" * 5000, "a number of 5000 digits is too long"),
        ("retries: !!int ''", "is not"),
        ("model: !!python/object:os.system x", "not `tag:yaml.org,2002:python/object:os.system`"),
        ("model: \x01", "not valid YAML"),
        ("# " + "x" * 70_000, "larger than 64 KB"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_place_and_the_next_move(place: Place, text: str, message: str) -> None:
    place.user(text)
    found = place.error()
    assert message in found
    assert found.startswith((str(place.user_file), "the alias"))


def test_a_file_that_is_no_file_is_an_error(place: Place) -> None:
    place.project_file.symlink_to("/dev/zero")
    assert "not a regular file" in place.error()
    place.project_file.unlink()
    place.project_file.mkdir()
    assert "not a regular file" in place.error()
    place.project_file.rmdir()
    place.project_file.write_bytes(b"model: \xff\xfe")
    assert "not UTF-8" in place.error()


def test_wrong_variables_and_flags_are_named_as_such(place: Place) -> None:
    assert place.error({"VIBE_CONCURRENCY": "x"}).startswith("VIBE_CONCURRENCY: a whole number")
    assert place.error(max_usd="lots").startswith("--max-usd: dollars")
    assert place.error(model="fast=").startswith("--model: alias `fast`")
    held = place.load({"VIBE_CONCURENCY": "3", "VIBE_OF_ANOTHER_TOOL": "x", "VIBE_MODEL": ""})
    assert held.warnings == ("the environment variable VIBE_CONCURENCY is not known; did you mean VIBE_CONCURRENCY?",)
    with pytest.raises(ValueError, match="no setting `nope`"):
        place.load(nope=1)


# ---------------------------------------------------------------- places


def test_the_project_is_the_nearest_marked_folder(place: Place) -> None:
    deep = place.project / "a" / "b"
    deep.mkdir(parents=True)
    assert place.load(cwd=deep).project_root == place.project
    (place.project / "a" / "vibe.yaml").write_text("concurrency: 2\n")
    assert place.load(cwd=deep).concurrency == 2
    bare = place.home / "elsewhere"
    bare.mkdir()
    assert place.load(cwd=bare).project_root == bare


def test_a_home_of_another_tool_or_a_shared_folder_makes_no_project_of_all_below(place: Place) -> None:
    (place.home / ".vibe").mkdir()
    below = place.home / "notes"
    below.mkdir()
    assert place.load(cwd=below).project_root == below
    assert place.load(cwd=place.home).project_root == place.home
    shared = place.project.parent / "shared"
    (shared / "mine").mkdir(parents=True)
    (shared / "vibe.yaml").write_text("model: x/y\n")
    shared.chmod(0o1777)
    assert place.load(cwd=shared / "mine").project_root == shared / "mine"


def test_folders_follow_the_xdg_variables_where_they_are_absolute(place: Place) -> None:
    other = place.home / "cfg"
    held = place.load({"XDG_CONFIG_HOME": str(other), "XDG_STATE_HOME": "relative", "XDG_CACHE_HOME": "/c"})
    assert held.user_file == other / "vibe" / "config.yaml"
    assert held.state_dir == place.home / ".local" / "state" / "vibe"
    assert held.cache_dir == Path("/c/vibe")


def test_a_database_by_hand_is_relative_to_where_one_stands_a_configured_one_to_the_project(place: Place) -> None:
    deep = place.project / "deep"
    deep.mkdir()
    assert place.load(cwd=deep, db="x.db").db_path == deep / "x.db"
    assert place.load({"VIBE_DB": "~/x.db"}, cwd=deep).db_path == place.home / "x.db"
    place.user("db: .vibe/other.db\n")
    assert place.load(cwd=deep).db_path == place.project / ".vibe" / "other.db"


def test_a_user_without_a_home_is_told_to_set_one() -> None:
    script = (
        "import os, pathlib, pwd\n"
        "from vibe_workflows.engine.config import load_settings\n"
        "from vibe_workflows.engine.errors import ConfigError\n"
        "if os.getuid() == 0: os.setuid(54321)\n"
        "try: print(load_settings(cwd=pathlib.Path('/'), environ={}, flags={}).state_dir)\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    homeless = "user 54321 has no home folder, and HOME is not an absolute path; set HOME"
    assert (homeless if os.getuid() == 0 else str(Path("~").expanduser())) in done.stdout


def test_ci_asks_for_a_model_and_colour_is_the_users_choice(place: Place) -> None:
    assert place.load({"CI": "true"}).require_model
    assert not place.load({"CI": "false"}).require_model
    assert place.load({"NO_COLOR": "1"}).no_color
    assert place.load({"TERM": "dumb"}).no_color
    assert not place.load({"TERM": "xterm"}).no_color


def test_loading_settings_without_files_imports_nothing_heavy() -> None:
    heavy = {"yaml", "msgspec", "trio", "asyncio", "rich", "jsonschema", "difflib", "hashlib", "sqlite3"}
    script = (
        "import sys, pathlib\n"
        "from vibe_workflows.engine.config import load_settings\n"
        "load_settings(cwd=pathlib.Path('/'), environ={'HOME': '/nonexistent'}, flags={})\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("200k", Limits(tokens=200_000)),
        ("1.5M", Limits(tokens=1_500_000)),
        ("200_000", Limits(tokens=200_000)),
        (7, Limits(tokens=7)),
        ("$1.50", Limits(microusd=1_500_000)),
        ("$0.000001", Limits(microusd=1)),
        ("200k, $2, steps=40,seconds=60", Limits(tokens=200_000, microusd=2_000_000, steps=40, seconds=60.0)),
        (
            {"tokens": "5k", "usd": 0.25, "steps": 3, "seconds": 1.5},
            Limits(tokens=5000, microusd=250_000, steps=3, seconds=1.5),
        ),
        ({"tokens": None}, Limits()),
        ({}, Limits()),
    ],
)
def test_budgets_read_as_people_write_them(text: object, limits: Limits) -> None:
    assert parse_budget(text) == limits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k",
        "-5",
        "0",
        "1e999",
        "nan",
        "$nan",
        "$-1",
        "5x",
        "steps=1.5",
        "1k,2k",
        True,
        None,
        [],
        {"tokens": 1e30},
        "٣k",
    ],
)
def test_what_is_no_budget_is_an_error(text: object) -> None:
    with pytest.raises(ConfigError, match="budget: "):
        parse_budget(text)


def test_who_answers_searches_is_read_with_the_providers_own_address_and_variable(place: Place) -> None:
    assert place.load().web_search is None
    place.user("web: {search: {provider: brave}, allow_hosts: [WIKI.corp., 'localhost:8000', '[::1]:80']}")
    held = place.load({"VIBE_WEB_ALLOW_HOSTS": "10.0.0.5"})
    assert held.web_search == ("brave", "https://api.search.brave.com/res/v1/web/search", "BRAVE_API_KEY")
    assert set(held.web_allow_hosts) == {"wiki.corp", "localhost:8000", "[::1]:80", "10.0.0.5"}
    asked = '{"provider": "searxng", "url": "http://localhost:8888/", "key_env": "MINE"}'
    assert place.load({"VIBE_WEB_SEARCH": asked}).web_search == ("searxng", "http://localhost:8888", "MINE")


def test_worktrees_share_folders_of_the_project_and_are_set_up_by_the_persons_commands(place: Place) -> None:
    assert place.load().worktree_link == (".venv", "venv", "node_modules")
    place.vibe_yaml("worktree: {link: [web/node_modules/, .venv], setup: [[sh, -c, 'curl evil']]}")
    held = place.load({"VIBE_WORKTREE_SETUP": '[["npm", "ci"], ["make"]]'})
    assert held.worktree_link == ("web/node_modules", ".venv")
    assert held.worktree_setup == (("npm", "ci"), ("make",))
    assert place.load().worktree_setup == ()


@pytest.mark.parametrize(
    "text",
    [
        "link: /etc",
        "link: [/etc]",
        "link: [../other]",
        "link: [a//b]",
        "link: ['.']",
        "setup: [make]",
        "setup: [[]]",
        "setup: [[1]]",
        "setup: make",
    ],
)
def test_what_is_no_folder_of_the_project_and_no_command_is_an_error(place: Place, text: str) -> None:
    place.user(f"worktree: {{{text}}}")
    with pytest.raises(ConfigError, match="worktree"):
        place.load()


def test_the_documented_keys_are_the_real_ones() -> None:
    rows = [
        [cell.strip().strip("`") for cell in line.split("|")[1:4]]
        for line in (Path(__file__).parents[2] / "docs" / "configuration.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    words = {Reach.FREE: "set", Reach.LOWER: "lower", Reach.PERSON: "-"}

    def shown(default: object) -> str:
        if isinstance(default, bool):
            return str(default).lower()
        if isinstance(default, tuple):
            return "`, `".join(default) or "none"
        return f"{default:g}" if isinstance(default, float) else str(default or "none")

    assert rows == [[key.name, shown(key.default), words[key.reach]] for key in KEYS.values()]
