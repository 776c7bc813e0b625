"""Secrets of this machine's environment, taken out of text that goes elsewhere: into a trace, a file for others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

_SECRET_NAMES: Final = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")
_MIN_SECRET_CHARS: Final = 8
_MASK: Final = "***"


def secret_values(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables whose names look like those of secrets, the longest first: one may hold another."""
    found = {
        value
        for name, value in environ.items()
        if len(value) >= _MIN_SECRET_CHARS and any(part in name.upper() for part in _SECRET_NAMES)
    }
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets."""
    for secret in secrets:
        text = text.replace(secret, _MASK)
    return text


def as_written_in_json(secrets: Iterable[str]) -> tuple[str, ...]:
    """The secrets and all the ways in which they can stand in JSON, and in JSON that is a text of JSON."""
    forms: dict[str, None] = {}
    for secret in secrets:
        forms[secret] = None
        once = [json.dumps(secret, ensure_ascii=plain)[1:-1] for plain in (True, False)]
        for form in once:
            forms[form] = None
            forms.update((json.dumps(form, ensure_ascii=plain)[1:-1], None) for plain in (True, False))
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))
