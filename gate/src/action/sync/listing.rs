//! The listing of all files of a mirror, in the order of all lists.
//!
//! Invariant: memory holds one piece of the listing, for any number of files.

use super::work::Sync;
use crate::action::Context;
use crate::action::listing::{PrintedFile, list};
use crate::action::remote::Task;
use archive::entry::Moment;
use archive::manifest::RemoteHash;
use base::error::Failure;
use base::progress::Phase;
use mirror::sort::{Sorted, Sorter};
use mirror::survey::Listed;

impl Sync<'_> {
    /// All files below the data, sorted. `None` where there is no such folder.
    pub(super) fn all_files(&self, context: &mut Context<'_>) -> Result<Option<Sorted>, Failure> {
        let what = format!("listing {}", self.places.data);
        let argv = rclone::all_files(context.config, &self.places.data, self.rules.onedrive);
        let task = Task {
            phase: Phase::Comparing,
            ..self.task(&what, argv, None)
        };
        let sorter = list(
            context,
            &task,
            &self.patience(),
            &mut || {
                let mut pieces = 0_u32;
                Ok(Sorter::new(move || {
                    pieces += 1;
                    let name = format!("piece-{pieces}");
                    let file = self.own.create(&name)?;
                    self.own.remove(&name);
                    Ok(file)
                }))
            },
            &mut |sorter, file| match listed(file) {
                Some(file) => sorter.push(file),
                None => Ok(()),
            },
        )?;
        sorter.map(Sorter::finish).transpose()
    }
}

/// A file of the listing of a mirror.
fn listed(file: PrintedFile) -> Option<Listed> {
    let size = file.size()?;
    let moment = |text: String| {
        let time = chrono::DateTime::parse_from_rfc3339(&text).ok()?;
        Some(Moment {
            seconds: time.timestamp(),
            nanoseconds: time.timestamp_subsec_nanos(),
        })
    };
    let hash = ["quickxor", "sha1", "sha256", "md5"]
        .iter()
        .find_map(|kind| {
            let value = file.hashes.get(*kind).filter(|value| !value.is_empty())?;
            Some(RemoteHash {
                kind: (*kind).to_owned(),
                value: value.to_ascii_lowercase(),
            })
        });
    Some(Listed::new(
        rclone::name::raw(&file.path).as_bytes(),
        size,
        file.mod_time.and_then(moment),
        hash,
    ))
}
