-- Frozen once released: a change is a new file.

-- What each tool call saw of the workspace and made of it, in order: a command sees all of it and changes many files.
-- What is `aside` was seen, or changed, in a worktree; NULL where it was not, as `changed`, `before` and `after` are for
-- a mere look.
CREATE TABLE looks (
    step_id   TEXT    NOT NULL,
    turn      INTEGER NOT NULL,
    number    INTEGER NOT NULL,                 -- of the call
    position  INTEGER NOT NULL,                 -- within the call, from 1
    tool      TEXT    NOT NULL,
    arguments ANY     NOT NULL,                 -- canonical JSON
    digest    TEXT    NOT NULL,
    epoch     INTEGER NOT NULL,
    aside     INTEGER,
    changed   TEXT,
    before    ANY,
    after     ANY,
    PRIMARY KEY (step_id, turn, number, position)
) STRICT, WITHOUT ROWID;
INSERT INTO looks
SELECT step_id, turn, number, 1, observed_tool, observed_arguments, observed_digest, epoch, NULL, changed, before, after
FROM tool_calls WHERE observed_tool IS NOT NULL;
CREATE INDEX looks_of_edits ON looks (step_id) WHERE changed IS NOT NULL AND aside IS NULL;

-- Written anew once: each column that is dropped would be.
CREATE TABLE calls (
    step_id     TEXT    NOT NULL,
    turn        INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    call_id     TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    arguments   ANY     NOT NULL,               -- as the model wrote them
    output      ANY     NOT NULL,               -- as the model read it
    outcome     TEXT    NOT NULL,
    started_at  REAL    NOT NULL,
    finished_at REAL    NOT NULL,
    latency_s   REAL    GENERATED ALWAYS AS (finished_at - started_at) VIRTUAL,
    whole       ANY,                            -- all that the tool gave; NULL where `output` is that
    PRIMARY KEY (step_id, turn, number)
) STRICT;
INSERT INTO calls (step_id, turn, number, call_id, name, arguments, output, outcome, started_at, finished_at)
SELECT step_id, turn, number, call_id, name, arguments, output, outcome, started_at, finished_at FROM tool_calls;
DROP TABLE tool_calls;
ALTER TABLE calls RENAME TO tool_calls;

ALTER TABLE observations ADD COLUMN aside INTEGER;
DROP INDEX observations_of_edits;
CREATE INDEX observations_of_edits ON observations (step_id) WHERE changed IS NOT NULL AND aside IS NULL;

-- What a step did in a worktree, as `git apply` takes it.
ALTER TABLE steps ADD COLUMN patch ANY;
