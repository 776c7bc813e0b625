"""Imports litellm, quiet and off the network. Everything of the engine that needs litellm imports it from here.

The import takes two seconds and 160 MB, so this module is itself imported on the first live call only, in a
thread. litellm is set up by environment variables that it reads while it is imported: besides engine/config.py, this
is the one module of the engine that touches os.environ.
"""

from __future__ import annotations

import gc
import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from .. import masking

#: Set whatever the user has: without them litellm loads `./.env` of a stranger's project, downloads its price list,
#: downloads header names at the first Anthropic call, and fails an answer with a hundred equal chunks, as in a table.
_ENVIRONMENT: Final = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "REPEATED_STREAMING_CHUNK_LIMIT": "1000000000",
}


def _import_litellm() -> Any:
    os.environ.update(_ENVIRONMENT)
    os.environ.setdefault("LITELLM_LOG", "CRITICAL")
    with _nothing_collected():
        module: Any = importlib.import_module("litellm")
    module.suppress_debug_info = True  # it prints help to stdout
    # A call that is cancelled at its very beginning leaves one of litellm's coroutines behind: of no use to a person.
    warnings.filterwarnings("ignore", r"coroutine '\w+\.(async|acompletion)_\w+' was never awaited", RuntimeWarning)
    module.telemetry = False
    module.drop_params = False  # a parameter that a model does not take is an error, never silently gone
    module.disable_hf_tokenizer_download = True
    return module


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """What is imported is no garbage: to look for some takes up to a fifth of the time, and would go on later."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _one_request_a_call() -> None:
    """litellm gives the OpenAI client two retries of its own for providers that it knows no such parameter of."""
    handler: Any = importlib.import_module("litellm.llms.openai.openai").OpenAIChatCompletion
    make = handler._get_openai_client

    def make_without_retries(self: Any, *args: Any, **given: Any) -> Any:
        return make(self, *args, **{**given, "max_retries": 0})

    handler._get_openai_client = make_without_retries


litellm: Final = _import_litellm()
_one_request_a_call()
map_finish_reason: Final = importlib.import_module("litellm.litellm_core_utils.core_helpers").map_finish_reason
reads_as_too_long: Final = importlib.import_module(
    "litellm.litellm_core_utils.exception_mapping_utils"
).ExceptionCheckers.is_error_str_context_window_exceeded
AnthropicError: Final = importlib.import_module("litellm.llms.anthropic.common_utils").AnthropicError
AsyncHTTPHandler: Final = importlib.import_module("litellm.llms.custom_httpx.http_handler").AsyncHTTPHandler


def masked(text: str) -> str:
    """`text` without the values of secret-looking environment variables: providers echo keys in their errors."""
    return masking.masked(text, masking.secret_values(os.environ))


def openai_base() -> str | None:
    """The address that litellm takes for `openai/...` from the environment."""
    return os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")


def providers() -> frozenset[str]:
    """Every provider that a model's name can begin with."""
    return frozenset(str(getattr(each, "value", each)) for each in litellm.provider_list)
