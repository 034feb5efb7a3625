//! Facts about a remote: its quota, its newest archives, and the result of a write probe.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// The answer of a remote about its quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// This kind of remote has no quota.
    Unsupported,
    /// The remote answered; a number is missing where it reports none.
    Known {
        /// Free bytes.
        free: Option<u64>,
        /// Bytes in all, or used ones where the remote has no limit.
        total: Option<u64>,
    },
    /// The remote did not answer in time.
    Late,
    /// The remote, or rclone, reported a failure.
    Failed {
        /// The failure.
        words: String,
        /// The command that repairs the cause.
        fix: String,
    },
}

/// The newest archives on a remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Archives {
    /// The day of the newest archive of each service.
    Newest(BTreeMap<String, Option<NaiveDate>>),
    /// The remote could not be listed, for this reason.
    Unreadable(String),
}

/// The steps of a write probe, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Store the file.
    Store,
    /// Compare size and hash with the local file.
    Compare,
    /// Download the file.
    ReadBack,
    /// Rename the file.
    Rename,
    /// Delete the file.
    Delete,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "storing a small file",
            Self::Compare => "comparing the stored file",
            Self::ReadBack => "reading the file back",
            Self::Rename => "renaming the file",
            Self::Delete => "deleting the file",
        })
    }
}

/// The result of a write probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Every step passed.
    Passed {
        /// A hash was compared.
        hash: bool,
    },
    /// A step failed.
    Failed {
        /// The step; `None` if not even the first one could be tried.
        step: Option<Step>,
        /// The reason.
        words: String,
        /// The command that repairs the cause.
        fix: String,
    },
}
