//! The errors of the store.

use std::path::PathBuf;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing has that name or number.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// The kind of thing, for example `task`.
        what: &'static str,
        /// The name or number that was asked for.
        name: String,
    },
    /// The run was there once.
    #[error(
        "run {0} was removed: a task keeps its newest runs only (see its retention), or a person deleted the run"
    )]
    RemovedRun(i64),
    /// The name is taken.
    #[error("there is already a {what} {name:?}; choose another name")]
    Duplicate {
        /// The kind of thing.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A task names a pool that does not exist.
    #[error("there is no pool {name:?}; use one of {known}, or add it first")]
    UnknownPool {
        /// The pool that the task names.
        name: String,
        /// The pools there are, separated by commas.
        known: String,
    },
    /// It cannot be removed or changed while something needs it.
    #[error("{0}")]
    InUse(String),
    /// Another change came before one that was made from an older version.
    #[error(
        "the {what} was changed meanwhile; nothing was saved. Load the present version, and make the change again"
    )]
    Overtaken {
        /// The kind of thing.
        what: &'static str,
    },
    /// The fire time was already dealt with.
    #[error("this fire time was already dealt with")]
    AlreadyClaimed,
    /// The database file cannot be used as it is.
    #[error("cannot open the database {path}: {why}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The problem and its remedy.
        why: String,
    },
    /// The database file or its folder is write-protected.
    #[error("cannot open the database {path}: it is read-only; the file and its folder must be writable by the user that runs lightflow", path = .0.display())]
    ReadOnly(PathBuf),
    /// A row holds a value that the program cannot have written.
    #[error("the database holds a bad {what}: {why}")]
    Corrupt {
        /// The column or table.
        what: &'static str,
        /// The value that was found.
        why: String,
    },
    /// SQLite said no.
    #[error("the database refused: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A file that belongs to the change could not be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The work on the database panicked; nothing was changed.
    #[error(transparent)]
    Panicked(#[from] crate::panics::Panicked),
    /// The thread that owns the database is gone; the process is going down.
    #[error("the database is closed")]
    Closed,
}

impl StoreError {
    /// Reports if a row holds a value that cannot be read; other rows can.
    pub fn is_unreadable(&self) -> bool {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
        };
        match self {
            Self::Corrupt { .. } => true,
            Self::Sqlite(error) => matches!(
                error,
                FromSqlConversionFailure(..)
                    | IntegralValueOutOfRange(..)
                    | InvalidColumnType(..)
                    | Utf8Error(..)
            ),
            _ => false,
        }
    }

    /// Reports if the disk refused it: no space, or a fault.
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    rusqlite::ErrorCode::SystemIoFailure
                        | rusqlite::ErrorCode::DiskFull
                        | rusqlite::ErrorCode::CannotOpen
                )
            ),
            _ => false,
        }
    }
}

/// The reasons for which SQLite cannot work at the moment, and which people can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The disk is full.
    Full,
    /// Another program holds the lock of the database.
    Locked,
    /// The file or its file system cannot be written.
    ReadOnly,
    /// The disk reports an error.
    Fault,
}

impl Obstacle {
    /// The obstacle behind the error of a file.
    pub fn of_file(error: &std::io::Error) -> Option<Self> {
        use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Some(Self::Full),
            ReadOnlyFilesystem => Some(Self::ReadOnly),
            _ => (error.raw_os_error() == Some(nix::libc::EIO)).then_some(Self::Fault),
        }
    }
}

impl StoreError {
    /// The obstacle behind the error, if it is one that people can end.
    pub fn obstacle(&self) -> Option<Obstacle> {
        use rusqlite::ErrorCode;
        let Self::Sqlite(error) = self else {
            return None;
        };
        match error.sqlite_error_code()? {
            ErrorCode::DiskFull => Some(Obstacle::Full),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Obstacle::Locked),
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => {
                Some(Obstacle::ReadOnly)
            }
            ErrorCode::SystemIoFailure => Some(Obstacle::Fault),
            _ => None,
        }
    }
}

/// Turns "not found" into a value, for a caller that continues without the thing.
pub trait Found<T> {
    /// The thing, or none where there is none of that name or number.
    ///
    /// # Errors
    /// Every error but [`StoreError::NotFound`] and [`StoreError::RemovedRun`].
    fn found(self) -> Result<Option<T>, StoreError>;
}

impl<T> Found<T> for Result<T, StoreError> {
    fn found(self) -> Result<Option<T>, StoreError> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(StoreError::NotFound { .. } | StoreError::RemovedRun(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }
}
