"""What goes to stdout, or to `-o FILE`: a result, one JSON document, or a stream of events. Nothing else does."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from vibe_workflows.engine.errors import ConfigError, StepFault, StoreError, VibeError
from vibe_workflows.engine.events import Event, encode_event
from vibe_workflows.engine.model import FAILED_STEP, Fault, RunStatus, Usage

from .printing import indented
from .render.faults import origin_of
from .render.sanitize import clean, escaped
from .render.stream import Output
from .render.usage import hit_rate

if TYPE_CHECKING:
    from vibe_workflows.engine.launch import RunReport
    from vibe_workflows.engine.ports import EventSink

    from .edits import Edits
    from .failures import Failures


class Form(StrEnum):
    RESULT = "result"  # text raw, JSON indented, None nothing
    DOCUMENT = "document"  # --json
    EVENTS = "events"  # --events


class RunOutput:
    """The output of one run, as a context. Opened before the run, so that a bad `-o` costs nothing."""

    def __init__(self, form: Form, path: str | None) -> None:
        self._form = form
        self._path = None if path in (None, "-") else Path(path or "")
        if self._path is not None:
            _require_writable(self._path)
        self._file: BinaryIO | None = None
        self._stream = self._open() if form is Form.EVENTS else None

    def __enter__(self) -> RunOutput:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()

    def sinks(self) -> list[EventSink]:
        return [] if self._stream is None else [EventLines(self._stream)]

    @property
    def to_terminal(self) -> bool:
        return self._path is None and sys.stdout.isatty()

    def finish(self, report: RunReport, failures: Failures, edits: Edits) -> None:
        """Print the result, or the document. Without a result a file is left as it was. Raises StoreError."""
        if self._form is not Form.RESULT:
            self._document(document(report, failures, edits))
        elif report.result is not None:
            self._write(result_bytes(report.result, terminal=self.to_terminal))

    def publish(self, document: bytes, text: str) -> None:
        """Print one document, or a text in its place. Raises StoreError."""
        if self._form is Form.RESULT:
            self._write(text.encode("utf-8", "replace") + b"\n")
        else:
            self._document(document)

    def fail(self, error: VibeError) -> None:
        """The document of a run that could not begin, or whose store broke."""
        if self._form is not Form.RESULT:
            self._document(failure_document(error))

    def _document(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.write(escaped(data) + b"\n")
        else:
            self._write(indented(data))

    def _write(self, data: bytes) -> None:
        try:
            if self._path is None:
                Output.of(sys.stdout).write(data)
            elif self._path.exists() and not self._path.is_file():  # a pipe, or /dev/stdout
                self._path.write_bytes(data)
            else:
                _replace(self._path, data)
        except OSError as error:
            raise StoreError(
                f"{self._path or 'stdout'}: the output cannot be written: {error.strerror}; the run itself is kept: "
                "the same command prints it again from the store"
            ) from error

    def _open(self) -> Output:
        if self._path is None:
            return Output.of(sys.stdout)
        try:
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise ConfigError(f"-o {self._path}: cannot be written: {error.strerror}; name another file") from error
        return Output(self._file)


class EventLines:
    """An EventSink: each event as one line of JSON."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def handle(self, event: Event) -> None:
        self._output.write(escaped(encode_event(event)) + b"\n")


def result_bytes(result: bytes | None, *, terminal: bool) -> bytes:
    """A result, which is JSON, as it is printed: text as it is (on a terminal cleaned), None as nothing."""
    if result is None or result == b"null":
        return b""
    if result.startswith(b'"'):
        text: str = msgspec.json.decode(result)
        if terminal:
            text = clean(text)
        data = text.encode("utf-8", "replace")
        return data if data.endswith(b"\n") else data + b"\n"
    return indented(result)


def document(report: RunReport, failures: Failures, edits: Edits) -> bytes:
    """The one document of `--json`, compact."""
    run = report.run
    return msgspec.json.encode(
        {
            "run": run.id,
            "status": run.status.value,
            "result": None if report.result is None else msgspec.Raw(report.result),
            "error": run_fault_json(report.error),
            "failures": failures.steps,
            "failed_steps": failures.count,
            "edited": edits.to_json(),
            "collisions": edits.collisions_json(),
            "usage": usage_json(run.usage),
            "paid": usage_json(run.paid),
            "cached": run.stored_steps,
            "offline": run.offline,
        }
    )


def failure_document(error: VibeError) -> bytes:
    """The document of a run that failed before it began."""
    if isinstance(error, StepFault):
        fault = error.to_fault()
    else:
        fault = Fault(type=type(error).__name__, message=error.message)
    return msgspec.json.encode(
        {
            "run": None,
            "status": RunStatus.FAILED.value,
            "result": None,
            "error": run_fault_json(fault),
            "failures": [],
            "failed_steps": 0,
            "edited": [],
            "collisions": [],
            "usage": usage_json(Usage()),
            "paid": usage_json(Usage()),
            "cached": 0,
            "offline": False,
        }
    )


def fault_json(fault: Fault | None) -> dict[str, object] | None:
    """An error of a step or of an attempt."""
    if fault is None:
        return None
    fields = {name: value for name, value in fault.fields.items() if name != FAILED_STEP}
    return {"type": fault.type, "kind": fault.kind, "message": fault.message, "fields": fields}


def run_fault_json(fault: Fault | None) -> dict[str, object] | None:
    """The error of a run, with the step that it came from; null where it came from none."""
    error = fault_json(fault)
    return None if fault is None or error is None else {**error, "step": origin_of(fault)}


def usage_json(usage: Usage) -> dict[str, object]:
    return {
        "tokens": usage.tokens,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "cost_microusd": usage.cost_microusd,
        "estimated": usage.estimated,
        "cache_hit_rate": None if (rate := hit_rate(usage)) is None else round(rate, 4),
    }


def _require_writable(path: Path) -> None:
    if path.is_dir():
        raise ConfigError(f"-o {path}: this is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"-o {path}: there is no folder {path.parent}; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"-o {path}: cannot be written; mend its permissions, or name another file")


def _replace(path: Path, data: bytes) -> None:
    """The whole file or nothing of it: whoever reads it never sees half a result."""
    if not os.access(path.parent, os.W_OK):
        path.write_bytes(data)
        return
    import tempfile  # slow to import, and few runs have `-o`

    target = path.resolve()
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(draft, target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask())
        os.replace(draft, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
