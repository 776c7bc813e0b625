-- Frozen once released: a change is a new file.
--
-- A column of type ANY holds text: a TEXT value is the text itself, a BLOB value of 32 bytes is the digest of a blob
-- that holds it. Times are seconds since the epoch, money is integer micro-dollars, NULL where the price is unknown.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    id                      TEXT NOT NULL PRIMARY KEY,
    lineage                 TEXT NOT NULL,
    parent                  TEXT,
    workflow                TEXT NOT NULL,
    path                    TEXT NOT NULL,
    source_digest           TEXT NOT NULL,
    args                    ANY  NOT NULL,      -- canonical JSON
    args_digest             TEXT NOT NULL,
    status                  TEXT NOT NULL,      -- `running` without an owner's lock reads as `interrupted`
    started_at              REAL NOT NULL,
    finished_at             REAL,
    now                     REAL NOT NULL,
    horizon                 REAL,
    seed                    TEXT NOT NULL,
    model                   TEXT NOT NULL,
    offline                 INTEGER NOT NULL,
    sandbox_level           TEXT NOT NULL,
    version                 TEXT NOT NULL,
    result                  ANY,                -- JSON
    fault                   ANY,                -- JSON
    input_tokens            INTEGER NOT NULL,   -- of all delivered steps
    output_tokens           INTEGER NOT NULL,
    cached_tokens           INTEGER NOT NULL,
    cache_write_tokens      INTEGER NOT NULL,
    reasoning_tokens        INTEGER NOT NULL,
    cost_microusd           INTEGER,
    estimated               INTEGER NOT NULL,
    paid_input_tokens       INTEGER NOT NULL,   -- of this invocation
    paid_output_tokens      INTEGER NOT NULL,
    paid_cached_tokens      INTEGER NOT NULL,
    paid_cache_write_tokens INTEGER NOT NULL,
    paid_reasoning_tokens   INTEGER NOT NULL,
    paid_cost_microusd      INTEGER,
    paid_estimated          INTEGER NOT NULL,
    live_steps              INTEGER NOT NULL,
    stored_steps            INTEGER NOT NULL
) STRICT;
CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX runs_by_file ON runs (path, args_digest, started_at);

CREATE TABLE sources (
    digest TEXT NOT NULL PRIMARY KEY,
    text   ANY  NOT NULL
) STRICT;

CREATE TABLE steps (
    id                 TEXT NOT NULL PRIMARY KEY,
    run_id             TEXT NOT NULL,           -- the run that did the work
    key                TEXT NOT NULL,
    spec               ANY  NOT NULL,           -- canonical JSON
    kind               TEXT NOT NULL,
    status             TEXT NOT NULL,
    result             ANY,                     -- JSON
    fault              ANY,                     -- JSON
    started_at         REAL NOT NULL,
    finished_at        REAL NOT NULL,
    turns              INTEGER NOT NULL,
    model              TEXT NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cached_tokens      INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    cost_microusd      INTEGER,
    estimated          INTEGER NOT NULL,
    observed           INTEGER NOT NULL,        -- how many rows `observations` holds
    finished_seq       INTEGER,                 -- store-wide order of finishing; NULL until completed
    place              TEXT NOT NULL DEFAULT '' -- of its latest delivery
) STRICT;
CREATE INDEX steps_by_key ON steps (key, finished_seq) WHERE status = 'completed';
CREATE UNIQUE INDEX steps_by_finish ON steps (finished_seq);
CREATE INDEX steps_by_run ON steps (run_id, started_at);

-- What a completed step saw of the workspace, in order: what must hold for its result to be reused.
CREATE TABLE observations (
    step_id   TEXT    NOT NULL,
    number    INTEGER NOT NULL,
    tool      TEXT    NOT NULL,
    arguments ANY     NOT NULL,                 -- canonical JSON
    digest    TEXT    NOT NULL,
    PRIMARY KEY (step_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    step_id            TEXT    NOT NULL,
    number             INTEGER NOT NULL,
    status             TEXT    NOT NULL,
    started_at         REAL    NOT NULL,
    finished_at        REAL    NOT NULL,
    fault              ANY,                     -- JSON
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cached_tokens      INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    cost_microusd      INTEGER,
    estimated          INTEGER NOT NULL,
    PRIMARY KEY (step_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE turns (
    step_id            TEXT    NOT NULL,
    number             INTEGER NOT NULL,
    attempt            INTEGER NOT NULL,
    model              TEXT    NOT NULL,
    input              ANY     NOT NULL,        -- JSON array of the messages added
    output             ANY     NOT NULL,        -- JSON of the answer
    outcome            TEXT    NOT NULL,
    error              ANY     NOT NULL,
    started_at         REAL    NOT NULL,
    finished_at        REAL    NOT NULL,
    latency_s          REAL    GENERATED ALWAYS AS (finished_at - started_at) VIRTUAL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cached_tokens      INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    cost_microusd      INTEGER,
    estimated          INTEGER NOT NULL,
    PRIMARY KEY (step_id, number)
) STRICT;

CREATE TABLE tool_calls (
    step_id            TEXT    NOT NULL,
    turn               INTEGER NOT NULL,
    number             INTEGER NOT NULL,
    call_id            TEXT    NOT NULL,
    name               TEXT    NOT NULL,
    arguments          ANY     NOT NULL,        -- as the model wrote them
    output             ANY     NOT NULL,
    outcome            TEXT    NOT NULL,
    started_at         REAL    NOT NULL,
    finished_at        REAL    NOT NULL,
    latency_s          REAL    GENERATED ALWAYS AS (finished_at - started_at) VIRTUAL,
    observed_tool      TEXT,                    -- NULL, as the next two, for a call that observes nothing
    observed_arguments ANY,                     -- canonical JSON
    observed_digest    TEXT,
    PRIMARY KEY (step_id, turn, number)
) STRICT;

CREATE TABLE deliveries (
    seq          INTEGER PRIMARY KEY,           -- order of delivery
    run_id       TEXT    NOT NULL,
    number       INTEGER NOT NULL,
    step_id      TEXT    NOT NULL,
    mode         TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    place        TEXT    NOT NULL,
    label        TEXT    NOT NULL,
    phase        TEXT    NOT NULL,
    scope        INTEGER NOT NULL,
    line         INTEGER NOT NULL,
    requested_at REAL    NOT NULL,
    delivered_at REAL    NOT NULL,
    reason       ANY     NOT NULL,
    UNIQUE (run_id, number)
) STRICT;

CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    kind   TEXT NOT NULL,
    at     REAL NOT NULL,
    data   ANY  NOT NULL                        -- JSON
) STRICT;
CREATE INDEX events_by_run ON events (run_id);

CREATE TABLE blobs (
    digest BLOB    NOT NULL PRIMARY KEY,        -- BLAKE2b-256 of the text's UTF-8
    size   INTEGER NOT NULL,                    -- in bytes, of that UTF-8
    data   BLOB    NOT NULL                     -- zlib
) STRICT;
