-- A database of version 0.1: two tasks, one of them paused, and their runs. Made by `.dump` of sqlite3.
BEGIN TRANSACTION;
CREATE TABLE alarms (
    task_id      INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    since        INTEGER NOT NULL,
    -- The last success (or beginning) for which the task was reported as overdue.
    overdue_from INTEGER
) STRICT;
INSERT INTO "alarms" VALUES(1,1796073256224,NULL);
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
INSERT INTO "audit" VALUES(1,1796073255572,'local','local','','added','pool','slow','[["name",null,"slow"],["slots",null,"1"]]');
INSERT INTO "audit" VALUES(2,1796073255720,'local','local','','added','task','backup','[["auto",null,"true"],["cron",null,"0 3 * * *"],["keep_days",null,"30"],["keep_runs",null,"7"],["name",null,"backup"],["on_missed",null,"skip"],["pool",null,"slow"],["steps",null,"stop, fail, start"],["steps.stop.args",null,"[\"-c\",\"echo \\\"stop $WHO\\\"\"]"],["steps.stop.command",null,"sh"],["steps.stop.env.EMPTY",null,""],["steps.stop.env.WHO",null,"it''s me"],["steps.stop.retries",null,"2"],["steps.stop.retry_delay",null,"5"],["steps.stop.rule",null,"on_success"],["steps.stop.timeout",null,"3600"],["steps.fail.args",null,"[\"-c\",\"exit 3\"]"],["steps.fail.command",null,"sh"],["steps.fail.rule",null,"on_success"],["steps.fail.timeout",null,"60"],["steps.start.args",null,"[\"start\",\"a b\",\"Ünïcode 🙂\"]"],["steps.start.command",null,"echo"],["steps.start.rule",null,"always"],["steps.start.timeout",null,"3600"],["steps.start.working_dir",null,"/tmp"],["zone",null,"Europe/Paris"]]');
INSERT INTO "audit" VALUES(3,1796073256041,'local','local','','added','task','plain','[["auto",null,"false"],["keep_days",null,"365"],["keep_runs",null,"100"],["name",null,"plain"],["on_missed",null,"run_once"],["pool",null,"default"],["steps",null,"only"],["steps.only.command",null,"true"],["steps.only.rule",null,"on_success"],["steps.only.timeout",null,"3600"]]');
INSERT INTO "audit" VALUES(4,1796073256112,'local','local','','changed','task','backup','[["auto","true","false"]]');
INSERT INTO "audit" VALUES(5,1796073256175,'local','local','','started','run','1','[["task",null,"backup"]]');
INSERT INTO "audit" VALUES(6,1796073256203,'local','local','','started','run','2','[["task",null,"plain"]]');
INSERT INTO "audit" VALUES(7,1796073257264,'local','local','','added','variable','KEY','[["value",null,"v"],["secret",null,"false"]]');
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
INSERT INTO "runs" VALUES(1,1,'backup','manual',NULL,'failed',NULL,0,NULL,1796073256165,1796073256165,1796073256223,NULL);
INSERT INTO "runs" VALUES(2,2,'plain','manual',NULL,'success',NULL,0,NULL,1796073256203,1796073256203,1796073256239,NULL);
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
    finished_at   INTEGER, down_ms INTEGER, stored_bytes INTEGER, mirrored_files INTEGER,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "step_runs" VALUES(1,0,'stop','sh','["-c","echo \"stop $WHO\""]','on_success',3600,2,5,'{"EMPTY":"","WHO":"it''s me"}',NULL,'success',1,0,NULL,1796073256165,1796073256165,1796073256185,NULL,NULL,NULL);
INSERT INTO "step_runs" VALUES(1,1,'fail','sh','["-c","exit 3"]','on_success',60,0,0,'{}',NULL,'failed',1,3,'exit code 3',1796073256185,1796073256186,1796073256198,NULL,NULL,NULL);
INSERT INTO "step_runs" VALUES(1,2,'start','echo','["start","a b","Ünïcode 🙂"]','always',3600,0,0,'{}','/tmp','success',1,0,NULL,1796073256198,1796073256198,1796073256223,NULL,NULL,NULL);
INSERT INTO "step_runs" VALUES(2,0,'only','true','[]','on_success',3600,0,0,'{}',NULL,'success',1,0,NULL,1796073256203,1796073256203,1796073256239,NULL,NULL,NULL);
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
INSERT INTO "steps" VALUES(1,1,'fail','sh','["-c","exit 3"]','on_success',60,0,0,'{}',NULL);
INSERT INTO "steps" VALUES(1,2,'start','echo','["start","a b","Ünïcode 🙂"]','always',3600,0,0,'{}','/tmp');
INSERT INTO "steps" VALUES(2,0,'only','true','[]','on_success',3600,0,0,'{}',NULL);
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
INSERT INTO "tasks" VALUES(1,'backup','0 3 * * *','Europe/Paris','slow',0,'skip',7,30,1796073255720,1796073255720,1796073256112,1,1796073255720);
INSERT INTO "tasks" VALUES(2,'plain',NULL,NULL,'default',0,'run_once',100,365,1796073256041,1796073256041,1796073256041,0,1796073256041);
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
CREATE TABLE variables (
    key        TEXT PRIMARY KEY,
    plain      TEXT,
    sealed     BLOB,
    updated_at INTEGER NOT NULL,
    CHECK ((plain IS NULL) <> (sealed IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "variables" VALUES('KEY','v',NULL,1796073257264);
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
INSERT INTO "sqlite_sequence" VALUES('sessions',0);
INSERT INTO "sqlite_sequence" VALUES('audit',7);
INSERT INTO "sqlite_sequence" VALUES('tasks',2);
INSERT INTO "sqlite_sequence" VALUES('runs',2);
INSERT INTO "sqlite_sequence" VALUES('outbox',0);
COMMIT;
PRAGMA user_version = 6;
PRAGMA application_id = 1279683703;
