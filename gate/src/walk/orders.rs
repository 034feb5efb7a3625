//! The orders of the process that reads a service's data.
//!
//! Invariant: they are all that the process is told; it reads no configuration.

use serde::{Deserialize, Serialize};

use archive::duplicate::Way;
use base::names::PlainPath;
use host::program::Entry;

/// The hidden first argument of the process.
pub const ENTRY: &str = "__walk";

/// The work of the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Work {
    /// Opens the directory, and looks for an entry in it.
    Open,
    /// Measures the data, for an upper bound of its archive.
    Measure,
    /// Packs an archive into the spool.
    Pack(Pack),
    /// Makes the same tree in a folder of the gate's own.
    Duplicate(Duplicate),
    /// Empties the folder of the gate's own that `path` names.
    Empty,
}

/// A copy of the whole tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duplicate {
    /// The folder of the gate's own.
    pub folder: String,
    /// The name of the tree in it.
    pub tree: String,
    /// The kind of copies.
    pub way: Way,
    /// The service is up, and another pass follows.
    pub live: bool,
    /// Bytes that stay free on the disk of the folder.
    pub reserve: u64,
}

/// The place of an archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// The archive's name.
    pub name: String,
    /// The folder of the spool.
    pub spool: String,
    /// The file of the archive in it, which is there and empty.
    pub archive: String,
    /// The file of its manifest, likewise.
    pub manifest: String,
    /// Bytes that stay free on the disk of the spool.
    pub reserve: u64,
}

/// The orders of the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// The gate's process id.
    pub gate: i32,
    /// The directory. Where it is open already it comes as standard input, and this is its name for messages.
    pub path: String,
    /// Its work.
    pub work: Work,
}

/// A walk to make.
#[derive(Debug, Clone)]
pub struct Walk {
    /// The directory.
    pub path: PlainPath,
    /// The work.
    pub work: Work,
}

impl Entry for Walk {
    fn name(&self) -> &'static str {
        ENTRY
    }

    fn orders(&self, gate: i32) -> serde_json::Result<String> {
        serde_json::to_string(&Orders {
            gate,
            path: self.path.to_string(),
            work: self.work.clone(),
        })
    }
}
