-- What a person said to an alert: that they know, or that it may sleep until then; when a notice became trouble.
ALTER TABLE alert ADD COLUMN known TEXT;
ALTER TABLE alert ADD COLUMN asleep TEXT;
ALTER TABLE alert ADD COLUMN worse TEXT;

-- Which way a letter goes, and the letter that it is sent instead of, should that one not be sent by then.
ALTER TABLE letter ADD COLUMN way TEXT NOT NULL DEFAULT 'mail';
ALTER TABLE letter ADD COLUMN instead_of TEXT;
