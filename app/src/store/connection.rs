//! Opens the database file with the settings that make a commit durable and memory small.

use super::error::StoreError;
use nix::unistd::AccessFlags;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

const WRITABLE: &str = "the file and its folder must be writable by the user that runs lightflow";

/// The value of `PRAGMA auto_vacuum` for a file that shrinks piece by piece.
const INCREMENTAL: i64 = 2;

/// The purpose of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The one connection that changes anything.
    Writer,
    /// Queries only; SQLite itself refuses a change.
    Reader,
}

/// Opens the database file and sets it up.
///
/// # Errors
/// [`StoreError::ReadOnly`] for a writer where the file or its folder is write-protected.
pub(super) fn open(path: &Path, mode: Mode) -> Result<Connection, StoreError> {
    match try_open(path, mode, false) {
        // After a clean stop no index of changes lies beside the file, and none can be made in a write-protected folder.
        // Then the file does not change either, so it can be read without one (sqlite.org/wal.html, "Read-Only Databases").
        Err(error) if mode == Mode::Reader && is_write_protected(path) => {
            try_open(path, mode, true).map_err(|_| error)
        }
        opened => opened,
    }
}

/// Reports if the file exists and nothing can be written beside it.
fn is_write_protected(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(Path::new("."));
    path.is_file() && nix::unistd::access(folder, AccessFlags::W_OK).is_err()
}

fn try_open(path: &Path, mode: Mode, immutable: bool) -> Result<Connection, StoreError> {
    let flags = match mode {
        Mode::Writer => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Mode::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    // Each connection stays on the one thread that owns it.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = if immutable {
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(unchangeable(path), flags)
    } else {
        Connection::open_with_flags(path, flags)
    };
    let connection = opened.map_err(|e| explain(path, &e))?;
    // SQLite opens a write-protected file for reading and says so only at the first change.
    let readonly = connection
        .is_readonly("main")
        .map_err(|e| explain(path, &e))?;
    let read_only = || StoreError::ReadOnly(path.to_owned());
    if mode == Mode::Writer && readonly {
        return Err(read_only());
    }
    // The default is 16; a page or a step needs more, and one that falls out is parsed again each time.
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise SQLite parses and plans a kept statement anew with each new value that its planner compared with a partial index
    // (sqlite.org/c3ref/c_dbconfig_defensive.html, "SQLITE_DBCONFIG_ENABLE_QPSG").
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(|e| explain(path, &e))?;
    settings(&connection, mode).map_err(|e| match mode {
        Mode::Writer if is_write_protected(path) => read_only(),
        _ => explain(path, &e),
    })?;
    Ok(connection)
}

/// The address of a file that does not change while it is open (sqlite.org/uri.html).
fn unchangeable(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    let path: String = path
        .as_os_str()
        .as_bytes()
        .iter()
        .map(|byte| match plain(*byte) {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    format!("file:{path}?immutable=1")
}

fn settings(connection: &Connection, mode: Mode) -> rusqlite::Result<()> {
    // Another process may read the live file (a hot snapshot); wait for it.
    connection.busy_timeout(Duration::from_secs(10))?;
    if mode == Mode::Writer {
        // Only a new file takes this; an older one gets it from the migration. Setting it again writes a page, which a full disk
        // refuses, and a start on a full disk has runs to finish.
        let vacuum: i64 = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0))?;
        if vacuum != INCREMENTAL {
            connection.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
        }
        let journal: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if journal != "wal" {
            tracing::warn!(journal, "the database's file system does not support WAL");
        }
        // FULL: a commit is on the disk before a step starts or a box turns green.
        connection
            .execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;")?;
    }
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -256; PRAGMA temp_store = MEMORY;",
    )?;
    // Reads the header, so that garbage is found here and not in the first query.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
        row.get::<_, i64>(0)
    })?;
    Ok(())
}

/// Writes the log of changes back into the database and empties it.
pub(super) fn checkpoint(connection: &Connection) -> Result<(), StoreError> {
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        return Err(StoreError::InUse(
            "another connection reads the database; its log of changes stays".to_owned(),
        ));
    }
    Ok(())
}

/// Looks for damage in the whole database, which takes about a second for each GB.
pub(super) fn quick_check(connection: &Connection) -> Result<(), StoreError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        what: "page",
        why: found,
    })
}

/// Explains an error of the file in words that help.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => format!(
            "it is damaged or not a database ({error}); put it aside and restore a snapshot, such as backup/lightflow.db"
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            format!("{error}; {WRITABLE}")
        }
        Some(ErrorCode::DiskFull) => format!("{error}; free some space"),
        _ => error.to_string(),
    };
    StoreError::Open {
        path: path.to_owned(),
        why,
    }
}
