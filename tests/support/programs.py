"""Random programs over every node type of the running Python, drawn from a tape of numbers.

The grammar is the interpreter's own: each node class tells its fields in its docstring. A tape that is used up gives
zeros, which choose the simplest alternative, so a shorter tape is a smaller program.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from typing import Any

#: Names of variables, guards, builtins, primitives, facades and what no script may name. The first are most likely.
NAMES = (
    *(
        "a",
        "b",
        "c",
        "x",
        "stream",
        "numbers",
        "args",
        "log",
        "agent",
        "f",
        "g",
        "str",
        "int",
        "list",
        "dict",
        "type",
        "getattr",
        "len",
    ),
    *("map", "sorted", "iter", "next", "anext", "isinstance", "ValueError", "Exception", "json", "re", "functools"),
    *("itertools", "operator", "collections", "datetime", "statistics", "string", "random", "budget", "phase", "print"),
    *("parallel", "pipeline", "tool", "now", "meta", "main", "seen", "hasattr", "format", "repr", "range", "typing"),
)
WILD_NAMES = (
    *("_getattr_", "_import_", "_match_str_", "__builtins__", "__name__", "__import__", "__class__", "_", "__doc__"),
    *(
        "eval",
        "exec",
        "open",
        "globals",
        "object",
        "BaseException",
        "vars",
        "super",
        "memoryview",
        "os",
        "sys",
        "asyncio",
    ),
    *("race", "spawn", "ask", "__build_class__", "__file__", "_x", "__annotations__", "GeneratorExit", "compile"),
)
ATTRIBUTES = (
    *("append", "items", "upper", "join", "format", "args", "get", "dumps", "loads", "compile", "partial", "reduce"),
    *("chain", "count", "keys", "real", "copy", "Counter", "date", "replace", "deque", "itemgetter", "mean", "match"),
    *("kind", "spent", "value", "sub", "groupindex", "Template", "results", "parse", "groupby", "isoformat", "search"),
)
WILD_ATTRIBUTES = (
    *("__class__", "__globals__", "__dict__", "__self__", "__name__", "gi_frame", "cr_frame", "ag_frame", "tb_frame"),
    *(
        "__traceback__",
        "f_back",
        "mro",
        "__subclasses__",
        "format_map",
        "func",
        "send",
        "throw",
        "obj",
        "with_traceback",
    ),
    *("Scanner", "attrgetter", "codecs", "sys", "__init__", "_members", "_trampoline", "maker", "add_note", "today"),
)
MODULES = ("json", "re", "math", "urllib.parse", "itertools", "random", "vibe_workflows.script", "typing", "__future__")
WILD_MODULES = ("os", "sys", "asyncio", "builtins", "ctypes", "vibe_workflows", "vibe_workflows.sandbox", "importlib")
_CONSTANTS: tuple[object, ...] = (
    *(0, 1, -1, 2, "a", "b c", "{0}", "{0.__class__}", "%s", "", "__class__", "gi_frame", None, True, ...),
    *(1.5, 2j, b"ab", 10**12, "\u00e9", "\ud800", "ValueError", "__globals__"),
)

_SIGNATURE = re.compile(r"(\w+)(?:\(([^)]*)\))?")
_DEPTH = 4
_ABSTRACT = ("stmt", "expr", "boolop", "operator", "unaryop", "cmpop", "excepthandler", "pattern", "type_param")
_SINGLE = ("arguments", "arg", "keyword", "alias", "withitem", "comprehension", "match_case")
#: What a tape of zeros makes.
_SIMPLEST = {"expr": ("Name", "Constant", "Call"), "stmt": ("Expr", "Assign"), "pattern": ("MatchAs", "MatchValue")}
#: Only inside of others, where they are made by name.
_INNER = frozenset({"FormattedValue", "Interpolation", "Slice", "MatchStar", "Starred"})
#: Mostly refused, by the policy or by where they stand.
_RARE = frozenset({"ClassDef", "TryStar", "Break", "Continue", "Yield", "YieldFrom", "TypeAlias", "TemplateStr"})
_AT_LEAST = {"body": 1, "targets": 1, "names": 1, "generators": 1, "items": 1, "cases": 1, "ops": 1}

Field = tuple[str, str, str]  # type, how many (`*`, `?` or nothing), name


def _grammar() -> tuple[dict[str, list[Field]], dict[str, list[str]]]:
    fields: dict[str, list[Field]] = {}
    kinds: dict[str, list[str]] = {}
    for base in (*_ABSTRACT, *_SINGLE):
        doc = getattr(getattr(ast, base, None), "__doc__", None) or ""  # type parameters are new in 3.12
        _, _, alternatives = doc.partition(" = ") if base in _ABSTRACT else ("", "", doc)
        signatures = [_SIGNATURE.match(each.strip()) for each in alternatives.split("|") if each.strip()]
        for signature in signatures:
            assert signature is not None
            kinds.setdefault(base, []).append(signature[1])
            fields[signature[1]] = [_field(text) for text in (signature[2] or "").split(", ") if text]
    for base, simplest in _SIMPLEST.items():
        kinds[base].sort(key=lambda kind: simplest.index(kind) if kind in simplest else len(simplest))
    return fields, kinds


def _field(text: str) -> Field:
    kind, _, name = text.partition(" ")
    return kind.rstrip("*?"), kind[-1] if kind[-1] in "*?" else "", name


FIELDS, KINDS = _grammar()


def node_names() -> set[str]:
    """Of the nodes that the parser of this Python makes below a module."""
    return {name for names in KINDS.values() for name in names}


class _Maker:
    def __init__(self, numbers: Sequence[int], *, wild: int) -> None:
        self._numbers = iter(numbers)
        self._arguments = 0
        self._wild = wild  # of a hundred names, how many are from the wild ones

    def below(self, limit: int) -> int:
        return next(self._numbers, 0) % limit

    def pick(self, tame: Sequence[Any], wild: Sequence[Any] = ()) -> Any:
        pool = wild if wild and self.below(100) > 99 - self._wild else tame
        return pool[self.below(len(pool))]

    def statement(self) -> str:
        """Empty where the nodes make no text."""
        made = self.one("stmt", _DEPTH)
        if isinstance(made, ast.Expr):
            made = self.pick((_logged, ast.Return, ast.Expr))(made.value)
        try:
            return ast.unparse(ast.fix_missing_locations(made))
        except (ValueError, RecursionError):
            return "pass"

    # ------------------------------------------------------------ nodes

    def one(self, base: str, depth: int) -> Any:
        kinds = KINDS[base]
        if depth <= 0 and base in _SIMPLEST:
            kinds = kinds[:2]
        rare = self.below(12) == 11
        kind = self.pick([kind for kind in kinds if kind not in _INNER and (rare or kind not in _RARE)])
        return self.node(kind, depth)

    def node(self, kind: str, depth: int) -> ast.AST:
        made: dict[str, Any] = {}
        for type_name, many, name in FIELDS[kind]:
            made[name] = self.value(kind, type_name, many, name, depth - 1)
        self._mend(kind, made, depth)
        return getattr(ast, kind)(**made)  # type: ignore[no-any-return]

    def value(self, kind: str, type_name: str, many: str, name: str, depth: int) -> Any:
        if name in ("target", "targets", "optional_vars") and not (many == "?" and self.below(2) == 0):
            target = self.target(depth, plain=kind in ("NamedExpr", "AugAssign", "AnnAssign"))
            return [target] if many == "*" else target
        if many == "*":
            count = max(_AT_LEAST.get(name, 0), self.below(3 if depth > 0 else 1))
            return [self.value(kind, type_name, "", name, depth) for _ in range(count)]
        if many == "?" and (self.below(3) != 2 or type_name == "string"):
            return None
        match type_name:
            case "identifier":
                return self.identifier(kind, name)
            case "constant":
                return self.pick((None, True, False)) if kind == "MatchSingleton" else self.pick(_CONSTANTS)
            case "int":
                return {"conversion": -1, "is_async": self.below(2), "simple": 1}.get(name, 0)
            case "expr_context":
                return ast.Load()
        return self.one(type_name, depth)

    def identifier(self, kind: str, name: str) -> str:
        if kind == "Attribute" or name in ("kwd_attrs",):
            return str(self.pick(ATTRIBUTES, WILD_ATTRIBUTES))
        if kind in ("alias", "ImportFrom") and name != "asname":
            return str(self.pick(MODULES, WILD_MODULES))
        if kind == "arg":  # no name twice
            self._arguments += 1
            return str(self.pick((f"p{self._arguments}",), WILD_NAMES))
        if kind in ("Name", "keyword"):
            return str(self.pick(NAMES, WILD_NAMES))
        return str(self.pick(NAMES[:4], WILD_NAMES))

    def target(self, depth: int, *, plain: bool) -> ast.expr:
        match self.below(8) if not plain else 0:
            case 6 if depth > 0:
                return ast.Tuple([self.target(depth - 1, plain=False), self.target(0, plain=True)], ast.Store())
            case 7:
                return ast.Subscript(self.one("expr", 0), self.one("expr", 0), ast.Store())
        if self.below(100) > 99 - self._wild:
            return ast.Attribute(self.one("expr", 0), self.identifier("Attribute", "attr"), ast.Store())
        return ast.Name(str(self.pick(NAMES[:4], WILD_NAMES)), ast.Store())

    def _mend(self, kind: str, made: dict[str, Any], depth: int) -> None:
        """What the grammar does not say."""
        inner = depth - 1
        match kind:
            case "BoolOp":
                made["values"] = [self.one("expr", inner), self.one("expr", inner)]
            case "Compare":
                made["comparators"] = [self.one("expr", inner) for _ in made["ops"]]
            case "Dict":
                made["values"] = [self.one("expr", inner) for _ in made["keys"]]
            case "JoinedStr" | "TemplateStr":
                part = "FormattedValue" if kind == "JoinedStr" else "Interpolation"
                made["values"] = [self.node(part, inner), ast.Constant("t")]
            case "FormattedValue" | "Interpolation":
                spec = self.pick(("", ">5", "{0}", "%Y"))
                made["format_spec"] = ast.JoinedStr([ast.Constant(spec)]) if spec else None
                if kind == "Interpolation":
                    made["str"] = "x"
            case "Try" | "TryStar":
                made["handlers"] = made["handlers"] or [self.node("ExceptHandler", inner)]
                if kind == "TryStar":
                    for handler in made["handlers"]:
                        handler.type = handler.type or self.one("expr", 0)
            case "arguments":
                made["kw_defaults"] = [None for _ in made["kwonlyargs"]]
                made["defaults"] = made["defaults"][: len(made["posonlyargs"]) + len(made["args"])]
            case "MatchMapping":
                made["keys"] = [ast.Constant(self.pick(("a", 1, "b"))) for _ in made["patterns"]]
            case "MatchClass":
                made["cls"] = ast.Name(str(self.pick(("str", "int", "list", "dict", "x"))), ast.Load())
                made["kwd_patterns"] = [self.one("pattern", inner) for _ in made["kwd_attrs"]]
            case "MatchOr":
                made["patterns"] = [self.one("pattern", 0), self.one("pattern", 0)]
            case "MatchValue":
                made["value"] = ast.Constant(self.pick((0, "a", 1.5)))
            case "MatchAs":
                if made["name"] is None:
                    made["pattern"] = None
            case "Raise" if made["exc"] is None:
                made["cause"] = None
            case "MatchSequence" if self.below(2):
                made["patterns"].append(self.node("MatchStar", 0))
            case "List" | "Tuple" | "Set" if self.below(4) == 3:
                made["elts"].append(ast.Starred(self.one("expr", 0), ast.Load()))
            case "ImportFrom" if made["module"] is None:
                made["module"] = "json"
            case "Subscript" if self.below(4) == 3:
                made["slice"] = self.node("Slice", 0)
            case "Call" | "Attribute" if self.below(2) == 0:
                first = "func" if kind == "Call" else "value"
                made[first] = ast.Name(str(self.pick(NAMES, WILD_NAMES)), ast.Load())
            case "While" | "For" | "AsyncFor":
                # Loops end: an iterator that is used up raises, whatever the loop catches inside.
                made["body"].insert(0, ast.parse("next(fuel)").body[0])


def _logged(value: ast.expr) -> ast.stmt:
    return ast.Expr(ast.Call(ast.Name("log", ast.Load()), [value], []))


_HEAD = """\
fuel = iter(range(200))
seen = [3, 1]
def spread(*values, **named):
    log(*values, **named)
    return values[0] if values else seen
def numbers():
    got = yield 1
    return got
async def stream():
    yield await agent("x")
a, b, c, x, f, g = [3, 1], {"a": 1}, "text", re.search("(?P<n>t)", "text"), spread, numbers()
"""
_PART = """\
{kind} part{number}():
{body}
try:
    log({call})
except Exception as error:
    log(error, *error.args)
"""


def program(numbers: Sequence[int]) -> str:
    """The source of one program, which logs what its parts give and raise. Some do not even parse."""
    maker = _Maker(numbers, wild=(0, 0, 3, 30)[(numbers[0] if numbers else 0) % 4])
    parts = [_HEAD]
    for number in range(1 + maker.below(4)):
        body = "\n".join(textwrap.indent(maker.statement(), "    ") for _ in range(1 + maker.below(3)))
        kind, call = maker.pick((("async def", "await part{}()"), ("def", "part{}()"), ("def", "[*part{}()]")))
        parts.append(_PART.format(kind=kind, number=number, body=body, call=call.format(number)))
    return "".join(parts)
