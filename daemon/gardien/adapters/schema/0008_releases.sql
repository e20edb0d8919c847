-- What image registries have. `names`: JSON, a list; `mark`: by which the registry tells whether it changed.
CREATE TABLE tags (
    repository TEXT PRIMARY KEY,
    mark       TEXT NOT NULL,
    names      TEXT NOT NULL
) STRICT;

-- For which contents a tag stood, from when to when we saw it. `turn` grows with each look: clocks may be set back.
CREATE TABLE sighting (
    turn       INTEGER NOT NULL,
    repository TEXT NOT NULL,
    tag        TEXT NOT NULL,
    digest     TEXT NOT NULL,
    first      TEXT NOT NULL,
    last       TEXT NOT NULL,
    UNIQUE (repository, tag, digest)
) STRICT;

-- What was said of an update: its owner does not want it, or it did not work here. `why`: words as JSON.
CREATE TABLE verdict (
    stack    TEXT NOT NULL,
    digest   TEXT NOT NULL,
    variable TEXT NOT NULL,
    tag      TEXT NOT NULL,
    said     TEXT NOT NULL CHECK (said IN ('skipped', 'quarantined')),
    at       TEXT NOT NULL,
    why      TEXT,
    PRIMARY KEY (stack, digest)
) STRICT;
