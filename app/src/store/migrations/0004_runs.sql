-- What a step said of its work: the overview shows it, long after its log is gone.
ALTER TABLE step_runs ADD COLUMN down_ms INTEGER;
ALTER TABLE step_runs ADD COLUMN stored_bytes INTEGER;
ALTER TABLE step_runs ADD COLUMN mirrored_files INTEGER;
-- The run of which this one repeats the end.
ALTER TABLE runs ADD COLUMN retry_of INTEGER;
CREATE INDEX runs_by_time ON runs (created_at);
