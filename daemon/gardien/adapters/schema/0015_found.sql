-- Backups and jobs are there for years, and nobody looks through all of them for one, or for those of a month.
CREATE INDEX snapshot_by_time ON snapshot (taken, id);
CREATE INDEX snapshot_by_id ON snapshot (id);
CREATE INDEX job_by_end ON job (json_extract(plan, '$.kind'), ended);
