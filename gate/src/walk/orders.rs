//! The orders of the process that reads a service's data.
//!
//! Invariant: they are all that the process is told; it reads no configuration.

use mirror::fits::Rules;
use mirror::portion::Form;
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
    /// Compares the data with the last manifest of its mirror.
    Compare(Compare),
    /// Copies contents of the data for their upload.
    Stage(Stage),
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

/// The files of a comparison. All lie in one folder of the gate's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The folder.
    pub folder: String,
    /// The entries of the last manifest; `None` without one.
    pub before: Option<String>,
    /// The list of changes, which is there and empty.
    pub list: String,
    /// The rules of the remote's names.
    pub rules: Rules,
    /// The largest sum of contents in the bundle.
    pub bundle_limit: u64,
}

/// The files of a call that copies contents.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The folder of the lists.
    pub folder: String,
    /// The list of changes.
    pub list: String,
    /// The list with digests, which is there.
    pub staged: String,
    /// The contents that the incoming folder holds already.
    pub have: Option<String>,
    /// The folder of the copies.
    pub copies: String,
    /// Where to begin in the list.
    pub at: u64,
    /// The form of the copies.
    pub form: Form,
    /// Bytes of copies in this call.
    pub bytes: u64,
    /// Copies in this call.
    pub files: u64,
    /// Seconds after which this call begins no other copy.
    pub seconds: Option<u64>,
    /// Bytes that stay free on the disk of the copies.
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
pub struct WalkOrders {
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
        serde_json::to_string(&WalkOrders {
            gate,
            path: self.path.to_string(),
            work: self.work.clone(),
        })
    }
}
