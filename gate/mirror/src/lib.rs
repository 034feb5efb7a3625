//! A mirror on the remote: its manifests, and the place of each content at any moment.
//!
//! A mirror is a tree of plain files. Its manifest holds everything that a tree of files on the remote cannot hold, and
//! says which night the mirror is a copy of. Each night writes a delta on the manifest of the night before.
//!
//! `place` and `names` hold the folders and file names, `order` the order of all lists. `manifest` and `delta` are the two
//! formats: `heading` is their first two lines, `entry` the others, and `lines` the compressed text. `chain` applies
//! deltas to a manifest. `complete` is the small file that says which night `data/` is the copy of. `books` chooses the
//! files of the last night, and `compose` decides for each entry where its content is.
//!
//! A sync walks over the tree (`scan`), compares it with the last manifest (`diff`, `memory`), and lists the work
//! (`changes`). `fits` knows the names that a remote cannot hold, `stage` copies and hashes contents (`reach`), `plan`
//! makes the steps of a transition, and `survey` compares a manifest with the files that are there.
//!
//! Invariant: all lists are in the one order of `order`, so everything is read and merged as a stream, in bounded
//! memory for any number of entries.
#![forbid(unsafe_code)]

pub mod books;
pub mod chain;
pub mod changes;
pub mod complete;
pub mod compose;
pub mod delta;
pub mod diff;
pub mod entry;
pub mod fits;
pub mod heading;
mod lines;
pub mod manifest;
pub mod memory;
pub mod names;
pub mod order;
pub mod place;
pub mod plan;
pub mod portion;
pub mod quickxor;
pub mod reach;
pub mod scan;
pub mod sort;
pub mod stage;
pub mod survey;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
