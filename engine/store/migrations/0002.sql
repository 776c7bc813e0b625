-- Frozen once released: a change is a new file.

-- What a prompt was made of, in estimated tokens.
ALTER TABLE turns ADD COLUMN system_tokens       INTEGER NOT NULL DEFAULT 0;
ALTER TABLE turns ADD COLUMN tools_tokens        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE turns ADD COLUMN context_tokens      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE turns ADD COLUMN conversation_tokens INTEGER NOT NULL DEFAULT 0;

-- JSON array of the old tool outputs that were shortened before this turn; NULL where none were.
ALTER TABLE turns ADD COLUMN shortened ANY;

-- The step that this one goes on with: it was cut off, and its turns are the first ones of this step.
ALTER TABLE steps ADD COLUMN predecessor TEXT;
CREATE INDEX steps_cut_off ON steps (key) WHERE status IN ('running', 'cancelled', 'timed_out', 'failed');
CREATE INDEX steps_by_predecessor ON steps (predecessor) WHERE predecessor IS NOT NULL;

-- Which rule chose the model of the step.
ALTER TABLE deliveries ADD COLUMN model_reason TEXT NOT NULL DEFAULT '';

-- What the decision to reuse stood on: JSON of its cause, the stored step, the observation, the horizon.
ALTER TABLE deliveries ADD COLUMN grounds ANY;

-- JSON of what a person asked to run again; NULL for nothing.
ALTER TABLE runs ADD COLUMN refresh ANY;

-- The model that was asked: a fallback may have taken the place of the step's own.
ALTER TABLE attempts ADD COLUMN model TEXT NOT NULL DEFAULT '';

-- Files of steps that a person has imported. A step that came so has the import's id in the place of its run's.
CREATE TABLE imports (
    id          TEXT NOT NULL PRIMARY KEY,      -- begins "import-"
    file        TEXT NOT NULL,
    digest      TEXT NOT NULL,                  -- of the file
    imported_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
