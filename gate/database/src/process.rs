//! The process that looks at one database: confine, open, ask, say.
//!
//! Invariant: nothing of the database is read before everything is gone that it could be used for.

use std::ffi::OsString;

use nix::sys::resource::{Resource, setrlimit};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::orders::{EXIT_BAD, EXIT_UNKNOWN, InspectionOrders, NAME};
use host::program::EXIT_PREPARE;
use privilege::hardening::begin_for;
use privilege::{capabilities, files, syscalls};

/// Memory. SQLite takes a bit for each page, beside its cache of two megabytes.
const MEMORY: u64 = 512 << 20;

/// Number of named faults; a bad disk makes thousands.
const NAMED: usize = 20;

/// The longest line of an answer.
const LONGEST: usize = 300;

/// The life of the process: its exit code, and its output.
#[must_use]
pub fn inspect(arguments: &[OsString]) -> (u8, Vec<String>) {
    let prepared = match arguments {
        [orders] => prepare(orders),
        _ => Err("this is for the gate itself".to_owned()),
    };
    match prepared {
        Ok(folder) => ask(&folder),
        Err(words) => (
            u8::try_from(EXIT_PREPARE).unwrap_or(EXIT_UNKNOWN),
            vec![words],
        ),
    }
}

/// Gives up everything but the folder of the database, and returns that.
fn prepare(orders: &OsString) -> Result<String, String> {
    let orders: InspectionOrders = orders
        .to_str()
        .and_then(|text| serde_json::from_slice(text.as_bytes()).ok())
        .ok_or("this is for the gate itself")?;
    begin_for(orders.gate)?;
    for (resource, limit) in [
        (Resource::RLIMIT_AS, MEMORY),
        (Resource::RLIMIT_FSIZE, orders.largest),
        (Resource::RLIMIT_NOFILE, 32),
    ] {
        setrlimit(resource, limit, limit)
            .map_err(|errno| format!("the limits: {}", errno.desc()))?;
    }
    let domain = if orders.confined {
        Some(files::only(&orders.folder)?)
    } else {
        None
    };
    capabilities::keep(&[], capabilities::Children::Same)?;
    if let Some(domain) = domain {
        domain.enter()?;
    }
    syscalls::for_inspection()?;
    Ok(orders.folder)
}

fn ask(folder: &str) -> (u8, Vec<String>) {
    match check(&format!("{folder}/{NAME}")) {
        Ok(lines) if lines == ["ok"] => (0, Vec::new()),
        Ok(lines) => (EXIT_BAD, lines.iter().map(|line| short(line)).collect()),
        Err(error) => {
            let words = vec![short(&error.to_string())];
            match error.sqlite_error_code() {
                Some(
                    ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::SystemIoFailure,
                ) => (EXIT_BAD, words),
                _ => (EXIT_UNKNOWN, words),
            }
        }
    }
}

fn short(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST)
        .collect()
}

/// Opens it as its own program would after a crash: a log is read, and a journal is rolled back.
fn check(path: &str) -> rusqlite::Result<Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    // Its schema is not trusted: <https://www.sqlite.org/security.html>.
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    // No other process uses it: then the index of a log needs no file in shared memory.
    database.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;",
    )?;
    let mut asked = database.prepare(&format!("PRAGMA integrity_check({NAMED})"))?;
    let lines = asked.query_map([], |row| row.get::<_, String>(0))?;
    lines.collect()
}
