-- When people were last written to about an alert, and when that it is over.
ALTER TABLE alert ADD COLUMN told TEXT;
ALTER TABLE alert ADD COLUMN over TEXT;

CREATE TABLE letter (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    message  TEXT NOT NULL UNIQUE,
    subject  TEXT NOT NULL,
    plain    TEXT NOT NULL,
    html     TEXT NOT NULL,
    written  TEXT NOT NULL,
    tries    INTEGER NOT NULL DEFAULT 0,
    next_try TEXT,
    sent     TEXT,
    error    TEXT
) STRICT;
CREATE INDEX letter_waiting ON letter (next_try) WHERE sent IS NULL;
