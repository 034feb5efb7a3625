-- Warnings that a step reported: a JSON array of objects with code, subject and message.
ALTER TABLE step_runs ADD COLUMN warnings TEXT;
