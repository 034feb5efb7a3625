-- The newest facts of a task, kept when its runs are removed: an alert on the last success, and the state of the mirror.
ALTER TABLE step_runs ADD COLUMN mirror TEXT;
CREATE TABLE task_facts (
    task_id      INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    succeeded_at INTEGER,
    down_ms      INTEGER,
    stored_bytes INTEGER,
    mirror       TEXT
) STRICT;
INSERT INTO task_facts (task_id, succeeded_at, down_ms, stored_bytes)
SELECT id,
    (SELECT finished_at FROM runs WHERE task_id = tasks.id AND state = 'success' ORDER BY id DESC LIMIT 1),
    (SELECT down_ms FROM step_runs JOIN runs ON runs.id = run_id
     WHERE task_id = tasks.id AND down_ms IS NOT NULL ORDER BY run_id DESC, position DESC LIMIT 1),
    (SELECT stored_bytes FROM step_runs JOIN runs ON runs.id = run_id
     WHERE task_id = tasks.id AND stored_bytes IS NOT NULL ORDER BY run_id DESC, position DESC LIMIT 1)
FROM tasks;
