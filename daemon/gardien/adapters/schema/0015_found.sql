-- Backups and jobs are there for years, and nobody looks through all of them for one, or for the newest of a kind.
CREATE INDEX snapshot_by_time ON snapshot (taken, id);
CREATE INDEX snapshot_by_id ON snapshot (id);
CREATE INDEX job_by_kind ON job (json_extract(plan, '$.kind'), subject, id);
CREATE INDEX job_by_end ON job (json_extract(plan, '$.kind'), ended);
