-- Each question about the history of a task has an index, so that its cost does not grow with the history.
CREATE INDEX runs_finished ON runs (task_id, id) WHERE state NOT IN ('queued', 'running', 'missed');
CREATE INDEX runs_missed ON runs (task_id, id) WHERE state = 'missed';
CREATE INDEX runs_good ON runs (task_id, id, finished_at) WHERE state IN ('success', 'skipped');
CREATE INDEX runs_of_task_by_time ON runs (task_id, created_at, state);

-- The sizes that the steps of a run reported, kept beside the run: the trend of a task must not search all its steps.
ALTER TABLE runs ADD COLUMN stored_bytes INTEGER;
ALTER TABLE runs ADD COLUMN mirrored_files INTEGER;
UPDATE runs SET
    stored_bytes = (SELECT max(stored_bytes) FROM step_runs WHERE run_id = runs.id),
    mirrored_files = (SELECT max(mirrored_files) FROM step_runs WHERE run_id = runs.id)
WHERE id IN (SELECT run_id FROM step_runs WHERE stored_bytes IS NOT NULL OR mirrored_files IS NOT NULL);
CREATE INDEX runs_sized ON runs (task_id, id) WHERE stored_bytes IS NOT NULL OR mirrored_files IS NOT NULL;

CREATE TRIGGER keep_size AFTER UPDATE OF stored_bytes, mirrored_files ON step_runs
WHEN NEW.stored_bytes IS NOT NULL OR NEW.mirrored_files IS NOT NULL
BEGIN
    UPDATE runs SET
        stored_bytes = (SELECT max(stored_bytes) FROM step_runs WHERE run_id = NEW.run_id),
        mirrored_files = (SELECT max(mirrored_files) FROM step_runs WHERE run_id = NEW.run_id)
    WHERE id = NEW.run_id;
END;
