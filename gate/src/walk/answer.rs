//! The lines that a walk writes to the gate: its progress and its result.
//!
//! Invariant: a failure arrives with the exit status that it has in the process.

use mirror::diff::Summary;
use mirror::portion::Staged;
use mirror::scan::Notes;
use serde::{Deserialize, Serialize};

use archive::duplicate::Duplicated;
use archive::estimate::Estimate;
use archive::pack::Packed;
use base::error::Failure;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
pub enum Line {
    /// Bytes of content so far.
    At(u64),
    /// The end.
    Done(Answer),
    /// It went wrong.
    Failed(Told),
}

/// The result of a walk.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The directory can be opened; true when it is empty.
    Opened(bool),
    /// An upper bound of the archive.
    Measured(Estimate),
    /// The archive is packed.
    Packed(Box<Packed>),
    /// The tree is copied.
    Duplicated(Box<Duplicated>),
    /// The folder is empty.
    Emptied,
    /// The data is compared with the last manifest.
    Compared(Box<Compared>),
    /// Contents are copied.
    Staged(Box<Staged>),
}

/// The result of a comparison.
#[derive(Debug, Serialize, Deserialize)]
pub struct Compared {
    /// The size of the difference.
    pub summary: Summary,
    /// Entries that the mirror cannot hold as they are.
    pub notes: Notes,
}

/// A failure on its way from one process to the other.
#[derive(Debug, Serialize, Deserialize)]
pub enum Told {
    /// An operation of the system failed.
    Io(String, i32),
    /// The directory cannot be opened; the error of openat(2).
    Opening(i32),
    /// There is no space.
    NoSpace(String),
    /// Something that was written does not read back.
    Verification(String),
    /// Anything else.
    Tool(String, String),
}

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Io { what, source } => match source.raw_os_error() {
                Some(errno) => Self::Io(what, errno),
                None => Self::Tool(what, source.to_string()),
            },
            Failure::NoSpace(words) => Self::NoSpace(words),
            Failure::Verification(words) => Self::Verification(words),
            Failure::Tool { what, detail } => Self::Tool(what, detail),
            other => Self::Tool("reading the data".into(), other.to_string()),
        }
    }
}

impl Told {
    /// The failure, on the other side.
    #[must_use]
    pub fn failure(self) -> Failure {
        match self {
            Self::Io(what, errno) => Failure::Io {
                what,
                source: std::io::Error::from_raw_os_error(errno),
            },
            Self::Opening(errno) => Failure::Io {
                what: "opening the source".into(),
                source: std::io::Error::from_raw_os_error(errno),
            },
            Self::NoSpace(words) => Failure::NoSpace(words),
            Self::Verification(words) => Failure::Verification(words),
            Self::Tool(what, detail) => Failure::Tool { what, detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_its_status_and_its_words() {
        let failures = [
            Failure::errno("reading data/f")(nix::errno::Errno::EIO),
            Failure::errno("writing the spool")(nix::errno::Errno::ENOSPC),
            Failure::NoSpace("full".into()),
            Failure::Verification("bad".into()),
            Failure::Tool {
                what: "packing".into(),
                detail: "too deep".into(),
            },
        ];
        for failure in failures {
            let (status, words) = (failure.status(), failure.to_string());
            let line = serde_json::to_string(&Line::Failed(failure.into())).unwrap();
            let Line::Failed(told) = serde_json::from_str(&line).unwrap() else {
                panic!("{line}");
            };
            let other = told.failure();
            assert_eq!((other.status(), other.to_string()), (status, words));
        }
    }
}
