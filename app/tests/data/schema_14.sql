-- A database of schema 14: two tasks, their runs, and one that goes on. Made by `.dump` of sqlite3.
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
INSERT INTO "audit" VALUES(1,1796088056880,'local','local','','added','pool','slow','[["name",null,"slow"],["slots",null,"1"]]');
INSERT INTO "audit" VALUES(2,1796088056892,'local','local','','added','task','backup','[["auto",null,"false"],["cron",null,"0 3 * * *"],["keep_days",null,"30"],["keep_runs",null,"7"],["name",null,"backup"],["on_missed",null,"skip"],["pool",null,"slow"],["steps",null,"stop, start"],["steps.stop.args",null,"[\"-c\",\"echo \\\"stop $WHO\\\"; sleep 600\"]"],["steps.stop.command",null,"sh"],["steps.stop.env.EMPTY",null,""],["steps.stop.env.WHO",null,"it''s me"],["steps.stop.retries",null,"2"],["steps.stop.retry_delay",null,"5"],["steps.stop.rule",null,"on_success"],["steps.stop.timeout",null,"3600"],["steps.start.args",null,"[\"start\",\"a b\",\"Ünïcode 🙂\"]"],["steps.start.command",null,"echo"],["steps.start.rule",null,"always"],["steps.start.timeout",null,"3600"],["steps.start.working_dir",null,"/tmp"],["zone",null,"Europe/Paris"]]');
INSERT INTO "audit" VALUES(3,1796088056908,'local','local','','added','task','plain','[["auto",null,"false"],["keep_days",null,"365"],["keep_runs",null,"100"],["name",null,"plain"],["on_missed",null,"run_once"],["pool",null,"default"],["steps",null,"s"],["steps.s.args",null,"[\"plain\"]"],["steps.s.command",null,"echo"],["steps.s.rule",null,"on_success"],["steps.s.timeout",null,"3600"]]');
INSERT INTO "audit" VALUES(4,1796088056919,'local','local','','added','variable','WHO','[["value",null,"nobody"],["secret",null,"false"]]');
INSERT INTO "audit" VALUES(5,1796088056927,'local','local','','started','run','1','[["task",null,"plain"]]');
INSERT INTO "audit" VALUES(6,1796088056947,'local','local','','started','run','2','[["task",null,"plain"]]');
INSERT INTO "audit" VALUES(7,1796088056972,'local','local','','started','run','3','[["task",null,"backup"]]');
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
, recipients TEXT
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
INSERT INTO "run_totals" VALUES(2,'success',2);
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
, retry_of INTEGER, stored_bytes INTEGER, mirrored_files INTEGER) STRICT;
INSERT INTO "runs" VALUES(1,2,'plain','manual',NULL,'success',NULL,0,NULL,1796088056927,1796088056927,1796088056936,NULL,NULL,NULL);
INSERT INTO "runs" VALUES(2,2,'plain','manual',NULL,'success',NULL,0,NULL,1796088056947,1796088056947,1796088056960,NULL,NULL,NULL);
INSERT INTO "runs" VALUES(3,1,'backup','manual',NULL,'running',NULL,0,NULL,1796088056972,1796088056972,NULL,NULL,NULL,NULL);
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
    state         TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    exit_code     INTEGER,
    reason        TEXT,
    queued_at     INTEGER,
    started_at    INTEGER,
    finished_at   INTEGER, down_ms INTEGER, stored_bytes INTEGER, mirrored_files INTEGER, warnings TEXT, definition TEXT NOT NULL DEFAULT '', mirror TEXT, uncounted INTEGER NOT NULL DEFAULT 0, proof TEXT,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "step_runs" VALUES(1,0,'success',1,0,NULL,1796088056927,1796088056927,1796088056936,NULL,NULL,NULL,NULL,'{"name":"s","command":"echo","args":["plain"],"rule":"on_success","timeout":3600}',NULL,0,NULL);
INSERT INTO "step_runs" VALUES(2,0,'success',1,0,NULL,1796088056947,1796088056947,1796088056960,NULL,NULL,NULL,NULL,'{"name":"s","command":"echo","args":["plain"],"rule":"on_success","timeout":3600}',NULL,0,NULL);
INSERT INTO "step_runs" VALUES(3,0,'running',1,NULL,NULL,1796088056972,1796088056972,NULL,NULL,NULL,NULL,NULL,'{"name":"stop","command":"sh","args":["-c","echo \"stop $WHO\"; sleep 600"],"rule":"on_success","timeout":3600,"retries":2,"retry_delay":5,"env":{"EMPTY":"","WHO":"it''s me"}}',NULL,0,NULL);
INSERT INTO "step_runs" VALUES(3,1,'pending',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"name":"start","command":"echo","args":["start","a b","Ünïcode 🙂"],"rule":"always","timeout":3600,"working_dir":"/tmp"}',NULL,0,NULL);
CREATE TABLE task_facts (
    task_id      INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    succeeded_at INTEGER,
    down_ms      INTEGER,
    stored_bytes INTEGER,
    mirror       TEXT
, subject TEXT, proof TEXT, proved TEXT) STRICT;
INSERT INTO "task_facts" VALUES(1,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "task_facts" VALUES(2,1796088056960,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE tasks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    cron       TEXT,
    zone       TEXT,
    pool       TEXT NOT NULL REFERENCES pools (name) ON UPDATE CASCADE,
    auto       INTEGER NOT NULL,
    scheduled_through INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
, paused INTEGER NOT NULL DEFAULT 0, watched_from INTEGER NOT NULL DEFAULT 0, definition TEXT NOT NULL DEFAULT '', own INTEGER NOT NULL DEFAULT 0, paused_until INTEGER) STRICT;
INSERT INTO "tasks" VALUES(1,'backup','0 3 * * *','Europe/Paris','slow',0,1796088056892,1796088056892,1796088056892,0,1796088056892,'{"name":"backup","cron":"0 3 * * *","zone":"Europe/Paris","pool":"slow","auto":false,"on_missed":"skip","keep_runs":7,"keep_days":30,"steps":[{"name":"stop","command":"sh","args":["-c","echo \"stop $WHO\"; sleep 600"],"rule":"on_success","timeout":3600,"retries":2,"retry_delay":5,"env":{"EMPTY":"","WHO":"it''s me"}},{"name":"start","command":"echo","args":["start","a b","Ünïcode 🙂"],"rule":"always","timeout":3600,"working_dir":"/tmp"}]}',0,NULL);
INSERT INTO "tasks" VALUES(2,'plain',NULL,NULL,'default',0,1796088056908,1796088056908,1796088056908,0,1796088056908,'{"name":"plain","pool":"default","auto":false,"on_missed":"run_once","keep_runs":100,"keep_days":365,"steps":[{"name":"s","command":"echo","args":["plain"],"rule":"on_success","timeout":3600}]}',0,NULL);
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
INSERT INTO "variables" VALUES('WHO','nobody',NULL,1796088056919);
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
CREATE INDEX runs_finished ON runs (task_id, id) WHERE state NOT IN ('queued', 'running', 'missed');
CREATE INDEX runs_missed ON runs (task_id, id) WHERE state = 'missed';
CREATE INDEX runs_good ON runs (task_id, id, finished_at) WHERE state IN ('success', 'skipped');
CREATE INDEX runs_of_task_by_time ON runs (task_id, created_at, state);
CREATE INDEX runs_sized ON runs (task_id, id) WHERE stored_bytes IS NOT NULL OR mirrored_files IS NOT NULL;
CREATE TRIGGER keep_size AFTER UPDATE OF stored_bytes, mirrored_files ON step_runs
WHEN NEW.stored_bytes IS NOT NULL OR NEW.mirrored_files IS NOT NULL
BEGIN
    UPDATE runs SET
        stored_bytes = (SELECT max(stored_bytes) FROM step_runs WHERE run_id = NEW.run_id),
        mirrored_files = (SELECT max(mirrored_files) FROM step_runs WHERE run_id = NEW.run_id)
    WHERE id = NEW.run_id;
END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sessions',0);
INSERT INTO "sqlite_sequence" VALUES('audit',7);
INSERT INTO "sqlite_sequence" VALUES('tasks',2);
INSERT INTO "sqlite_sequence" VALUES('runs',3);
INSERT INTO "sqlite_sequence" VALUES('outbox',0);
COMMIT;
PRAGMA user_version = 14;
PRAGMA application_id = 1279683703;
