//! The place of each content at this moment, also in the middle of a transition.
//!
//! A transition moves contents from the incoming folder to their paths. A content of the last delta that is in the
//! listing of that folder has not been moved yet; every other one is at its path. Nothing else is moved onto the path
//! of an entry of the last night. So one listing decides.
//!
//! Invariant: memory holds 32 bytes for each file in the incoming folder, and nothing for entries.

use crate::chain::Current;
use crate::entry::Stored;
use crate::names::IncomingName;

/// The files in the incoming folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Incoming(Vec<(u128, u32, u64)>);

impl Incoming {
    /// Reads a listing: names and sizes. Names of other files are ignored.
    pub fn of<'n>(listing: impl IntoIterator<Item = (&'n str, u64)>) -> Self {
        let mut files = Self::default();
        for (name, size) in listing {
            if let Some(name) = IncomingName::parse(name) {
                files.add(&name, size);
            }
        }
        files.sort();
        files
    }

    /// Adds a file of a listing that comes as a stream; `sort` ends it.
    pub fn add(&mut self, name: &IncomingName, size: u64) {
        let (key, nth) = name.parts();
        self.0.push((key, nth, size));
    }

    /// Ends a listing that came as a stream.
    pub fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// True if the folder holds no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if the folder holds a file of this name and size.
    #[must_use]
    pub fn holds(&self, name: &IncomingName, size: u64) -> bool {
        let (key, nth) = name.parts();
        self.0.binary_search(&(key, nth, size)).is_ok()
    }

    /// The place of an entry's content at this moment.
    #[must_use]
    pub fn place(&self, current: &Current) -> Stored {
        let entry = &current.entry;
        match &entry.stored {
            Stored::Incoming(name) if !current.is_of_last || !self.holds(name, size(current)) => {
                Stored::Data
            }
            place => place.clone(),
        }
    }
}

/// The size of the content. A link's content is its target.
fn size(current: &Current) -> u64 {
    let record = &current.entry.record;
    match (&record.target, record.letter) {
        (Some(target), 'l') => target.len() as u64,
        _ => record.size,
    }
}
