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


class Table(Struct, frozen=True):
    """One table: its columns in the order in which rows.py gives and takes them."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    computed: dict[str, tuple[str, str]] = {}  # column: (value when new, value when not)

    @property
    def names(self) -> str:
        return ", ".join(f"{self.name}.{column}" for column in self.columns)

    @property
    def upsert(self) -> str:
        """Write a row, or the whole new state of the row with the same key."""
        updates = {column: f"excluded.{column}" for column in self.columns if column not in self.key}
        updates |= {column: old for column, (_, old) in self.computed.items()}
        values = [f"?{number + 1}" for number in range(len(self.columns))] + [new for new, _ in self.computed.values()]
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
        *("model", "observed", *_USAGE, "predecessor"),
    ),
    {
        # Inside the transaction, so that the order of finishing is one for all processes; kept when written again.
        "finished_seq": (
            "CASE ?6 WHEN 'completed' THEN (SELECT coalesce(max(finished_seq), 0) + 1 FROM steps) END",
            "coalesce(steps.finished_seq, excluded.finished_seq)",
        )
    },
)
OBSERVATIONS = Table("observations", ("step_id", "number"), ("step_id", "number", "tool", "arguments", "digest"))
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
        *("finished_at", "observed_tool", "observed_arguments", "observed_digest"),
    ),
)
DELIVERIES = Table(
    "deliveries",
    ("run_id", "number"),
    (
        *("run_id", "number", "step_id", "mode", "status", "place", "label", "phase", "scope", "line"),
        *("requested_at", "delivered_at", "reason", "model_reason", "grounds"),
    ),
)

#: Events have no id: they are told once, and numbered as they are written.
INSERT_EVENT = "INSERT INTO events (run_id, kind, at, data) VALUES (?, ?, ?, ?)"

UPDATE_PLACE = "UPDATE steps SET place = ?1 WHERE id = ?2 AND place <> ?1"

#: Steps without an answer that may be gone on with, unless another one has done so already.
CUT_OFF = """
SELECT id, run_id, status, fault, spec, started_at, finished_at, predecessor,
       max(turns, coalesce((SELECT max(number) FROM turns WHERE step_id = steps.id), 0)) AS last_turn
FROM steps
WHERE key = ? AND status IN ('running', 'cancelled', 'timed_out', 'failed') AND last_turn > 0
  AND NOT EXISTS (SELECT 1 FROM steps AS successor WHERE successor.predecessor = steps.id)
ORDER BY started_at, id
"""

LINK = "SELECT predecessor, (SELECT max(number) FROM turns WHERE step_id = ?1) FROM steps WHERE id = ?1"

#: What the turns of a step saw, but for the last one, whose tools are run again.
LOOKS = """
SELECT observed_tool, observed_arguments, observed_digest FROM tool_calls
WHERE step_id = ? AND turn < ? AND observed_tool IS NOT NULL ORDER BY turn, number
"""

#: One row a key, of its latest step: a bare column beside max() is of the row that has it.
RECENT_SPECS = """
SELECT id, spec, max(rowid) AS latest
FROM (SELECT rowid, id, key, spec, kind, started_at FROM steps ORDER BY rowid DESC LIMIT ?)
WHERE kind = ? AND started_at < ? GROUP BY key ORDER BY latest DESC
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
SELECT id, finished_seq, finished_at, spec, result, place, model, turns, observed, input_tokens, output_tokens,
       cached_tokens, cache_write_tokens, reasoning_tokens, cost_microusd, estimated
FROM steps WHERE key = ? AND status = 'completed' AND result IS NOT NULL ORDER BY finished_seq
"""
