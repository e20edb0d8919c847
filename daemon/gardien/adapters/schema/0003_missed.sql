-- What a backup that does not count could not read: a JSON list of paths, the first hundred.
ALTER TABLE snapshot ADD COLUMN missed TEXT NOT NULL DEFAULT '[]';
