//! A mirror on the remote: its manifests, and the place of each content at any moment.
//!
//! A mirror is a tree of plain files. Its manifest holds everything that a tree of files on the remote cannot hold, and
//! says which night the mirror is a copy of. Each night writes a delta on the manifest of the night before.
//!
//! `place` and `names` hold the folders and file names, `order` the order of all lists. `manifest` and `delta` are the two
//! formats, `chain` applies deltas to a manifest, and `compose` decides for each entry where its content is. `complete`
//! is the small file that says which night `data/` is the copy of.
//!
//! Invariant: all lists are in the one order of `order`, so everything is read and merged as a stream, in bounded
//! memory for any number of entries.
#![forbid(unsafe_code)]

pub mod changes;
pub mod diff;
pub mod fits;
pub mod names;
pub mod order;
pub mod place;
pub mod plan;
pub mod reach;
pub mod scan;
pub mod stage;

#[cfg(test)]
mod model;
