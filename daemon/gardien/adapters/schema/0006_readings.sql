-- What was measured on the machine. A series is what and of what; a row is a stretch of `grain` seconds that begins at
-- `at` (seconds since 1970). The key begins with the time, so that new rows lie side by side: one page is written.
CREATE TABLE series (
    id      INTEGER PRIMARY KEY,
    what    TEXT NOT NULL,
    subject TEXT NOT NULL,
    UNIQUE (what, subject)
) STRICT;

CREATE TABLE reading (
    grain  INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id),
    least  REAL NOT NULL,
    mean   REAL NOT NULL,
    most   REAL NOT NULL,
    PRIMARY KEY (grain, at, series)
) STRICT, WITHOUT ROWID;

ALTER TABLE disk ADD COLUMN fault TEXT NOT NULL DEFAULT '';
ALTER TABLE disk ADD COLUMN nodes INTEGER;
ALTER TABLE disk ADD COLUMN all_nodes INTEGER;
