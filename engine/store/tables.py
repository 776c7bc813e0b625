"""The tables as the code sees them: names of columns, and the statements that write them."""

from __future__ import annotations

from msgspec import Struct

_USAGE = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_microusd",
    "estimated",
)
#: Of what was seen: whether that was in a worktree, and what an edit made of the file.
_SELDOM = ("aside", "changed", "before", "after")
_LOOK = ("tool", "arguments", "digest", "epoch", *_SELDOM)


class Table(Struct, frozen=True):
    """One table: its columns in the order in which rows.py gives and takes them."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    computed: dict[str, tuple[str, str]] = {}  # column: (value when new, value when not)
    seldom: tuple[str, ...] = ()  # the last columns, which few rows have

    @property
    def names(self) -> str:
        return ", ".join(f"{self.name}.{column}" for column in self.columns)

    @property
    def upsert(self) -> str:
        """Write a row, or the whole new state of the row with the same key."""
        return self._upsert(len(self.columns))

    @property
    def upsert_common(self) -> str:
        """As `upsert`, of a row without the `seldom` columns, which become NULL: to bind a None takes 0.4 us."""
        return self._upsert(len(self.columns) - len(self.seldom))

    def _upsert(self, bound: int) -> str:
        updates = {column: f"excluded.{column}" for column in self.columns if column not in self.key}
        updates |= {column: old for column, (_, old) in self.computed.items()}
        values = [f"?{number + 1}" if number < bound else "NULL" for number in range(len(self.columns))]
        values += [new for new, _ in self.computed.values()]
        return (
            f"INSERT INTO {self.name} ({', '.join((*self.columns, *self.computed))}) VALUES ({', '.join(values)}) "  # noqa: S608
            f"ON CONFLICT ({', '.join(self.key)}) "
            f"DO UPDATE SET {', '.join(f'{column} = {value}' for column, value in updates.items())}"
        )


RUNS = Table(
    "runs",
    ("id",),
    (
        *("id", "lineage", "parent", "workflow", "path", "source_digest", "args", "args_digest", "status"),
        *("started_at", "finished_at", "now", "horizon", "seed", "model", "offline", "sandbox_level", "version"),
        *("result", "fault", "live_steps", "stored_steps", *_USAGE, *(f"paid_{column}" for column in _USAGE)),
        "refresh",
    ),
)
SOURCES = Table("sources", ("digest",), ("digest", "text"))
STEPS = Table(
    "steps",
    ("id",),
    (
        *("id", "run_id", "key", "spec", "kind", "status", "result", "fault", "started_at", "finished_at", "turns"),
        *("model", "observed", *_USAGE, "predecessor", "attempt_after", "patch"),
    ),
    {
        # Inside the transaction, so that the order of finishing is one for all processes; kept when written again.
        "finished_seq": (
            "CASE ?6 WHEN 'completed' THEN (SELECT coalesce(max(finished_seq), 0) + 1 FROM steps) END",
            "coalesce(steps.finished_seq, excluded.finished_seq)",
        )
    },
)
OBSERVATIONS = Table(
    "observations",
    ("step_id", "number"),
    ("step_id", "number", *_LOOK),
    seldom=_SELDOM,
)
ATTEMPTS = Table(
    "attempts",
    ("step_id", "number"),
    ("step_id", "number", "status", "started_at", "finished_at", "fault", *_USAGE, "model"),
)
TURNS = Table(
    "turns",
    ("step_id", "number"),
    (
        *("step_id", "number", "attempt", "model", "input", "output", "outcome", "error", "started_at", "finished_at"),
        *_USAGE,
        *("system_tokens", "tools_tokens", "context_tokens", "conversation_tokens", "shortened"),
    ),
)
TOOL_CALLS = Table(
    "tool_calls",
    ("step_id", "turn", "number"),
    (
        *("step_id", "turn", "number", "call_id", "name", "arguments", "output", "outcome", "started_at"),
        *("finished_at", "whole"),
    ),
    seldom=("whole",),
)
LOOKS = Table(
    "looks",
    ("step_id", "turn", "number", "position"),
    ("step_id", "turn", "number", "position", *_LOOK),
    seldom=_SELDOM,
)
DELIVERIES = Table(
    "deliveries",
    ("run_id", "number"),
    (
        *("run_id", "number", "step_id", "mode", "status", "place", "label", "phase", "scope", "line"),
        *("requested_at", "delivered_at", "reason", "model_reason", "grounds"),
    ),
)

CHANGES = Table("changes", ("epoch",), ("epoch", "path", "before", "after", "step_id", "run_id", "done"))

#: What was seen that is an edit of the project, as the indexes say it.
AN_EDIT = "changed IS NOT NULL AND aside IS NULL"

#: Events have no id: they are told once, and numbered as they are written.
INSERT_EVENT = "INSERT INTO events (run_id, kind, at, data) VALUES (?, ?, ?, ?)"

UPDATE_PLACE = "UPDATE steps SET place = ?1 WHERE id = ?2 AND place <> ?1"

SET_OBSERVED = "UPDATE steps SET observed = ?2 WHERE id = ?1"

#: Only ever upwards: other processes write there too.
RAISE_EPOCH = """
INSERT INTO meta (name, value) VALUES ('epoch', ?1)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE CAST(value AS INTEGER) < CAST(excluded.value AS INTEGER)
"""

FORGET_DELIVERIES = "DELETE FROM deliveries WHERE run_id = ?"

#: The call of an entry that is withdrawn, where nothing was built on it: of the last turn of a step that came to no
#: answer and that no step goes on with or stands after.
WITHDRAW_CALL = f"""
DELETE FROM tool_calls
WHERE step_id = (SELECT step_id FROM changes WHERE epoch = ?1)
  AND (turn, number) IN (
    SELECT turn, number FROM looks
    WHERE step_id = (SELECT step_id FROM changes WHERE epoch = ?1) AND epoch = ?1 AND {AN_EDIT}
  )
  AND turn >= (SELECT coalesce(max(number), 0) FROM turns WHERE turns.step_id = tool_calls.step_id)
  AND NOT EXISTS (SELECT 1 FROM steps WHERE id = tool_calls.step_id AND status = 'completed')
  AND NOT EXISTS (SELECT 1 FROM steps WHERE predecessor = tool_calls.step_id)
  AND NOT EXISTS (SELECT 1 FROM steps WHERE attempt_after = tool_calls.step_id)
"""  # noqa: S608

#: What calls saw that were withdrawn with this entry.
WITHDRAW_LOOKS = """
DELETE FROM looks
WHERE step_id = (SELECT step_id FROM changes WHERE epoch = ?1)
  AND NOT EXISTS (
    SELECT 1 FROM tool_calls AS call
    WHERE call.step_id = looks.step_id AND call.turn = looks.turn AND call.number = looks.number
  )
"""

WITHDRAW = "DELETE FROM changes WHERE epoch = ?"

#: The columns of what was seen, for `work_rows.observation_of`; a step that was written again may have seen less than
#: before: what it saw is the first `observed` rows.
SEEN = ", ".join(_LOOK)
OBSERVED = f"SELECT {SEEN} FROM observations WHERE step_id = ? AND number <= ? ORDER BY number"  # noqa: S608

_UNANSWERED = "status IN ('running', 'cancelled', 'timed_out', 'failed')"  # as the index says it
_LAST_TURN = "max(turns, coalesce((SELECT max(number) FROM turns WHERE step_id = steps.id), 0)) AS last_turn"
_NOT_GONE_ON_WITH = "NOT EXISTS (SELECT 1 FROM steps AS successor WHERE successor.predecessor = steps.id)"

#: Steps without an answer that may be gone on with, unless another one has done so already.
CUT_OFF = f"""
SELECT id, run_id, status, fault, spec, finished_at, {_LAST_TURN} FROM steps
WHERE key = ? AND {_UNANSWERED} AND last_turn > 0 AND {_NOT_GONE_ON_WITH}
ORDER BY started_at, id
"""  # noqa: S608

#: Those that may own edits, unless another one does by now.
EDITING = f"""
SELECT id, run_id, status, fault, spec, finished_at, {_LAST_TURN} FROM steps
WHERE key = ? AND {_UNANSWERED} AND {_NOT_GONE_ON_WITH}
  AND NOT EXISTS (SELECT 1 FROM steps AS later WHERE later.attempt_after = steps.id)
  AND (predecessor IS NOT NULL OR attempt_after IS NOT NULL
       OR EXISTS (SELECT 1 FROM looks WHERE step_id = steps.id AND {AN_EDIT}))
ORDER BY started_at, id
"""  # noqa: S608

#: A step stands after no attempt any more, nor does one that it goes on with.
DISINHERIT = """
WITH RECURSIVE
links (id) AS (SELECT ?1 UNION SELECT predecessor FROM steps JOIN links USING (id) WHERE predecessor IS NOT NULL)
UPDATE steps SET attempt_after = NULL WHERE id IN (SELECT id FROM links)
"""

LINK = "SELECT predecessor, observed, (SELECT max(number) FROM turns WHERE step_id = ?1) FROM steps WHERE id = ?1"

#: The tool calls of a step, and what they saw.
MADE = "SELECT turn, number, call_id FROM tool_calls WHERE step_id = ?"
SEEN_BY_CALLS = f"SELECT turn, number, {SEEN} FROM looks WHERE step_id = ? ORDER BY turn, number, position"  # noqa: S608

#: The call by which a step made an edit.
CALL_OF_EDIT = f"SELECT turn, number FROM looks WHERE step_id = ? AND epoch = ? AND {AN_EDIT}"  # noqa: S608

CALL = f"SELECT {TOOL_CALLS.names} FROM tool_calls WHERE step_id = ? AND turn = ? AND number = ?"  # noqa: S608

EDIT_BEFORE = "SELECT max(epoch) FROM changes WHERE epoch < ?"

IS_DONE = "SELECT 1 FROM changes WHERE epoch = ? AND done = 1"

#: Edits of the steps that a step stands after, and of all that they go on with or stand after in their turn. CROSS JOIN
#: takes the few rows on its left first: SQLite would look at every step.
INHERITED = f"""
WITH RECURSIVE
links (id) AS (
    SELECT ?1 UNION SELECT predecessor FROM links CROSS JOIN steps USING (id) WHERE predecessor IS NOT NULL
),
earlier (id) AS (
    SELECT attempt_after FROM links CROSS JOIN steps USING (id) WHERE attempt_after IS NOT NULL
    UNION SELECT predecessor FROM earlier CROSS JOIN steps USING (id) WHERE predecessor IS NOT NULL
    UNION SELECT attempt_after FROM earlier CROSS JOIN steps USING (id) WHERE attempt_after IS NOT NULL
)
SELECT epoch, changed, before, after FROM earlier CROSS JOIN looks ON step_id = id
WHERE {AN_EDIT} ORDER BY epoch
"""  # noqa: S608

#: One row a key, of its latest step: a bare column beside max() is of the row that has it.
EARLIER_SPECS = """
SELECT id, spec, max(number) AS latest
FROM (SELECT rowid AS number, id, run_id, key, spec, kind, started_at FROM steps ORDER BY rowid DESC LIMIT ?)
WHERE kind = ? AND run_id <> ? AND started_at <= ? GROUP BY key ORDER BY latest DESC
"""

#: What the steps of a file's latest runs used, by label and model; each step once.
USAGE_BY_LABEL = """
SELECT label, model, count(*), sum(input_tokens), sum(output_tokens),
       CASE WHEN count(cost_microusd) = count(*) THEN sum(cost_microusd) END
FROM (
    SELECT DISTINCT deliveries.label, steps.id, steps.model, input_tokens, output_tokens, cost_microusd
    FROM deliveries JOIN steps ON steps.id = deliveries.step_id
    WHERE deliveries.run_id IN (SELECT id FROM runs WHERE path = ? ORDER BY started_at DESC LIMIT ?)
      AND steps.status = 'completed' AND steps.kind = 'agent'
)
GROUP BY label, model ORDER BY label, model
"""

POOL = """
SELECT id, finished_seq, finished_at, spec, result, place, model, turns, observed,
       coalesce(attempt_after, predecessor), patch, input_tokens, output_tokens, cached_tokens, cache_write_tokens,
       reasoning_tokens, cost_microusd, estimated
FROM steps WHERE key = ? AND status = 'completed' AND result IS NOT NULL ORDER BY finished_seq
"""
