"""The types that a script can get at: a closed list, which the walk and the fuzzing of the policy hold values against.

By name, since many are private, and a few have another name in another version of Python. A type goes in here once
somebody has looked at what the interpreter does with its values: calls, items, operators. Attributes are the guard's.
"""

from __future__ import annotations

import itertools

_OURS = "vibe_workflows.sandbox."

#: Exceptions, as values and as types: they hold what they were raised with, and what the interpreter put into `args`.
_ERRORS = {
    "builtins": (
        "ArithmeticError AssertionError AttributeError BufferError ConnectionError DeprecationWarning EOFError "
        "Exception FileNotFoundError FloatingPointError ImportError IndexError KeyError LookupError MemoryError "
        "ModuleNotFoundError NameError NotImplementedError OSError OverflowError PermissionError RecursionError "
        "RuntimeError RuntimeWarning StopAsyncIteration StopIteration TimeoutError TypeError UnboundLocalError "
        "UnicodeDecodeError UnicodeEncodeError UnicodeError UserWarning ValueError Warning ZeroDivisionError"
    ),
    "json.decoder": "JSONDecodeError",
    "re": "error PatternError",  # its name since 3.13
    "statistics": "StatisticsError",
    _OURS + "script_errors": (
        "AgentError BudgetExceeded Conflict ContextTooLong GateFailed ModelMissing ProviderError RateLimited Refused "
        "SchemaMismatch SetupError Timeout ToolDenied ToolFailed Truncated TurnLimit WorkflowFailed"
    ),
}

#: What both a value and a type may be.
_DATA = {
    "builtins": (
        "NoneType bool bytes complex dict ellipsis enumerate filter float frozenset int list map range reversed set "
        "slice str tuple zip"
    ),
    "collections": "Counter OrderedDict defaultdict deque",
    "datetime": "date datetime time timedelta timezone",
    "difflib": "SequenceMatcher",
    "functools": "partial",  # what it wraps is not readable
    "itertools": (
        "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse "
        "groupby islice pairwise permutations product repeat starmap takewhile zip_longest"
    ),
    "operator": "itemgetter",
    "pathlib": "PurePosixPath",
    "pathlib._local": "PurePosixPath",  # in 3.13
    "re": "Match Pattern",
    "string": "Template",
}

#: What only a value may be: a script does not get the type, and could do nothing with it.
_VALUES_ONLY = {
    "builtins": (
        "NotImplementedType "
        # Functions, generators and coroutines: to be called, run through and awaited; code and frames stay inside.
        "function method builtin_function_or_method builtin_method method_descriptor generator "
        "coroutine async_generator async_generator_asend anext_awaitable "
        # Iterators and views.
        "bytes_iterator callable_iterator dict_itemiterator dict_items dict_keyiterator dict_keys "
        "dict_reverseitemiterator dict_reversekeyiterator dict_reversevalueiterator dict_valueiterator dict_values "
        "generic_alias_iterator list_iterator list_reverseiterator longrange_iterator range_iterator "
        "set_iterator str_ascii_iterator str_iterator tuple_iterator odict_items odict_iterator odict_keys "
        "odict_values "
        # `groupindex` of a pattern, read-only. What it stands for reaches only a right operand's own methods, and a
        # script has none that keep it.
        "mappingproxy"
    ),
    # `list[int]` and `int | None`, as aliases of types. The first makes what the plain type makes.
    "types": "GenericAlias UnionType",
    "typing": "Union",  # what `int | None` is since 3.14
    "_collections": "_deque_iterator _deque_reverse_iterator",
    "collections": "_deque_iterator _deque_reverse_iterator",  # since 3.12
    "datetime": "IsoCalendarDate",
    "difflib": "Match",
    "functools": "KeyWrapper _lru_cache_wrapper",
    "itertools": "_grouper _tee",
    "pathlib": "_PathParents",
    "pathlib._local": "_PathParents",
    "statistics": "LinearRegression",
    "urllib.parse": (
        "DefragResult DefragResultBytes ParseResult ParseResultBytes SplitResult SplitResultBytes"  # tuples
    ),
    # Ours. Steps and fan-outs have no attributes: they lead to the scheduler.
    _OURS + "blocks": "Block Budget PhaseBlock",
    _OURS + "facades.data": "Digest",
    _OURS + "facades.hints": "Hint",
    _OURS + "facades.module": "Module",
    _OURS + "fanout": "FanOut",
    _OURS + "race": "Race",
    _OURS + "steps": "Step",
    _OURS + "values": "Args StepResult",
}


def _names(*tables: dict[str, str]) -> frozenset[str]:
    return frozenset(
        f"{module}.{name}" for table in tables for module, names in table.items() for name in names.split()
    )


EXPECTED_VALUES = _names(_ERRORS, _DATA, _VALUES_ONLY)
EXPECTED_CLASSES = _names(_ERRORS, _DATA)

#: Names of other versions of Python for something that this one calls otherwise.
RENAMED = _names(
    {
        "re": "error PatternError",
        "pathlib": "PurePosixPath _PathParents",
        "pathlib._local": "PurePosixPath _PathParents",
        "_collections": "_deque_iterator _deque_reverse_iterator",
        "collections": "_deque_iterator _deque_reverse_iterator",
        "types": "UnionType",
        "typing": "Union",
    }
)

#: Values of these never run out of items.
ENDLESS: frozenset[type] = frozenset({itertools.count, itertools.cycle, itertools.repeat, type(iter(int, 1))})


def name_of(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def unexpected(value: object) -> str | None:
    """What is wrong with a script holding `value`, if anything is."""
    cls = type(value)
    if isinstance(value, type):
        named = name_of(value) in EXPECTED_CLASSES and cls is type
        return None if named else f"the type {name_of(value)}"
    return None if name_of(cls) in EXPECTED_VALUES else f"a value of type {name_of(cls)}"
