-- What came of trial restores, one row a job that came to an end of its own. `says`, `remedy`: words as JSON; `dumps`,
-- `asked`: JSON lists.
CREATE TABLE proof (
    job INTEGER PRIMARY KEY,
    stack TEXT NOT NULL,
    target TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    taken TEXT NOT NULL,
    began TEXT NOT NULL,
    ended TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('proven', 'failed', 'skipped')),
    says TEXT NOT NULL,
    remedy TEXT NOT NULL,
    code TEXT,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    dumps TEXT NOT NULL,
    asked TEXT NOT NULL
) STRICT;
CREATE INDEX proof_of_stack ON proof (stack, ended);
