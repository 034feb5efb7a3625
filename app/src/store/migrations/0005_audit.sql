-- Who changed what. Written in the transaction of the change, and never changed itself,
-- except that a value which becomes secret is taken out.
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

CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_subject ON audit (kind, name);

-- What was set on the settings page; what is not here is as the environment says.
CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
