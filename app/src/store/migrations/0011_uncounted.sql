-- Attempts of a step that a crash ended; they count for no retry.
ALTER TABLE step_runs ADD COLUMN uncounted INTEGER NOT NULL DEFAULT 0;

-- The tasks that the server made for itself. One that a person made has an entry in the audit trail.
ALTER TABLE tasks ADD COLUMN own INTEGER NOT NULL DEFAULT 0;
UPDATE tasks SET own = 1 WHERE name IN ('scratch', 'libraries') AND auto = 0 AND cron IS NULL AND NOT EXISTS (
    SELECT 1 FROM audit WHERE kind = 'task' AND audit.name = tasks.name AND action IN ('added', 'changed'));
