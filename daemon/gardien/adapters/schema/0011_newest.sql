-- The newest good backup of a stack at a target is asked for at every look at the page.
CREATE INDEX snapshot_good ON snapshot (target, stack, taken) WHERE good;
