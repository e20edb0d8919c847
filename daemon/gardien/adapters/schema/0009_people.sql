-- Who may come in. `may`: what an owner allows a helper, a JSON list; `secret`, `step`: of the second factor.
CREATE TABLE person (
    name   TEXT PRIMARY KEY,
    role   TEXT NOT NULL CHECK (role IN ('owner', 'helper')),
    made   TEXT NOT NULL,
    may    TEXT NOT NULL DEFAULT '[]',
    secret TEXT,
    step   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO person (name, role, made) VALUES ('owner', 'owner', strftime('%Y-%m-%dT%H:%M:%S.000000+00:00', 'now'));
DELETE FROM password WHERE user <> 'owner';
DELETE FROM link WHERE user <> 'owner';
DELETE FROM session WHERE user <> 'owner';

-- In place of the second factor's device, each once.
CREATE TABLE spare_code (
    user   TEXT NOT NULL REFERENCES person (name) ON DELETE CASCADE,
    hashed TEXT NOT NULL,
    PRIMARY KEY (user, hashed)
) STRICT, WITHOUT ROWID;

-- What lets programs in. `scopes`: a JSON list.
CREATE TABLE token (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    hashed TEXT NOT NULL UNIQUE,
    name   TEXT NOT NULL UNIQUE,
    user   TEXT NOT NULL,
    scopes TEXT NOT NULL,
    made   TEXT NOT NULL,
    until  TEXT,
    used   TEXT
) STRICT;

-- Who did what. `what`: words as JSON; in none of them is the name of a file.
CREATE TABLE deed (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    who     TEXT NOT NULL,
    means   TEXT NOT NULL CHECK (means IN ('page', 'token', 'console')),
    what    TEXT NOT NULL,
    job     INTEGER,
    refused INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX deed_by_time ON deed (at);
