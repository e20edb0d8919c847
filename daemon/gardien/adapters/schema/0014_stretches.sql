-- How an application answered: a row for each time in which a question to it was answered alike. `ok`: 1 or 0.
-- Between two of them nobody knows: nobody asked, or it was being worked on.
CREATE TABLE stretch (
    stack TEXT NOT NULL,
    probe TEXT NOT NULL,
    began TEXT NOT NULL,
    seen  TEXT NOT NULL,
    ok    INTEGER NOT NULL CHECK (ok IN (0, 1)),
    says  TEXT NOT NULL,
    PRIMARY KEY (stack, probe, began)
) STRICT, WITHOUT ROWID;

-- The last runs of one kind are asked for at every look at a page or at the agenda; a house has thousands of others.
CREATE INDEX job_by_kind ON job (subject, json_extract(plan, '$.kind'), id);
