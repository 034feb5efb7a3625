-- Where notifications go. What may hold a secret (URL, token, password) is sealed.
CREATE TABLE channels (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    enabled     INTEGER NOT NULL,
    on_failure  INTEGER NOT NULL,
    on_recovery INTEGER NOT NULL,
    on_overdue  INTEGER NOT NULL,
    all_tasks   INTEGER NOT NULL,
    sealed      BLOB NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE channel_tasks (
    channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    task_id    INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    PRIMARY KEY (channel_id, task_id)
) STRICT, WITHOUT ROWID;

-- Written in the same transaction as what it is about, and sent later. Tasks and runs are
-- named by value: a message outlives them.
CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id  INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    occasion    TEXT NOT NULL,
    task_name   TEXT NOT NULL,
    run_id      INTEGER,
    text        TEXT NOT NULL,
    at          INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    due         INTEGER NOT NULL,
    error       TEXT,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'given_up')),
    finished_at INTEGER
) STRICT;

CREATE INDEX outbox_waiting ON outbox (due) WHERE state = 'waiting';

-- Tasks with which something is wrong: what a recovery recovers from.
CREATE TABLE alarms (
    task_id      INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    since        INTEGER NOT NULL,
    -- The last success (or beginning) for which the task was reported as overdue.
    overdue_from INTEGER
) STRICT;

-- From when on a task is expected to succeed, where it never did: it was added or switched
-- on, or got another schedule.
ALTER TABLE tasks ADD COLUMN watched_from INTEGER NOT NULL DEFAULT 0;
UPDATE tasks SET watched_from = updated_at;
