-- A database of schema 7: two tasks, their runs, and one that goes on. Made by `.dump` of sqlite3.
BEGIN TRANSACTION;
CREATE TABLE alarms (
    task_id      INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    since        INTEGER NOT NULL,
    -- The last success (or beginning) for which the task was reported as overdue.
    overdue_from INTEGER
) STRICT;
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor      TEXT NOT NULL,
    address    TEXT NOT NULL,
    action     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    changes    TEXT NOT NULL -- JSON array of [field, old, new]
) STRICT;
CREATE TABLE channel_tasks (
    channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    task_id    INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    PRIMARY KEY (channel_id, task_id)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE pools (
    name  TEXT PRIMARY KEY,
    slots INTEGER NOT NULL CHECK (slots > 0)
) STRICT, WITHOUT ROWID;
INSERT INTO "pools" VALUES('default',4);
INSERT INTO "pools" VALUES('slow',1);
CREATE TABLE run_totals (
    task_id INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    state   TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (task_id, state)
) STRICT, WITHOUT ROWID;
INSERT INTO "run_totals" VALUES(1,'failed',1);
INSERT INTO "run_totals" VALUES(2,'success',1);
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
, retry_of INTEGER) STRICT;
INSERT INTO "runs" VALUES(1,1,'backup','schedule',1795986856000,'failed',NULL,0,NULL,1795986856000,1795986856000,1795986866000,NULL);
INSERT INTO "runs" VALUES(2,2,'plain','manual',NULL,'success',NULL,0,NULL,1796073206000,1796073206000,1796073207000,NULL);
INSERT INTO "runs" VALUES(3,1,'backup','manual',NULL,'running',NULL,0,NULL,1796073256000,1796073256000,NULL,NULL);
CREATE TABLE "sessions" (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    hash       BLOB NOT NULL UNIQUE,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    address    TEXT NOT NULL,
    agent      TEXT NOT NULL
) STRICT;
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
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
    finished_at   INTEGER, down_ms INTEGER, stored_bytes INTEGER, mirrored_files INTEGER, warnings TEXT,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "step_runs" VALUES(1,0,'stop','sh','["-c","exit 3"]','on_success',3600,0,0,'{}',NULL,'failed',1,3,'exit code 3',1796073256000,1796073256000,1796073256000,NULL,NULL,NULL,NULL);
INSERT INTO "step_runs" VALUES(1,1,'start','echo','["start"]','always',3600,0,0,'{}','/tmp','success',1,0,NULL,1796073256000,1796073256000,1796073256000,NULL,NULL,NULL,NULL);
INSERT INTO "step_runs" VALUES(2,0,'s','echo','["plain"]','on_success',3600,0,0,'{}',NULL,'success',1,0,NULL,1796073256000,1796073256000,1796073256000,NULL,NULL,NULL,NULL);
INSERT INTO "step_runs" VALUES(3,0,'stop','sh','["-c","sleep 600"]','on_success',3600,0,0,'{}',NULL,'running',1,NULL,NULL,1796073256000,1796073256000,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "step_runs" VALUES(3,1,'start','echo','["start","again"]','always',3600,0,0,'{}','/tmp','pending',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "steps" VALUES(1,0,'stop','sh','["-c","echo \"stop $WHO\""]','on_success',3600,2,5,'{"EMPTY":"","WHO":"it''s me"}',NULL);
INSERT INTO "steps" VALUES(1,1,'start','echo','["start","a b","Ünïcode 🙂"]','always',3600,0,0,'{}','/tmp');
INSERT INTO "steps" VALUES(2,0,'s','echo','["plain"]','on_success',3600,0,0,'{}',NULL);
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
, paused INTEGER NOT NULL DEFAULT 0, watched_from INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "tasks" VALUES(1,'backup','0 3 * * *','Europe/Paris','slow',0,'skip',7,30,1796073256000,1796073256000,1796073256000,0,1796073256000);
INSERT INTO "tasks" VALUES(2,'plain',NULL,NULL,'default',0,'run_once',100,365,1796073256000,1796073256000,1796073256000,0,1796073256000);
CREATE TABLE token_tasks (
    token_id INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    task_id  INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    PRIMARY KEY (token_id, task_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
, expires_at INTEGER, used_at INTEGER, used_from TEXT NOT NULL DEFAULT '', limited INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;
INSERT INTO "users" VALUES(1,'ann','admin','$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$AAAA',1796073256000);
CREATE TABLE variables (
    key        TEXT PRIMARY KEY,
    plain      TEXT,
    sealed     BLOB,
    updated_at INTEGER NOT NULL,
    CHECK ((plain IS NULL) <> (sealed IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "variables" VALUES('WHO','nobody',NULL,1796073256000);
CREATE INDEX runs_of_task ON runs (task_id, id);
CREATE INDEX runs_unfinished ON runs (id) WHERE state IN ('queued', 'running');
CREATE UNIQUE INDEX runs_by_fire ON runs (task_id, due) WHERE due IS NOT NULL;
CREATE INDEX outbox_waiting ON outbox (due) WHERE state = 'waiting';
CREATE INDEX runs_by_time ON runs (created_at);
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_subject ON audit (kind, name);
CREATE INDEX sessions_of_user ON sessions (user_id);
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
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tasks',2);
INSERT INTO "sqlite_sequence" VALUES('runs',3);
INSERT INTO "sqlite_sequence" VALUES('users',1);
INSERT INTO "sqlite_sequence" VALUES('sessions',0);
COMMIT;
PRAGMA user_version = 7;
PRAGMA application_id = 1279683703;
