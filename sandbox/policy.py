"""Compile a script under the policy, or say all that is wrong with it. Nothing here executes any of it.

For the locked child only: parsing hostile source is itself an attack (deep nesting, huge constants).
"""

from __future__ import annotations

import ast
import re
import warnings
from types import CodeType
from typing import Any, Final

from . import problems
from .policy_body import Outline, assemble, check_body, outline
from .policy_meta import read_meta
from .policy_nodes import Policy
from .problems import ScriptProblem, ScriptRefused, column
from .undefined import undefined_names
from .verifier import Unverified, verify

__all__ = ["CompiledScript", "ScriptProblem", "ScriptRefused", "compile_script", "read_metadata"]

MAX_SOURCE_CHARS: Final = 256 * 1024

#: What the parser and the compiler raise for hostile source, beside SyntaxError.
_HOSTILE: Final = (MemoryError, OverflowError, RecursionError, ValueError)


class CompiledScript:
    """Executed in the globals of `guards.make_globals`, `code` defines `main(args)`, a coroutine function.

    `has_main`: the script wrote it itself; else it holds the whole file.
    """

    def __init__(self, code: CodeType, *, has_main: bool, docstring: str | None) -> None:
        self.code = code
        self.has_main = has_main
        self.docstring = docstring


def compile_script(source: str, filename: str) -> CompiledScript:
    """Raises ScriptRefused with every problem found. Tracebacks name `filename`, and the script's own lines."""
    examined = _examine(source, filename)
    if examined.code is None:
        raise ScriptRefused(examined.problems)
    return CompiledScript(examined.code, has_main=examined.parts.has_main, docstring=examined.parts.docstring)


def read_metadata(source: str, filename: str) -> dict[str, Any]:
    """What a script says about itself, and its problems, as far as its source can be read.

    Keys: docstring (str or None), meta (dict), meta_line (int or None), body ("main" or "toplevel"), phases_used (list
    of the literal titles), problems (tuple of ScriptProblem, as compile_script reports them), undefined (the same, of
    names that nobody defines: such a script compiles, and would fail when it comes to them; and of one without a body).
    """
    examined = _examine(source, filename)
    parts = examined.parts
    return {
        "docstring": parts.docstring,
        "meta": examined.meta,
        "meta_line": parts.meta.lineno if parts.meta else None,
        "body": "main" if parts.has_main else "toplevel",
        "phases_used": examined.phases,
        "problems": examined.problems,
        "undefined": examined.undefined(source),
    }


class _Examined:
    """`code` is None exactly if there are problems."""

    def __init__(
        self,
        code: CodeType | None,
        parts: Outline,
        problems: tuple[ScriptProblem, ...],
        meta: dict[str, Any],
        phases: list[str],
    ) -> None:
        self.code = code
        self.parts = parts
        self.problems = problems
        self.meta = meta
        self.phases = phases

    def undefined(self, source: str) -> tuple[ScriptProblem, ...]:
        if self.code is not None and self.parts.does_nothing:
            return (ScriptProblem(1, 1, problems.NO_BODY),)
        found = undefined_names(self.code) if self.code is not None else []
        lines = source_lines(source) if found else []
        return tuple(ScriptProblem(each.line, column(lines, each.line, each.offset), each.message) for each in found)


_NO_PARTS: Final = Outline(docstring=None, meta=None, mains=())


def _examine(source: str, filename: str) -> _Examined:
    # A warning about the script is no problem of it, and no business of whoever compiles it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = _parse(source, filename)
        except ScriptRefused as refused:
            return _Examined(None, _NO_PARTS, refused.problems, {}, [])
        return _examine_tree(tree, source, filename)


def _parse(source: str, filename: str) -> ast.Module:
    source = source.removeprefix("\ufeff")
    if len(source) > MAX_SOURCE_CHARS:
        message = f"the script has {len(source):,} characters, and may have {MAX_SOURCE_CHARS:,}"
        raise ScriptRefused((ScriptProblem(1, 1, message),))
    try:
        return ast.parse(source, filename)
    except SyntaxError as error:
        raise ScriptRefused(
            (ScriptProblem(error.lineno or 1, error.offset or 1, problems.syntax_message(error, source_lines(source))),)
        ) from None
    except (RecursionError, MemoryError):
        raise ScriptRefused((ScriptProblem(1, 1, problems.TOO_DEEP),)) from None
    except _HOSTILE as error:
        raise ScriptRefused((ScriptProblem(1, 1, f"the script cannot be read: {error}"),)) from None


def _examine_tree(tree: ast.Module, source: str, filename: str) -> _Examined:
    parts = outline(tree)
    policy = Policy(source_lines(source), has_main=parts.has_main)
    meta: dict[str, Any] = {}
    try:
        if parts.meta is not None and parts.meta.value is not None:
            meta = read_meta(parts.meta.value, policy.error)
        check_body(tree, parts, policy.error)
        policy.visit(tree)
        policy.scopes.judge()
    except RecursionError:
        policy.found.add(ScriptProblem(1, 1, problems.TOO_DEEP))
    code = None if policy.found else _compile(assemble(tree, parts, policy.scopes.declared_global), filename, policy)
    return _Examined(code, parts, policy.problems, meta, list(policy.phases))


def source_lines(source: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", source.removeprefix("\ufeff"))


def _compile(tree: ast.Module, filename: str, policy: Policy) -> CodeType | None:
    """The verified code; None with a problem added to those of `policy`."""
    try:
        code: CodeType = compile(tree, filename, "exec", dont_inherit=True, optimize=0)
        verify(code)
    except SyntaxError as error:
        line = error.lineno or 1
        # Without source at hand the compiler counts bytes, the parser counts characters.
        column = policy.column(line, (error.offset or 1) - 1)
        policy.found.add(ScriptProblem(line, column, problems.syntax_message(error, policy.lines)))
    except Unverified as error:
        policy.found.add(ScriptProblem(error.line, 1, f"{error}, which is not available in workflow scripts"))
    except (RecursionError, MemoryError):
        policy.found.add(ScriptProblem(1, 1, problems.TOO_DEEP))
    except _HOSTILE as error:
        policy.found.add(ScriptProblem(1, 1, f"the script cannot be compiled: {error}"))
    else:
        return code
    return None
