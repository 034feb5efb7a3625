//! The terms of a portion of contents: its form, its limits, its result, and the names of its contents.
//!
//! Invariant: each content of a transition has a name of its own, also if another one has the same digest.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Instant;

use archive::digest::Digest;
use base::dirfd::PinnedDir;
use serde::{Deserialize, Serialize};

use crate::changes::{Item, Work};
use crate::names::IncomingName;
use crate::scan::Notes;

/// The form of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Flat, by the names of the incoming folder.
    Flat,
    /// As a tree, by paths.
    Tree,
    /// As a tree, and only the entries of the bundle.
    Bundle,
    /// No copy is made: contents are only hashed, and those that are as before are told from others.
    Digests,
}

impl Form {
    /// True if an entry with this work is copied.
    #[must_use]
    pub fn copies(self, work: Work) -> bool {
        match self {
            Self::Bundle => work == Work::Bundle,
            _ => matches!(work, Work::Send | Work::Compare),
        }
    }
}

/// The limits of one call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of copies.
    pub bytes: u64,
    /// Copies.
    pub files: u64,
    /// Bytes that the disk can take in all.
    pub room: u64,
    /// No copy begins after this moment.
    pub until: Option<Instant>,
}

/// A content that is too large to be copied. It is hashed, and is to be read from the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Direct {
    /// The bytes of its path.
    pub path: Vec<u8>,
    /// The name of its content in the incoming folder.
    pub incoming: String,
    /// Its size.
    pub size: u64,
}

impl Direct {
    pub(crate) fn of(item: &Item, size: u64) -> Self {
        let name = item.incoming.as_ref().map(ToString::to_string);
        Self {
            path: item.record.path.clone(),
            incoming: name.unwrap_or_default(),
            size,
        }
    }
}

/// The result of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Where the next call begins in the list.
    pub at: u64,
    /// True if the list is done.
    pub is_done: bool,
    /// Copies in the folder, and their bytes.
    pub files: u64,
    /// See `files`.
    pub bytes: u64,
    /// Contents that were in the incoming folder already, and their bytes.
    pub there: u64,
    /// See `there`.
    pub there_bytes: u64,
    /// Contents that are as before, although their time is another one.
    pub same: u64,
    /// Their bytes.
    pub same_bytes: u64,
    /// A content that is too large for the folder.
    pub direct: Option<Direct>,
    /// Entries that changed while they were read.
    pub notes: Notes,
}

/// Numbers the contents with the same digest.
///
/// Of a digest it keeps 8 bytes, because there may be a million. Two digests that share these only leave out a number.
#[derive(Debug, Default)]
pub struct Numbers {
    seen: HashSet<u64>,
    /// The counts of those that came more than once.
    counts: HashMap<u64, u32>,
}

impl Numbers {
    /// The name of the next content with this digest.
    pub fn next(&mut self, digest: Digest) -> IncomingName {
        let nth = self.count(&digest.to_string());
        IncomingName::of(digest, nth)
    }

    /// Counts a content that has its name already.
    pub fn saw(&mut self, name: &IncomingName) {
        self.count(name.as_str());
    }

    fn count(&mut self, digits: &str) -> u32 {
        let key = digits.get(..16).unwrap_or_default();
        let key = u64::from_str_radix(key, 16).unwrap_or_default();
        if self.seen.insert(key) {
            return 1;
        }
        let count = self.counts.entry(key).or_insert(1);
        *count += 1;
        *count
    }
}

/// The files and folders of a call.
pub struct StageFiles<'p> {
    /// The tree.
    pub source: &'p PinnedDir,
    /// The list of changes.
    pub list: File,
    /// The list with digests, read and appended to.
    pub staged: File,
    /// The folder of copies.
    pub folder: OwnedFd,
}
