//! A directory → one checked `.tar.gz` with its manifest, and back.
//!
//! `tar | gzip | rclone rcat` takes the end of a tar that died for success, and cannot be tried again. So the archive
//! is first written to a file of our own, and read back before its upload.
//!
//! Writing: `listing` and `links` serve `pack`, which turns a tree into entries; `write` makes a tar archive of them
//! (`ustar`, `pax`, `sparse`, `acl`), `gzip` compresses it on all cores where that saves space (`dense`), `digest`
//! hashes the stream, and `manifest` notes each entry. Reading: `gunzip` and `read` return the entries, `layout` finds
//! the data in archives of other tools, `check` compares them with the manifest, `extract` makes a tree of them below
//! one directory (`place`, `maker`). `contents` hands out the contents of files alone, `assemble` makes a tree of a
//! list and contents that are there already, and `duplicate` makes the same tree elsewhere on this host.
//!
//! Invariant: entries are reached by descriptor from the pinned directory and no link is followed, neither when a tree
//! is packed nor when one is made; memory is bounded for any tree and any archive.
#![forbid(unsafe_code)]

mod acl;
pub mod adopt;
pub mod assemble;
pub mod attributes;
mod before;
pub mod check;
pub mod choice;
mod compare;
pub mod contents;
mod dense;
pub mod digest;
pub mod duplicate;
pub mod entry;
pub mod estimate;
pub mod extract;
pub mod gunzip;
pub mod gzip;
pub mod inherit;
mod input;
mod layout;
pub mod links;
mod listing;
mod maker;
pub mod manifest;
pub mod pack;
mod pax;
mod place;
pub mod read;
mod sparse;
mod ustar;
mod write;

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use base::error::Failure;

/// The directory that everything in an archive lies in.
pub const ROOT: &str = "data";

/// Deepest tree that is packed or made; each level holds a descriptor and a frame of the stack.
pub const MAX_DEPTH: usize = 200;

/// Called every megabyte or so, and for every entry, with the bytes of content that have passed so far; an error
/// ends the work.
pub type Watch<'a> = &'a mut dyn FnMut(u64) -> Result<(), Failure>;

/// Number of remembered names, and bytes of each.
const REMEMBERED: usize = 100;
const LONGEST: usize = 500;

/// Number of names in a sentence.
const NAMED: usize = 10;

/// Paths that are worth a word: how many, and the names of the first few. A service may have millions.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Their number.
    pub count: u64,
    first: Vec<String>,
}

impl Named {
    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// One more.
    pub fn push(&mut self, path: impl fmt::Display) {
        self.count += 1;
        if self.first.len() < REMEMBERED {
            let mut name = path.to_string();
            if let Some((cut, _)) = name.char_indices().nth(LONGEST) {
                name.truncate(cut);
                name.push_str("...");
            }
            self.first.push(name);
        }
    }

    /// The first of them, one by one, and how many more there are.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let more = self.count - self.first.len() as u64;
        let rest = (more > 0).then(|| format!("{more} more"));
        self.first.iter().cloned().chain(rest)
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.first.get(..NAMED).unwrap_or(&self.first);
        f.write_str(&named.join(", "))?;
        match self.count - named.len() as u64 {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn too_deep(path: &Path) -> Failure {
    Failure::Tool {
        what: "packing".to_owned(),
        detail: format!(
            "{} lies more than {MAX_DEPTH} directories deep; flatten it, or leave it out of the data directory",
            path.display()
        ),
    }
}

/// A fault of an archive or a manifest.
fn damaged(what: &str) -> Failure {
    Failure::Verification(format!("the archive is damaged: {what}"))
}

/// An archive that this version cannot bring back, although nothing in it is damaged.
fn other_layout(what: &str) -> Failure {
    Failure::Verification(format!("the archive has another layout: {what}"))
}

/// Meaning of an error while an archive is read: damaged, if it came from gzip or from an early end.
fn unreadable(what: &str) -> impl FnOnce(io::Error) -> Failure {
    move |error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(&format!("it ends in {what}")),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            damaged(&format!("{what}: {error}"))
        }
        _ => Failure::io(format!("reading {what} of the archive"))(error),
    }
}

#[cfg(test)]
mod tests;
