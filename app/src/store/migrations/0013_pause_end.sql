-- The end of a pause; none for a pause that lasts until a person ends it.
ALTER TABLE tasks ADD COLUMN paused_until INTEGER;
