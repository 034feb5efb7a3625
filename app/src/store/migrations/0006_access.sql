-- A session is listed and ended by its number, and says from where it is used.
CREATE TABLE new_sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    hash       BLOB NOT NULL UNIQUE,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    address    TEXT NOT NULL,
    agent      TEXT NOT NULL
) STRICT;

INSERT INTO new_sessions (hash, user_id, created_at, expires_at, seen_at, address, agent)
    SELECT hash, user_id, created_at, expires_at, created_at, '', '' FROM sessions;
DROP TABLE sessions;
ALTER TABLE new_sessions RENAME TO sessions;
CREATE INDEX sessions_of_user ON sessions (user_id);

ALTER TABLE tokens ADD COLUMN expires_at INTEGER;
ALTER TABLE tokens ADD COLUMN used_at INTEGER;
ALTER TABLE tokens ADD COLUMN used_from TEXT NOT NULL DEFAULT '';
-- Whether the token is good for the tasks below only. A column of its own, so that a token
-- whose tasks were all removed is good for nothing rather than for everything.
ALTER TABLE tokens ADD COLUMN limited INTEGER NOT NULL DEFAULT 0;

CREATE TABLE token_tasks (
    token_id INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    task_id  INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    PRIMARY KEY (token_id, task_id)
) STRICT, WITHOUT ROWID;

-- Finished runs by task and result, counted in the transaction that finishes them: the
-- runs themselves are removed one day, and a counter must not go down.
CREATE TABLE run_totals (
    task_id INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    state   TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (task_id, state)
) STRICT, WITHOUT ROWID;

INSERT INTO run_totals (task_id, state, count)
    SELECT task_id, state, count(*) FROM runs
    WHERE state NOT IN ('queued', 'running') GROUP BY task_id, state;

CREATE TRIGGER count_finished_run AFTER UPDATE OF state ON runs
WHEN NEW.state NOT IN ('queued', 'running') AND OLD.state IN ('queued', 'running')
BEGIN
    INSERT INTO run_totals (task_id, state, count) VALUES (NEW.task_id, NEW.state, 1)
    ON CONFLICT (task_id, state) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER count_recorded_run AFTER INSERT ON runs
WHEN NEW.state NOT IN ('queued', 'running')
BEGIN
    INSERT INTO run_totals (task_id, state, count) VALUES (NEW.task_id, NEW.state, 1)
    ON CONFLICT (task_id, state) DO UPDATE SET count = count + 1;
END;
