//! Downloading an archive: lists the archives, and streams the bytes of one.
//!
//! Invariant: a file counts as complete only after rclone has reported success.

use std::fs::File;
use std::io::{self, Read, Write};
use std::time::Instant;

use super::Context;
use super::remote::{Access, Task};
use super::remote_folder::RemoteFolder;
use crate::policy::Wanted;
use crate::retention::{ArchiveName, horizon};
use base::error::Failure;
use base::names::Remote;
use base::progress::{Meter, Phase};
use base::reply::Stream;
use base::result_line::WarningCode;
use base::sort;
use host::program::Output;
use host::{Feed, Patience};

/// The most days that a message names.
const NAMED: usize = 30;

/// An archive on a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// The name, which contains the day.
    pub(super) name: ArchiveName,
    /// The folder on the remote.
    pub(super) folder: String,
    /// The size.
    pub(super) bytes: u64,
    /// The size of the manifest, if there is one beside the archive.
    pub(super) manifest: Option<u64>,
}

/// The archives of a service on one remote.
fn archives(
    context: &mut Context<'_>,
    wanted: &Wanted,
    remote: &Remote,
    patience: &Patience<'_>,
) -> Result<Vec<Stored>, Failure> {
    let folder = remote.join(&format!("{}/archives", wanted.service));
    let what = format!("listing the archives in {folder}");
    // Another remote may have the archive, so the gate does not wait for this one.
    let waits = wanted.remotes.len() == 1;
    let listed = RemoteFolder {
        what: &what,
        path: &folder,
        phase: Phase::Downloading,
        waits,
    };
    let Some(files) = listed.files(context, patience)? else {
        return Ok(Vec::new());
    };
    let size = |name: &str| {
        let file = files.iter().find(|(file, _)| file == name)?;
        Some(file.1)
    };
    Ok(files
        .iter()
        .filter_map(|file| ArchiveName::parse(&wanted.service, &file.0))
        .map(|name| Stored {
            bytes: size(&name.to_string()).unwrap_or(0),
            manifest: size(&name.manifest()),
            folder: folder.clone(),
            name,
        })
        .collect())
}

/// Finds the wanted archive: that of the requested day, or the newest up to tomorrow. If two remotes have it, the first
/// remote's one is returned.
pub(super) fn find(
    context: &mut Context<'_>,
    wanted: &Wanted,
    patience: &Patience<'_>,
) -> Result<Stored, Failure> {
    find_where(context, wanted, patience, |_| true)
}

/// Like [`find`], but only among the archives that `suits` accepts.
pub(super) fn find_where(
    context: &mut Context<'_>,
    wanted: &Wanted,
    patience: &Patience<'_>,
    suits: fn(&Stored) -> bool,
) -> Result<Stored, Failure> {
    let mut all: Vec<Stored> = Vec::new();
    let mut silent = None;
    for remote in &wanted.remotes {
        match archives(context, wanted, remote, patience) {
            Ok(found) => all.extend(found),
            Err(failure @ (Failure::Interrupted { .. } | Failure::TimedOutWaiting { .. })) => {
                return Err(failure);
            }
            Err(failure) => {
                if wanted.remotes.len() > 1 {
                    context.warn(failure.to_string());
                }
                silent = Some(failure);
            }
        }
    }
    let limit = horizon(context.host.today());
    if wanted.day.is_none() {
        tell_future(context, wanted, &all);
    }
    let fits = |stored: &&Stored| {
        let date = stored.name.date();
        suits(stored) && wanted.day.map_or(date <= limit, |day| date == day.get())
    };
    // `max_by_key` takes the last of equal elements.
    let best = all.iter().filter(fits).rev().max_by_key(|s| s.name.date());
    match (best, silent) {
        (Some(best), _) => Ok(best.clone()),
        (None, Some(failure)) => Err(failure),
        (None, None) => Err(Failure::NoArchive(absent(wanted, &all))),
    }
}

/// Warns of archives with a date in the future: a clock was wrong, or the remote is not trustworthy.
fn tell_future(context: &mut Context<'_>, wanted: &Wanted, all: &[Stored]) {
    let limit = horizon(context.host.today());
    let later: Vec<String> = all
        .iter()
        .filter(|stored| stored.name.date() > limit)
        .map(|stored| stored.name.to_string())
        .collect();
    if !later.is_empty() {
        let message = format!(
            "dated in the future, and so not taken for the newest: {}; name the day with --from to take it",
            later.join(", ")
        );
        let subject = wanted.service.as_str();
        context.alert(WarningCode::ArchiveInTheFuture, subject, &message);
    }
}

fn absent(wanted: &Wanted, all: &[Stored]) -> String {
    let service = &wanted.service;
    let mut days: Vec<String> = all
        .iter()
        .map(|stored| stored.name.date().format("%Y-%m-%d").to_string())
        .collect();
    sort::sort_by(&mut days, |a, b| b.cmp(a));
    days.dedup();
    let of = wanted.day.map(|day| format!(" of {day}"));
    let of = of.unwrap_or_default();
    if days.is_empty() {
        let places: Vec<String> = wanted.remotes.iter().map(ToString::to_string).collect();
        return format!(
            "there is no archive of {service}{of}, and none of any other day, in {}",
            places.join(", ")
        );
    }
    let more = days.len().saturating_sub(NAMED);
    days.truncate(NAMED);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} older ones"),
    };
    format!(
        "there is no archive of {service}{of}; there are those of {}{more}",
        days.join(", ")
    )
}

/// A download in progress: counts the bytes, and reports the progress once a second.
pub(super) struct Arriving<'f> {
    feed: &'f mut dyn Feed,
    bytes: u64,
    meter: Meter,
}

impl Read for Arriving<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.feed.read(buffer)?;
        self.bytes += read as u64;
        if let Some(progress) = self.meter.tick(Instant::now(), self.bytes, 0) {
            self.feed.say(Stream::Out, &progress.to_string());
        }
        Ok(read)
    }
}

/// Reads a file of the remote while it is downloaded.
pub(super) fn read(
    context: &mut Context<'_>,
    (what, file, bytes): (&str, &str, u64),
    patience: &Patience<'_>,
    reader: &mut dyn FnMut(Arriving<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let task = Task {
        what,
        argv: rclone::cat(context.config, file, 0),
        call: None,
        remote: file,
        access: Access::Remote,
        output: Output::Silent,
        phase: Phase::Downloading,
    };
    let config = context.config;
    let argv = |from| rclone::cat(config, file, from);
    context.rclone_read(&task, &argv, patience, &mut |feed| {
        let meter = Meter::new(Phase::Downloading, Some(bytes), None, Instant::now());
        reader(Arriving {
            feed,
            bytes: 0,
            meter,
        })
    })
}

/// Downloads the manifest of an archive into a file. `room` checks that a number of bytes fits.
pub(super) fn manifest(
    context: &mut Context<'_>,
    stored: &Stored,
    into: &File,
    patience: &Patience<'_>,
    room: &dyn Fn(u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let name = format!("{}/{}", stored.folder, stored.name.manifest());
    let bytes = stored.manifest.unwrap_or(0);
    file(context, (&name, bytes), into, patience, room)
}

/// Downloads a file of the remote, of a known size, into a local file. `room` checks that a number of bytes fits.
pub(super) fn file(
    context: &mut Context<'_>,
    (name, bytes): (&str, u64),
    into: &File,
    patience: &Patience<'_>,
    room: &dyn Fn(u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    room(bytes)?;
    let what = format!("fetching {name}");
    read(context, (&what, name, bytes), patience, &mut |coming| {
        // One byte too many is enough to detect a wrong size.
        let mut out = into;
        let copied = io::copy(&mut coming.take(bytes + 1), &mut out)
            .and_then(|copied| out.flush().map(|()| copied))
            .map_err(Failure::io(what.clone()))?;
        if copied == bytes {
            return Ok(());
        }
        Err(Failure::Verification(format!(
            "{name} came with {copied} bytes instead of {bytes}"
        )))
    })
}
