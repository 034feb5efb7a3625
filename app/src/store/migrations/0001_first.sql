-- Times are milliseconds since 1970-01-01 UTC, unless the column says otherwise.

CREATE TABLE pools (
    name  TEXT PRIMARY KEY,
    slots INTEGER NOT NULL CHECK (slots > 0)
) STRICT, WITHOUT ROWID;

INSERT INTO pools (name, slots) VALUES ('default', 4);

CREATE TABLE tasks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    cron       TEXT,
    zone       TEXT,
    pool       TEXT NOT NULL REFERENCES pools (name) ON UPDATE CASCADE,
    auto       INTEGER NOT NULL,
    on_missed  TEXT NOT NULL,
    keep_runs  INTEGER NOT NULL,
    keep_days  INTEGER NOT NULL,
    -- Every fire time up to and including this one is dealt with: it ran, was
    -- recorded as missed, or lies before the expression was switched on.
    scheduled_through INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE steps (
    task_id       INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    position      INTEGER NOT NULL,
    name          TEXT NOT NULL,
    program       TEXT NOT NULL,
    args          TEXT NOT NULL, -- JSON array of strings
    rule          TEXT NOT NULL,
    timeout_s     INTEGER NOT NULL,
    retries       INTEGER NOT NULL,
    retry_delay_s INTEGER NOT NULL,
    env           TEXT NOT NULL, -- JSON object of strings
    working_dir   TEXT,
    PRIMARY KEY (task_id, position)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: the number of a removed run names log files, so it never comes back.
CREATE TABLE runs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id     INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    task_name   TEXT NOT NULL,
    trigger     TEXT NOT NULL,
    due         INTEGER,
    state       TEXT NOT NULL,
    cancel      TEXT,
    interrupted INTEGER NOT NULL DEFAULT 0,
    note        TEXT,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER
) STRICT;

CREATE INDEX runs_of_task ON runs (task_id, id);
CREATE INDEX runs_unfinished ON runs (id) WHERE state IN ('queued', 'running');
-- A fire time makes one run at most, whatever dies in between.
CREATE UNIQUE INDEX runs_by_fire ON runs (task_id, due) WHERE due IS NOT NULL;

CREATE TABLE step_runs (
    run_id        INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    position      INTEGER NOT NULL,
    name          TEXT NOT NULL,
    program       TEXT NOT NULL,
    args          TEXT NOT NULL,
    rule          TEXT NOT NULL,
    timeout_s     INTEGER NOT NULL,
    retries       INTEGER NOT NULL,
    retry_delay_s INTEGER NOT NULL,
    env           TEXT NOT NULL,
    working_dir   TEXT,
    state         TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    exit_code     INTEGER,
    reason        TEXT,
    queued_at     INTEGER,
    started_at    INTEGER,
    finished_at   INTEGER,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE variables (
    key        TEXT PRIMARY KEY,
    plain      TEXT,
    sealed     BLOB,
    updated_at INTEGER NOT NULL,
    CHECK ((plain IS NULL) <> (sealed IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

-- Sessions and tokens are random; only their SHA-256 is kept.
CREATE TABLE sessions (
    hash       BLOB PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;
