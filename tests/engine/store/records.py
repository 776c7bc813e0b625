"""Records of every kind, as Hypothesis strategies."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.engine.store.making import RUN
from vibe_workflows.engine import events
from vibe_workflows.engine.keys import content_digest
from vibe_workflows.engine.model import (
    Attempt,
    Cause,
    Change,
    Delivery,
    DeliveryMode,
    Fault,
    Grounds,
    LineageId,
    Observation,
    RefreshWord,
    Run,
    RunId,
    RunStatus,
    Step,
    StepId,
    StepKey,
    StepKind,
    StepStatus,
    ToolCall,
    Turn,
    Usage,
)
from vibe_workflows.engine.ports import FileChange, FileContents, RunEvent, Source

#: No lone surrogates: UTF-8 has no form for them, and the store says what becomes of them.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
long_texts = st.one_of(texts, st.builds(lambda text, times: text * times, texts, st.integers(1, 500)))
times = st.floats(min_value=0, max_value=1e11)
counts = st.integers(0, 2**62)
statuses = st.sampled_from(StepStatus)

usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cached_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
    cost_microusd=st.none() | counts,
    estimated=st.booleans(),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=5,
)
faults = st.builds(
    Fault, type=texts, message=long_texts, kind=texts, fields=st.dictionaries(texts, json_values, max_size=3)
)
epochs = st.integers(0, 2**62)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
paths = texts.filter(lambda path: "\0" not in path)
changes = st.builds(Change, path=paths, before=st.none() | digests, after=st.none() | digests)
observations = st.builds(
    Observation,
    tool=texts,
    arguments=long_texts,
    digest=texts,
    epoch=epochs,
    change=st.none() | changes,
    aside=st.booleans(),
)
ids = st.uuids().map(str)

steps = st.builds(
    Step,
    id=ids.map(StepId),
    run_id=st.just(RUN),
    key=texts.map(StepKey),
    spec=long_texts,
    kind=st.sampled_from(StepKind),
    status=statuses,
    result=st.none() | long_texts,
    usage=usages,
    started_at=times,
    finished_at=times,
    turns=counts,
    model=texts,
    fault=st.none() | faults,
    patch=st.none() | long_texts,
    observations=st.lists(observations, max_size=4).map(tuple),
    attempt_after=st.none() | ids.map(StepId),
)
attempts = st.builds(
    Attempt,
    step_id=ids.map(StepId),
    number=counts,
    status=statuses,
    started_at=times,
    finished_at=times,
    usage=usages,
    fault=st.none() | faults,
    model=texts,
)
turns = st.builds(
    Turn,
    step_id=ids.map(StepId),
    number=counts,
    attempt=counts,
    model=texts,
    input=long_texts,
    output=long_texts,
    outcome=texts,
    started_at=times,
    finished_at=times,
    usage=usages,
    error=long_texts,
)
tool_calls = st.builds(
    ToolCall,
    step_id=ids.map(StepId),
    turn=counts,
    number=counts,
    call_id=texts,
    name=texts,
    arguments=long_texts,
    output=long_texts,
    outcome=st.sampled_from(["ok", "error", "denied"]),
    started_at=times,
    finished_at=times,
    observations=st.lists(observations, max_size=3).map(tuple),
    whole=long_texts,
)
deliveries = st.builds(
    Delivery,
    run_id=ids.map(RunId),
    number=counts,
    step_id=ids.map(StepId),
    mode=st.sampled_from(DeliveryMode),
    status=statuses,
    place=texts,
    label=texts,
    phase=texts,
    scope=counts,
    line=counts,
    requested_at=times,
    delivered_at=times,
    reason=long_texts,
    grounds=st.none()
    | st.builds(
        Grounds,
        cause=st.sampled_from(Cause),
        step=st.none() | ids.map(StepId),
        observation=st.none() | observations,
        horizon=st.none() | times,
        path=st.none() | texts,
    ),
)
runs = st.builds(
    Run,
    id=ids.map(RunId),
    lineage=texts.map(LineageId),
    parent=st.none() | texts.map(RunId),
    workflow=texts,
    path=texts,
    source_digest=texts,
    args=long_texts,
    args_digest=texts,
    status=st.sampled_from([each for each in RunStatus if each is not RunStatus.RUNNING]),
    started_at=times,
    finished_at=st.none() | times,
    now=times,
    horizon=st.none() | times,
    seed=texts,
    model=texts,
    offline=st.booleans(),
    sandbox_level=texts,
    version=texts,
    refresh=st.lists(st.builds(RefreshWord, word=texts, key=st.none() | texts.map(StepKey))).map(tuple),
    result=st.none() | long_texts,
    fault=st.none() | faults,
    usage=usages,
    paid=usages,
    live_steps=counts,
    stored_steps=counts,
)
file_changes = st.builds(
    FileChange,
    epoch=epochs,
    change=changes,
    step_id=ids.map(StepId),
    run_id=ids.map(RunId),
    done=st.booleans(),
)
file_contents = st.binary(max_size=5000).map(lambda data: FileContents(digest=content_digest(data), data=data))
sources = st.builds(Source, digest=ids, text=long_texts)
finite = st.floats(allow_nan=False, allow_infinity=False)
told = st.one_of(
    st.builds(events.RunStarted, at=finite, run=texts, workflow=texts, lineage=texts, parent=st.none() | texts),
    st.builds(events.PhaseStarted, at=finite, title=texts, scope=counts),
    st.builds(events.StepStarted, at=finite, number=counts, step=texts, label=texts, phase=texts, kind=texts),
    st.builds(
        events.StepRetried, at=finite, number=counts, step=texts, attempt=counts, wait_s=finite, error=long_texts
    ),
    st.builds(events.TurnFinished, at=finite, number=counts, step=texts, turn=counts, tools=st.lists(texts).map(tuple)),
    st.builds(
        events.StepFinished, at=finite, number=counts, step=texts, label=texts, phase=texts, status=texts, error=texts
    ),
    st.builds(events.Logged, at=finite, message=long_texts, fields=st.dictionaries(texts, texts, max_size=3)),
    st.builds(events.Warned, at=finite, message=long_texts),
    st.builds(
        events.RunFinished,
        at=finite,
        run=texts,
        status=texts,
        live_steps=counts,
        stored_steps=counts,
        tokens=counts,
        cost_microusd=st.none() | counts,
        paid_tokens=counts,
        paid_microusd=st.none() | counts,
    ),
)
run_events = st.builds(RunEvent, run_id=ids.map(RunId), event=told)
