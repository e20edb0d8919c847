-- Times are ISO 8601 in UTC with microseconds, so that text order is time order. Words, plans and facts are JSON.

CREATE TABLE job (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    subject  TEXT NOT NULL,
    plan     TEXT NOT NULL,
    state    TEXT NOT NULL,
    facts    TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    created  TEXT NOT NULL,
    started  TEXT,
    ended    TEXT,
    says     TEXT,
    remedy   TEXT,
    code     TEXT,
    detail   TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX job_by_subject ON job (subject, id);
CREATE INDEX job_not_ended ON job (id) WHERE ended IS NULL;

CREATE TABLE step (
    job      INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name     TEXT NOT NULL,
    state    TEXT NOT NULL DEFAULT 'waiting',
    began    TEXT,
    ended    TEXT,
    PRIMARY KEY (job, position),
    UNIQUE (job, name)
) STRICT, WITHOUT ROWID;

-- A lease is held by a job, and dies with its row.
CREATE TABLE lease (
    name TEXT PRIMARY KEY,
    job  INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot (
    target        TEXT NOT NULL,
    id            TEXT NOT NULL,
    stack         TEXT NOT NULL,
    taken         TEXT NOT NULL,
    files         INTEGER NOT NULL,
    bytes         INTEGER NOT NULL,
    added         INTEGER NOT NULL,
    pause_seconds REAL NOT NULL,
    good          INTEGER NOT NULL,
    why           TEXT,
    version       TEXT NOT NULL,
    PRIMARY KEY (target, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshot_by_stack ON snapshot (stack, taken);

CREATE TABLE health (
    stack  TEXT PRIMARY KEY,
    health TEXT NOT NULL,
    says   TEXT NOT NULL,
    since  TEXT NOT NULL,
    seen   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE disk (
    position INTEGER PRIMARY KEY,
    path     TEXT NOT NULL,
    total    INTEGER NOT NULL,
    free     INTEGER NOT NULL,
    present  INTEGER NOT NULL,
    seen     TEXT NOT NULL
) STRICT;

CREATE TABLE alert (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT NOT NULL,
    severity TEXT NOT NULL,
    says     TEXT NOT NULL,
    remedy   TEXT NOT NULL,
    opened   TEXT NOT NULL,
    closed   TEXT
) STRICT;
CREATE UNIQUE INDEX alert_one_open ON alert (key) WHERE closed IS NULL;

CREATE TABLE note (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE password (
    user   TEXT PRIMARY KEY,
    hashed TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE link (
    hashed TEXT PRIMARY KEY,
    user   TEXT NOT NULL,
    until  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    key   TEXT PRIMARY KEY,
    user  TEXT,
    data  TEXT NOT NULL,
    until TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_user ON session (user);
