-- Of a copy at another target: the id of the snapshot it is a copy of.
ALTER TABLE snapshot ADD COLUMN original TEXT;
CREATE INDEX snapshot_by_target ON snapshot (target, stack, taken);
