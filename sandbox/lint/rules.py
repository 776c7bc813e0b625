"""The rules of `vibe validate`, as a table that both sides of the sandbox's wall read: it holds no logic."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]


class Rule(NamedTuple):
    """`example` breaks it. An error would fail a run that comes to it; a warning is most likely wrong."""

    code: str
    severity: Severity
    meaning: str
    example: str


RULES: Final[tuple[Rule, ...]] = (
    # What refuses a run before its first step; no comment silences it.
    Rule("unreadable", "error", "a file that cannot be read, or takes too long to check", "vibe validate gone.py"),
    Rule("syntax", "error", "no valid Python", "if x print(x)"),
    Rule("refused", "error", "what no script may do", "import os"),
    Rule("meta", "error", "`meta` says what it cannot mean", 'meta = {"budgett": "200k"}'),
    Rule("undefined-name", "error", "a name that nobody defines", 'await agnet("Hi")'),
    # Calls of primitives.
    Rule("bad-call", "error", "a primitive that is called as it cannot be", 'agent("Hi", promt="x")'),
    Rule("bad-value", "error", "an option with a value that it does not take", 'agent("Hi", timeout=-1)'),
    Rule("odd-effort", "warning", "a level of effort that no provider has", 'agent("Hi", effort="hgih")'),
    Rule("bad-await", "error", "`await` on what is no step", 'await log("done")'),
    # Steps.
    Rule("not-awaited", "error", "a step that never starts, or that is taken for its result", 'agent("Hi")'),
    Rule("started-twice", "error", "one step that is started twice; make one per use", "await parallel([step, step])"),
    Rule("await-in-fan-out", "error", "a result where a fan-out takes a step", 'parallel([await agent("Hi")])'),
    Rule("loop-capture", "warning", "a function that sees a loop's last value only", "[lambda: agent(x) for x in xs]"),
    # Results.
    Rule(
        "none-result",
        "warning",
        "a result of a fan-out that is used without a look whether its branch failed",
        '[r["x"] for r in await parallel(steps)]',
    ),
    Rule("wrong-access", "error", "a result that is read as what it is not", "(await agent(p, schema=S)).title"),
    Rule("unknown-key", "warning", "a key that the result's schema does not have", 'found["titel"]'),
    # What the script says of itself.
    Rule("undeclared-phase", "warning", 'a phase that is not in meta["phases"]', 'phase("Reveiw")'),
    Rule("unused-phase", "warning", 'a phase of meta["phases"] that never begins', 'meta = {"phases": ["Plan"]}'),
    Rule("phase-case", "warning", "two phases that differ in case only", 'phase("Plan"); phase("plan")'),
    Rule("undeclared-arg", "error", 'an argument that meta["args"] does not declare', "args.paht"),
    Rule("unused-arg", "warning", "a declared argument that is never read", '"properties": {"depth": {}}'),
    # Schemas.
    Rule("schema", "error", "a JSON Schema that is none, or that nothing fits", '{"type": "strin"}'),
    Rule("schema-keyword", "warning", "a word that JSON Schema does not have", '{"requierd": ["a"]}'),
    Rule("schema-required", "warning", "a required name without a property", '{"required": ["titel"]}'),
    # The flow.
    Rule("unbounded-loop", "warning", "a loop that ends by a budget only", "while budget.remaining() > 1000: ..."),
    Rule("unreachable", "warning", "a statement that is never reached", "return x; log(x)"),
    Rule("missing-f", "warning", "a name in braces, in a string that is no f-string", 'agent("Read {path}")'),
    # What lies outside of the script: the configuration, the project, this machine.
    Rule("unknown-tool", "error", "a tool or a group that there is not", 'agent(p, tools=["raed"])'),
    Rule("unknown-server", "warning", "an MCP server that is not configured here", 'agent(p, tools=["mcp:githb"])'),
    Rule("tool-argument", "error", "an argument that the tool does not take, or lacks", 'tool("grep", patern="x")'),
    Rule("permission", "warning", 'a permission that meta["permissions"] does not ask for', 'tools=["write"]'),
    Rule("unknown-model", "warning", "a model that looks like a misspelt alias", 'agent(p, model="fsat")'),
    Rule("model-address", "error", "a model's name with an address in it", 'agent(p, model="http://x/y")'),
    Rule("unknown-profile", "warning", "a profile that is not there", 'agent(p, profile="revewer")'),
    Rule("missing-program", "warning", "a gate's program that is not in PATH", 'agent(p, gate=["pytset"])'),
    Rule("missing-file", "warning", "a file of files= that is not there", 'agent(p, files=["plan.pfd"])'),
    # The comments that silence a rule.
    Rule("unknown-code", "warning", "a `# vibe: ignore[...]` that names no rule", "# vibe: ignore[tpyo]"),
)  # fmt: skip

BY_CODE: Final = {rule.code: rule for rule in RULES}
#: What no comment silences: a run would not begin, or would not be the one that was checked.
LOUD: Final = frozenset({"unreadable", "syntax", "refused", "meta", "undefined-name", "unknown-code"})
