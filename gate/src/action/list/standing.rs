//! The night that each mirror on a remote is the copy of.
//!
//! Invariant: at most two small files are read for each mirror, `complete` and the last delta, within the time for
//! counting; without an answer the standing is unknown.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Instant;

use super::stored::Entry;
use crate::action::{Context, fetch};
use base::error::Failure;
use base::names::Remote;
use base::sort;
use host::Patience;
use mirror::books::Catalog;
use mirror::complete::{Complete, Standing};
use mirror::delta::DeltaReader;
use mirror::heading::AsOf;
use mirror::names::{Book, Number};
use mirror::place::Places;

/// The largest `complete` file.
const LARGEST: u64 = 64 << 10;

/// The standing of a mirror with books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::action) enum MirrorStanding {
    /// It can be restored as of this moment.
    Complete {
        /// The moment at which the data was captured.
        as_of: AsOf,
        /// A sync has not moved all files of that night to their places yet.
        in_transition: bool,
    },
    /// The first upload is not complete.
    FirstUpload {
        /// Files and bytes that are up.
        done: (u64, u64),
        /// All files and bytes.
        all: (u64, u64),
    },
    /// It could not be read, for this reason.
    Unknown(String),
}

/// The standings of all mirrors that have books, by the subject in them.
pub(super) type Standings = BTreeMap<String, MirrorStanding>;

/// The action, and the time at which reading ends.
type Reading<'l, 'c> = (&'l mut Context<'c>, Instant);

/// Reads the standings of the mirrors with books among these files of a remote.
pub(super) fn standings(
    look: Reading<'_, '_>,
    remote: &Remote,
    mirrors: &[Places],
    entries: &[Entry],
) -> Result<Standings, Failure> {
    let mut found = BTreeMap::new();
    for places in mirrors {
        let folder = places.books.strip_prefix(&remote.to_string());
        let folder = folder.unwrap_or_default().trim_start_matches('/');
        let files = sort::map(entries.iter().filter_map(|entry| entry.file_in(folder)));
        let catalog = Catalog::of(&places.prefix, files.keys().copied());
        if catalog.is_empty() {
            continue;
        }
        let standing = match standing((&mut *look.0, look.1), places, &catalog, &files) {
            Ok(standing) => standing,
            Err(
                failure @ (Failure::Verification(_)
                | Failure::Tool { .. }
                | Failure::Remote { .. }
                | Failure::TimedOutWaiting { .. }
                | Failure::Interrupted {
                    cause: base::error::Interrupt::DeadlinePassed,
                    ..
                }),
            ) => MirrorStanding::Unknown(failure.to_string()),
            Err(failure) => return Err(failure),
        };
        found.insert(places.subject.clone(), standing);
    }
    Ok(found)
}

fn standing(
    look: Reading<'_, '_>,
    places: &Places,
    catalog: &Catalog,
    files: &BTreeMap<&str, u64>,
) -> Result<MirrorStanding, Failure> {
    if !catalog.complete {
        return Ok(MirrorStanding::Unknown(
            "the file `complete` is missing".into(),
        ));
    }
    let mut text = Vec::new();
    read(
        (&mut *look.0, look.1),
        places,
        &Book::Complete,
        files,
        &mut |coming| {
            coming
                .take(LARGEST)
                .read_to_end(&mut text)
                .map(|_| ())
                .map_err(Failure::io("reading the file `complete`"))
        },
    )?;
    let complete = Complete::parse(&text)?;
    let (number, as_of) = match complete.standing {
        Standing::Complete { number, as_of, .. } => (number, as_of),
        Standing::FirstUpload { done, all } => {
            return Ok(MirrorStanding::FirstUpload { done, all });
        }
    };
    let last = last(catalog);
    let newer = last.filter(|last| *last > number && !last.is_full());
    let newer = match newer {
        Some(newer) => delta_as_of(look, places, newer, files)?,
        None => None,
    };
    Ok(MirrorStanding::Complete {
        as_of: newer.unwrap_or(as_of),
        in_transition: newer.is_some(),
    })
}

/// The last delta of the newest manifest, or that manifest.
fn last(catalog: &Catalog) -> Option<Number> {
    let full = catalog.fulls().next()?;
    Some(catalog.deltas(full).last().unwrap_or(full))
}

/// The night of a delta; `None` if its upload was cut off.
fn delta_as_of(
    look: Reading<'_, '_>,
    places: &Places,
    number: Number,
    files: &BTreeMap<&str, u64>,
) -> Result<Option<AsOf>, Failure> {
    let mut as_of = None;
    let read = read(
        look,
        places,
        &Book::Manifest(number),
        files,
        &mut |coming| {
            let mut delta = DeltaReader::new(coming)?;
            while delta.change()?.is_some() {}
            as_of = Some(delta.heading().as_of);
            Ok(())
        },
    );
    match read {
        Err(Failure::Verification(_)) => Ok(None),
        other => other.map(|()| as_of),
    }
}

fn read(
    look: Reading<'_, '_>,
    places: &Places,
    book: &Book,
    files: &BTreeMap<&str, u64>,
    reader: &mut dyn FnMut(&mut dyn Read) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let name = book.name(&places.prefix);
    let bytes = files.get(name.as_str()).copied().unwrap_or(0);
    let path = format!("{}/{name}", places.books);
    let what = format!("reading {path}");
    let patience = Patience::attended(look.1);
    fetch::read(
        look.0,
        (&what, &path, bytes),
        &patience,
        &mut |mut coming| reader(&mut coming),
    )
}
