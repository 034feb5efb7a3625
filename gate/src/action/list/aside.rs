//! Archives that retention put aside in `.pruned/DAY`, until the day on which they are deleted.
//!
//! Invariant: a file counts only in a folder named after a day, and only under the name of an archive of its service.

use chrono::{Days, NaiveDate};

use super::stored::ListedArchive;
use crate::retention::ArchiveName;
use base::names::ServiceName;
use base::sort;

/// The archives among the files `DAY/NAME` below `.pruned`.
pub(super) fn put_aside(
    service: &ServiceName,
    files: impl Iterator<Item = (String, u64)>,
) -> Vec<(ListedArchive, NaiveDate)> {
    let files = sort::map(files);
    let mut found: Vec<(ListedArchive, NaiveDate)> = files
        .iter()
        .filter_map(|(path, &bytes)| {
            let (day, file) = path.split_once('/')?;
            let name = ArchiveName::parse(service, file)?;
            let manifest = files.contains_key(&format!("{day}/{}", name.manifest()));
            let stored = ListedArchive {
                name,
                bytes,
                manifest,
            };
            Some((stored, day.parse().ok()?))
        })
        .collect();
    sort::sort_by(&mut found, |(one, day), (other, another)| {
        (day, &one.name).cmp(&(another, &other.name)).reverse()
    });
    found
}

/// The last day of an archive that was put aside: the first archive made after that day deletes it.
pub(super) fn kept_until(day: NaiveDate, keeps: u32) -> NaiveDate {
    day.checked_add_days(Days::new(u64::from(keeps)))
        .unwrap_or(NaiveDate::MAX)
}
