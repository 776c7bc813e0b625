"""What a refused script is told: where, what, and what to write instead."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple

MAX_PROBLEMS: Final = 20
#: How the message about what is no valid Python begins.
SYNTAX_ERROR: Final = "syntax error: "


class ScriptProblem(NamedTuple):
    """One thing that a script may not do, at a line and a column that both count from 1."""

    line: int
    column: int
    message: str

    @property
    def is_syntax(self) -> bool:
        return self.message.startswith(SYNTAX_ERROR)


class ScriptRefused(Exception):
    """The source does not compile under the policy. `problems` is in source order, at most MAX_PROBLEMS."""

    def __init__(self, problems: tuple[ScriptProblem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(f"{line}:{column}: {message}" for line, column, message in self.problems)


#: What the parser says, and what to do about it.
_SYNTAX_ADVICE: Final = (
    ("source code string cannot contain null bytes", "the file holds a NUL character; remove it"),
    ("'await' outside", "make the function `async def`"),
    ("inconsistent use of tabs", "use spaces alone"),
    ("unindent does not match", "use the same number of spaces as the lines that it goes with"),
    ("unexpected indent", "it begins further right than the line above; take the spaces away"),
    ("unterminated string literal", "close the quote on the same line"),
    ("unterminated triple-quoted", "close it with three quotes"),
    ("invalid non-printable character", "delete it, and type what is meant anew"),
)
_CURLY_QUOTES: Final = "“”‘’„«»"


def syntax_message(error: SyntaxError, lines: Sequence[str]) -> str:
    """What is no Python, and the next move where one is known."""
    said = error.msg
    number = error.lineno or 0
    if 0 < number <= len(lines) and lines[number - 1].lstrip().startswith("```"):
        return (
            f"{SYNTAX_ERROR}a fence of Markdown; a workflow is the Python alone: remove the lines that begin with ```"
        )
    if said.startswith("invalid character") and any(quote in said for quote in _CURLY_QUOTES):
        return f"{SYNTAX_ERROR}{said}; type a straight quote"
    advice = next((advice for beginning, advice in _SYNTAX_ADVICE if said.startswith(beginning)), "")
    if "NUL" in advice:
        return f"{SYNTAX_ERROR}{advice}"
    return f"{SYNTAX_ERROR}{said}" + (f"; {advice}" if advice else "")


def column(lines: Sequence[str], line: int, offset: int) -> int:
    """The column, from 1 and in characters, of an offset in UTF-8 bytes."""
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    return len(text.encode("utf-8", "replace")[:offset].decode("utf-8", "replace")) + 1


def unavailable(what: str, advice: str = "") -> str:
    """`what` as a script writes it; `advice` completes "..., write this instead"."""
    text = f"`{what}` is not available in workflow scripts"
    return f"{text}; {advice}" if advice else text


# ---------------------------------------------------------------- constructs

CONSTRUCTS: Final = {
    "TryStar": unavailable("except*", "use `except`"),
    "TemplateStr": unavailable('t"..."', 'use an f-string: f"..."'),
    "Interpolation": unavailable('t"..."', 'use an f-string: f"..."'),
    "TypeAlias": unavailable("type X = ...", "write `X = ...`, or leave it out: annotations are not evaluated"),
}
TYPE_PARAMETERS: Final = "type parameters (`def f[T]`) are not available in workflow scripts; leave them out"
ATTRIBUTE_WRITE: Final = "attributes cannot be set in workflow scripts; keep values in a dict: d['{name}'] = ..."
ATTRIBUTE_DELETE: Final = "attributes cannot be deleted in workflow scripts; keep values in a dict: del d['{name}']"
CLASS: Final = unavailable("class", "use a dict, and functions that take it")
CLASS_DATA: Final = unavailable("class", 'use a dict: {"title": ..., "line": ...}')
CLASS_ERROR: Final = unavailable("class", "for an error of your own, raise ValueError(...) or RuntimeError(...)")
CLASS_PATTERN: Final = (
    "a class pattern may only name str, int, float, bool, list, dict, tuple, set or bytes, with at most one positional "
    "pattern inside; use a mapping pattern: case {'kind': kind}"
)
DOTTED_PATTERN: Final = "a dotted name is not available as a pattern in workflow scripts; use a literal, or `if`"
COMPREHENSION_UNPACKING: Final = "unpacking in a comprehension is not available in workflow scripts; use a second `for`"
MAIN_GUARD: Final = "the engine calls main itself; remove this `if __name__ == ...` block"
STAR_IMPORT: Final = "name what you import: `*` is not available in workflow scripts"
RELATIVE_IMPORT: Final = "a workflow is one file: relative imports are not available"
LAZY_IMPORT: Final = "`lazy` imports are not available in workflow scripts; write a plain import"
PRINT: Final = (
    "`print({name}=...)` is not available in workflow scripts; every print is a line of the log: join the text"
)
TOO_DEEP: Final = "the script is nested too deeply; split the expression, or build the value in a loop"

# ---------------------------------------------------------------- the body

MAIN_SYNC: Final = "`main` must be asynchronous: write `async def main(args)`"
MAIN_TWICE: Final = "`main` is defined twice, here and on line {line}"
MAIN_DECORATED: Final = "`main` may not be decorated; the engine calls it as it is written"
MAIN_PARAMETERS: Final = "`main` takes the workflow's arguments or nothing: write `async def main(args)`"
MAIN_YIELDS: Final = "`main` may not `yield`; collect the values in a list and `return` it"
NO_BODY: Final = "nothing here is to run: write `async def main(args)`, or code at the top level"
OUTSIDE_MAIN: Final = (
    "`{keyword}` outside a function, in a script that defines `main`: move it into main, or drop main and let the "
    "whole file be the body"
)
YIELD_OUTSIDE: Final = "`yield` outside a function; collect the values in a list and `return` it"
META_LITERAL: Final = "`meta` must be a pure literal (it is read without running the script): {why}"
META_DICT: Final = '`meta` must be a dict literal: meta = {"description": ...}'
META_TWICE: Final = "`meta` is assigned twice, here and on line {line}"
META_PLACE: Final = "`meta` is read without running the script; assign it once, at the top level, as a plain literal"

# ---------------------------------------------------------------- names

UNDERSCORE_NAME: Final = "`{name}`: names that begin with `_` are not available in workflow scripts; {advice}"
UNDERSCORE_ATTRIBUTE: Final = "`.{name}`: attributes that begin with `_` are not available in workflow scripts"
INTERNAL_ATTRIBUTE: Final = "`.{name}`: the interpreter's internals are not available in workflow scripts"
PRIMITIVE_REBOUND: Final = (
    "`{name}` is a primitive and may not be rebound at module level; use another name (inside a function it may be "
    "shadowed)"
)
RESERVED_REBOUND: Final = (
    "`{name}` is kept for a primitive of a later version; use another name (inside a function it may be used)"
)
PRIMITIVE_SHADOWED: Final = (
    "`{name}` on line {line} is meant to be the primitive, but line {shadow} makes `{name}` a name of its own here; "
    "rename the one on line {shadow}"
)
FROM_SCRIPT: Final = "write `from vibe_workflows.script import {name}`, or leave it out: `{name}` is in scope already"
NO_MEMBER: Final = "`vibe_workflows.script` has no `{name}`; {advice}"
NO_PATTERN: Final = "vibe_workflows.patterns has no `{name}`; it has {names}"
NOT_IN_THIS_VERSION: Final = "`{name}` is not available in this version"

#: Builtins that are refused wherever a script names them.
NAMES: Final = {
    "BaseException": "use `except Exception`",
    "BaseExceptionGroup": "use `except Exception`",
    "ExceptionGroup": "raise one exception, and keep the others in a list",
    "GeneratorExit": "use `finally`",
    "KeyboardInterrupt": "use `finally`; a cancelled run cannot be caught",
    "SystemExit": "`return` a result, or raise ValueError(...)",
    "breakpoint": "use log(...)",
    "classmethod": "write a plain function",
    "compile": "write the code as a function",
    "eval": "parse data with json.loads(...)",
    "exec": "write the code as a function",
    "globals": "keep values in a dict",
    "locals": "keep values in a dict",
    "memoryview": "use bytes",
    "object": "use None, or a string, as a marker",
    "open": 'files are read by steps: await tool("read_file", path=...), or agent(..., tools=["read"])',
    "property": "write a plain function",
    "staticmethod": "write a plain function",
    "super": "write plain functions",
    "vars": "keep values in a dict",
}
#: Builtins that are missed only by a script that calls them; the names are free for variables.
CALLS: Final = {
    "bytearray": "use bytes, or a list of integers",
    "delattr": "keep values in a dict: del d[name]",
    "dir": "values are data here: log(repr(value))",
    "exit": "`return` a result, or raise ValueError(...)",
    "help": "see `vibe guide`",
    "id": "compare values with `==`, or with `is`",
    "input": "declare an argument in `meta`, and read it as args.NAME",
    "quit": "`return` a result, or raise ValueError(...)",
    "setattr": "keep values in a dict: d[name] = value",
}

# ---------------------------------------------------------------- modules and what is in them

_AWAIT = "steps are awaited directly, and parallel([...]) runs them at the same time"
_CLOCK = "there is no clock: use now(), which a rerun repeats"
_FILES = 'files are read by steps: await tool("read_file", path=...), or agent(..., tools=["read"])'
_COMMANDS = 'an agent runs commands: agent(..., tools=["command"])'
_NETWORK = 'an agent reaches the network: agent(..., tools=["web"])'
_DATA = "use a dict"

MODULES: Final = {
    "abc": "write plain functions",
    "aiohttp": _NETWORK,
    "anthropic": "call agent(...)",
    "asyncio": _AWAIT,
    "anyio": _AWAIT,
    "argparse": "declare arguments in `meta`, and read them as args.NAME",
    "base64": "pass files on by their paths",
    "builtins": "the builtins are there without an import",
    "collections.abc": "annotations are not evaluated; take the names from typing, or leave them out",
    "concurrent.futures": _AWAIT,
    "contextlib": "use `try`/`finally`",
    "csv": "split the text: line.split(',')",
    "dataclasses": _DATA,
    "decimal": "use float, or integers of the smallest unit",
    "enum": "use strings",
    "fractions": "use float, or integers of the smallest unit",
    "gc": "values are data here",
    "getpass": "declare an argument in `meta`, and read it as args.NAME",
    "glob": 'use await tool("glob", pattern=...)',
    "httpx": _NETWORK,
    "importlib": "import the module by name",
    "inspect": "values are data here",
    "io": "join strings in a list",
    "langchain": "call agent(...)",
    "litellm": "call agent(...)",
    "logging": "use log(...)",
    "multiprocessing": _AWAIT,
    "openai": "call agent(...)",
    "numpy": "use math, statistics and lists",
    "os": "a script has no files, environment or processes; " + _FILES,
    "os.path": "use pathlib.PurePosixPath",
    "pandas": "use lists of dicts, collections and statistics",
    "pickle": "use json",
    "platform": "a script is the same on every machine",
    "pydantic": "pass a JSON Schema: agent(..., schema={...})",
    "queue": _AWAIT,
    "requests": _NETWORK,
    "secrets": "use random, which a rerun repeats",
    "shutil": _FILES,
    "signal": "a cancelled run cannot be caught; use `finally`",
    "socket": _NETWORK,
    "sqlite3": "keep values in a dict; files are the business of steps",
    "subprocess": _COMMANDS,
    "sys": "arguments are in args; `return` a result, or raise ValueError(...)",
    "tempfile": _FILES,
    "threading": _AWAIT,
    "time": _CLOCK,
    "traceback": "log(str(error))",
    "trio": _AWAIT,
    "types": _DATA,
    "urllib.request": _NETWORK,
    "uuid": "use random, which a rerun repeats, or an index from enumerate()",
    "warnings": "use log(...)",
    "weakref": "values are data here",
    "yaml": "use json",
    "zoneinfo": "use datetime.timezone.utc, or timezone(timedelta(hours=N))",
}
#: Members that a script reaches for, by dotted name; said where they are imported and where they are used.
MEMBERS: Final = {
    "asyncio.Event": "await the step that gives what is waited for",
    "asyncio.Lock": "only one branch runs between two awaits: leave it out",
    "asyncio.Queue": "use pipeline(items, stage, ...)",
    "asyncio.TaskGroup": "use await parallel([...])",
    "asyncio.TimeoutError": "use `except Timeout`",
    "asyncio.as_completed": "use pipeline(items, stage, ...)",
    "asyncio.create_task": "use parallel([...])",
    "asyncio.ensure_future": "use parallel([...])",
    "asyncio.gather": "use await parallel([...])",
    "asyncio.get_event_loop": "the engine runs main itself",
    "asyncio.run": "the engine calls main itself; write `async def main(args)`",
    "asyncio.Semaphore": "use parallel([...], limit=N)",
    "asyncio.sleep": "there is nothing to wait for: retries and rate limits are the engine's",
    "asyncio.timeout": "use agent(..., timeout=SECONDS)",
    "asyncio.to_thread": "call the function",
    "asyncio.wait": "use await parallel([...])",
    "asyncio.wait_for": "use agent(..., timeout=SECONDS)",
    "collections.ChainMap": "merge dicts: {**a, **b}",
    "collections.namedtuple": _DATA,
    "collections.UserDict": _DATA,
    "collections.UserList": "use a list",
    "collections.UserString": "use a string",
    "contextlib.asynccontextmanager": "write a function that takes the function to run, with `try`/`finally`",
    "contextlib.contextmanager": "write a function that takes the function to run, with `try`/`finally`",
    "contextlib.suppress": "use `try`/`except`",
    "dataclasses.asdict": "a dict is one already",
    "dataclasses.dataclass": _DATA,
    "dataclasses.field": _DATA,
    "datetime.date.today": "use now(), which a rerun repeats",
    "datetime.datetime.now": "use now(), which a rerun repeats",
    "datetime.datetime.today": "use now(), which a rerun repeats",
    "datetime.datetime.utcnow": "use now(), which a rerun repeats",
    "datetime.datetime.utcfromtimestamp": "use datetime.fromtimestamp(seconds, timezone.utc)",
    "datetime.now": "use now(), which a rerun repeats",
    "functools.cached_property": "write a plain function",
    "functools.singledispatch": "use `if` or `match`",
    "functools.update_wrapper": "leave it out",
    "functools.wraps": "leave it out",
    "json.JSONDecoder": "use json.loads(text)",
    "json.JSONEncoder": "use json.dumps(value, default=str)",
    "json.dump": _FILES,
    "json.load": "use json.loads(text)",
    "operator.attrgetter": "use a lambda",
    "operator.methodcaller": "use a lambda",
    "os.environ": "declare an argument in `meta`, and read it as args.NAME",
    "os.getenv": "declare an argument in `meta`, and read it as args.NAME",
    "os.listdir": 'use await tool("list_files", path=...)',
    "os.path": "use pathlib.PurePosixPath",
    "os.popen": _COMMANDS,
    "os.system": _COMMANDS,
    "os.walk": 'use await tool("list_files", path=...)',
    "pathlib.Path": "use pathlib.PurePosixPath for names; " + _FILES,
    "pathlib.PurePath": "use pathlib.PurePosixPath",
    "random.SystemRandom": "use random, which a rerun repeats",
    "random.seed": "random is seeded by the engine; `vibe run --seed N` changes it",
    "re.Scanner": "use re.finditer(...)",
    "string.Formatter": "use an f-string",
    "sys.argv": "declare arguments in `meta`, and read them as args.NAME",
    "sys.exit": "`return` a result, or raise ValueError(...)",
    "time.monotonic": _CLOCK,
    "time.perf_counter": _CLOCK,
    "time.sleep": "there is nothing to wait for: retries and rate limits are the engine's",
    "time.time": _CLOCK,
    "typing.NamedTuple": _DATA,
    "typing.NewType": "leave it out: annotations are not evaluated",
    "typing.TypedDict": _DATA,
    "typing.get_type_hints": "annotations are not evaluated",
}
#: The last parts of MEMBERS: a cheap first look at an attribute.
MEMBER_LEAVES: Final = frozenset(path.rpartition(".")[2] for path in MEMBERS)


def module_problem(name: str, importable: str) -> str:
    """Why `import name` is refused. `importable` lists the modules that are; "" where that was said."""
    if name.startswith("vibe_workflows"):
        return NOT_IN_THIS_VERSION.format(name=name)
    advice = MODULES.get(name) or MODULES.get(name.partition(".")[0])
    if not advice:
        advice = f"importable are {importable}" if importable else "it is none of the importable ones"
    return unavailable(f"import {name}", advice)


def no_member(name: str, known: Collection[str]) -> str:
    """Why `from vibe_workflows.script import name` is refused."""
    near = get_close_matches(name, sorted(known), 1, 0.75)
    advice = f"did you mean `{near[0]}`?" if near else "`vibe guide` lists the primitives"
    return NO_MEMBER.format(name=name, advice=advice)


def member_problem(module: str, name: str) -> str:
    """Why `from module import name`, or `module.name`, is refused."""
    path = f"{module}.{name}"
    return unavailable(path, MEMBERS.get(path, ""))
