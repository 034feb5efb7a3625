//! A download of many files, of which some may fail.
//!
//! Invariant: files that failed again and again end the download only when none came at all, and their folder is
//! there.

use std::collections::BTreeSet;

use super::Context;
use super::remote::Task;
use super::waiting::Pauses;
use base::error::Failure;
use host::Patience;
use rclone::Listener;
use rclone::credentials::backends::kinds;
use rclone::credentials::configured;
use rclone::credentials::ini::Ini;

/// Files are given up after this number of further failures in the same way.
const REPEATED: u32 = 2;

/// The end of a download that brought only some of the files.
pub(super) struct Partial {
    /// The names of the files that failed.
    pub(super) heard: Listener,
    /// The reason of the last failure.
    pub(super) failure: Failure,
}

/// The argument vector of a download from this folder, with the limit of requests that fits its remote.
pub(super) fn paced(
    context: &Context<'_>,
    folder: &str,
    argv: Vec<String>,
) -> Result<Vec<String>, Failure> {
    let text = configured(context.config)?;
    let name = folder.split(':').next().unwrap_or_default();
    let redirects = kinds(&Ini::parse(&text), name)
        .iter()
        .any(|kind| kind == "onedrive");
    Ok(match redirects {
        true => rclone::with_redirects(context.config, argv),
        false => argv,
    })
}

/// Downloads files; `totals` are their bytes and their number, if both are known. Returns the failure if only some of them
/// came, and `None` if all did.
pub(super) fn download(
    context: &mut Context<'_>,
    task: &Task<'_>,
    totals: Option<(u64, u64)>,
    patience: &Patience<'_>,
) -> Result<Option<Partial>, Failure> {
    let mut pauses = Pauses::new();
    let (mut last, mut repeated) = (BTreeSet::new(), 0);
    let mut any = false;
    loop {
        let heard = Listener::new(task.phase);
        let mut heard = match totals {
            Some((bytes, files)) => heard.of(bytes, files),
            None => heard,
        };
        let ended = context.rclone_attempt(task, &mut heard, patience)?;
        any |= heard.stats().transfers > 0;
        let failed = heard.failed().0.clone();
        // The same files failed again: the files are the cause, not the remote.
        repeated = match !failed.is_empty() && failed == last {
            true => repeated + 1,
            false => 0,
        };
        last = failed;
        if repeated < REPEATED
            && context.waits_after(task, &ended, &heard, &mut pauses, patience)?
        {
            continue;
        }
        return match context.judge(task, &ended, &heard) {
            Ok(()) => Ok(None),
            // A folder that does not exist has no files.
            Err(failure) if rclone::folder_missing(&ended) => Ok(Some(Partial { heard, failure })),
            Err(failure) if any && heard.failed().1 > 0 => Ok(Some(Partial { heard, failure })),
            Err(failure) => Err(failure),
        };
    }
}
