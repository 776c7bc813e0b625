-- Frozen once released: a change is a new file.

-- When something was seen, in microseconds and strictly increasing, and what an edit made of the file that it looked at:
-- its path, and the digests of the blobs that hold the contents before and after; NULL for no such file.
ALTER TABLE observations ADD COLUMN epoch   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE observations ADD COLUMN changed TEXT;
ALTER TABLE observations ADD COLUMN before  ANY;
ALTER TABLE observations ADD COLUMN after   ANY;
CREATE INDEX observations_of_edits ON observations (step_id) WHERE changed IS NOT NULL;

ALTER TABLE tool_calls ADD COLUMN epoch   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tool_calls ADD COLUMN changed TEXT;
ALTER TABLE tool_calls ADD COLUMN before  ANY;
ALTER TABLE tool_calls ADD COLUMN after   ANY;
CREATE INDEX tool_calls_of_edits ON tool_calls (step_id) WHERE changed IS NOT NULL;

-- The chain of each path: what steps made of it, one entry an edit. A blob holds raw bytes here.
CREATE TABLE changes (
    epoch   INTEGER PRIMARY KEY,
    path    TEXT    NOT NULL,
    before  ANY,
    after   ANY,
    step_id TEXT    NOT NULL,
    run_id  TEXT    NOT NULL,                   -- the run in which the edit was made, perhaps again
    done    INTEGER NOT NULL                    -- 0: intended; whether the disk was touched is not known
) STRICT;
CREATE INDEX changes_by_path ON changes (path, epoch);
CREATE INDEX changes_by_step ON changes (step_id);
CREATE INDEX changes_by_run ON changes (run_id);
CREATE INDEX changes_intended ON changes (epoch) WHERE done = 0;

-- An earlier attempt at the same spec, whose edits this step owns.
ALTER TABLE steps ADD COLUMN attempt_after TEXT;
CREATE INDEX steps_by_attempt ON steps (attempt_after) WHERE attempt_after IS NOT NULL;
