//! Retention on the remote: find the verified archives, and put the expired ones aside.
//!
//! An expired archive goes to `.pruned/DATE`, and is deleted after `retention.pruned_days`: neither a thief of the key
//! nor a mistake in a number deletes an archive at once.
//!
//! Invariant: the new archive is in place by now, so a failure here is reported and does not undo that; an archive
//! counts as verified only if its manifest names its size.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Context;
use super::fetch;
use super::pruning;
use super::remote::{Access, Task};
use super::remote_folder::RemoteFolder;
use super::upload::{archive_files, carry_out, change_or_look, task};
use crate::policy::Archive;
use crate::retention::{ArchiveName, Candidate, expired, give_up, horizon};
use crate::shelf;
use archive::manifest::{Reader, Totals};
use base::durable;
use base::error::Failure;
use base::lock_name::LockName;
use base::measure;
use base::progress::Phase;
use base::result_line::WarningCode;
use base::sort;
use host::Patience;
use host::program::Output;
use rclone::call;
use rclone::place::Place;

/// The size limit of a record; that of a service with ten thousand archives is shorter.
const MAX_RECORD: u64 = 4 << 20;

/// An archive with less bytes can shrink by half for no reason.
const FEW_BYTES: u64 = 1 << 20;

/// The sizes of an archive and of its manifest when the manifest was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Sizes {
    archive: u64,
    manifest: u64,
    /// The service was down while the archive was packed.
    #[serde(default)]
    down: bool,
}

impl Sizes {
    fn fit(&self, other: &Self) -> bool {
        (self.archive, self.manifest) == (other.archive, other.manifest)
    }
}

/// The archive that was just put in its place.
pub(super) struct New<'a> {
    /// The name.
    pub(super) name: &'a ArchiveName,
    /// The totals.
    pub(super) totals: &'a Totals,
    /// The service was down while the archive was packed.
    pub(super) down: bool,
}

/// The verified archives of one service, by place and name.
type VerifiedArchives = BTreeMap<String, Sizes>;

/// Puts aside the archives that retention expires. Removes leftovers of earlier uploads, and archives put aside long
/// ago. Returns the number of archives put aside.
pub(super) fn prune(
    context: &mut Context<'_>,
    order: &Archive,
    new: &New<'_>,
    patience: &Patience<'_>,
) -> Result<usize, Failure> {
    let stored = archive_files(context, &order.folder, patience)?;
    let files = sort::set(stored.keys().cloned());
    let archives = shelf::archives(&order.service, &files);
    tell_future(context, order, new.name, &archives);
    let known = load(context, order);
    let mut record = known.clone();
    let here = format!("{}/", order.folder);
    // A different file under a verified name is not verified.
    record.retain(|place, sizes| {
        let name = place.strip_prefix(&here);
        let name = name.and_then(|name| ArchiveName::parse(&order.service, name));
        !place.starts_with(&here)
            || name.is_some_and(|name| listed(&stored, &name).is_some_and(|now| now.fit(sizes)))
    });
    let sizes = listed(&stored, new.name);
    if let Some(sizes) = sizes.filter(|sizes| sizes.archive == new.totals.archive_bytes) {
        let down = new.down;
        record.insert(format!("{here}{}", new.name), Sizes { down, ..sizes });
    }
    let steps = shelf::mend(&order.service, &files);
    carry_out(context, order, &steps, patience)?;
    let shrunk = pause_if_shrunk(context, order, &known, new)?;
    let lock = LockName::service(&order.service);
    if !pruning::is_allowed(context, &lock)? {
        save(context, order, &known, &record);
        return match shrunk {
            Some(why) => Err(pruning::unusual(&lock, &why)),
            None => Ok(0),
        };
    }
    let today = new.name.date();
    let gone = |candidates: &[Candidate]| {
        give_up(candidates, today, order.keep_weekly, order.keep_monthly)
    };
    let all: Vec<Candidate> = archives.iter().map(|name| candidate(name, true)).collect();
    // If retention expires none of all archives, it expires none of the verified ones either.
    let old = if gone(&all).is_empty() {
        Vec::new()
    } else {
        gone(&verified(
            context,
            order,
            &archives,
            &stored,
            &mut record,
            patience,
        )?)
    };
    save(context, order, &known, &record);
    for name in &old {
        put_aside(context, order, name, today, &files, patience)?;
    }
    remove_expired(context, order, today, patience)?;
    Ok(old.len())
}

/// Stops pruning when the new archive is much smaller than the newest one before, and returns the reason.
fn pause_if_shrunk(
    context: &Context<'_>,
    order: &Archive,
    known: &VerifiedArchives,
    new: &New<'_>,
) -> Result<Option<String>, Failure> {
    let here = format!("{}/", order.folder);
    let before = known.iter().filter_map(|(place, sizes)| {
        let name = ArchiveName::parse(&order.service, place.strip_prefix(&here)?)?;
        (name.date() <= new.name.date()).then_some((name, sizes.archive))
    });
    let Some((last, bytes)) = before.max_by_key(|(name, _)| name.date()) else {
        return Ok(None);
    };
    if bytes < FEW_BYTES || new.totals.archive_bytes > bytes / 2 {
        return Ok(None);
    }
    let why = format!(
        "{} has {} and {last} before it has {}",
        new.name,
        measure::size(new.totals.archive_bytes),
        measure::size(bytes)
    );
    let lock = LockName::service(&order.service);
    pruning::pause(context, &lock, &order.folder, why.clone())?;
    Ok(Some(why))
}

/// Returns true if the archive of this name on the remote was made while its service was down.
pub(super) fn made_down(
    context: &mut Context<'_>,
    order: &Archive,
    name: &ArchiveName,
    patience: &Patience<'_>,
) -> Result<bool, Failure> {
    let record = load(context, order);
    let sizes = record.get(&format!("{}/{name}", order.folder));
    let Some(sizes) = sizes.filter(|sizes| sizes.down) else {
        return Ok(false);
    };
    let stored = archive_files(context, &order.folder, patience)?;
    Ok(listed(&stored, name).is_some_and(|now| now.fit(sizes)))
}

/// The listed sizes of an archive and its manifest on the remote.
fn listed(stored: &BTreeMap<String, u64>, name: &ArchiveName) -> Option<Sizes> {
    Some(Sizes {
        archive: *stored.get(&name.to_string())?,
        manifest: *stored.get(&name.manifest())?,
        down: false,
    })
}

fn candidate(name: &ArchiveName, verified: bool) -> Candidate {
    Candidate {
        name: name.clone(),
        verified,
    }
}

fn tell_future(
    context: &mut Context<'_>,
    order: &Archive,
    name: &ArchiveName,
    archives: &[ArchiveName],
) {
    let limit = horizon(name.date());
    let later: Vec<String> = archives
        .iter()
        .filter(|archive| archive.date() > limit)
        .map(ToString::to_string)
        .collect();
    if !later.is_empty() {
        context.alert(
            WarningCode::ArchiveInTheFuture,
            order.service.as_str(),
            &format!(
                "dated in the future, so they are never taken for the newest and take no place of others: {}; look at the clock of this host, and remove them if they are not yours",
                later.join(", ")
            ),
        );
    }
}

/// Finds out which archives are verified, and adds new ones to the record.
fn verified(
    context: &mut Context<'_>,
    order: &Archive,
    archives: &[ArchiveName],
    stored: &BTreeMap<String, u64>,
    record: &mut VerifiedArchives,
    patience: &Patience<'_>,
) -> Result<Vec<Candidate>, Failure> {
    let (mut candidates, mut doubtful) = (Vec::new(), Vec::new());
    for name in archives {
        let place = format!("{}/{name}", order.folder);
        let good = match listed(stored, name) {
            None | Some(Sizes { archive: 0, .. }) => false,
            Some(_) if record.contains_key(&place) => true,
            Some(sizes) => {
                let good = names_its_size(context, order, name, sizes, patience)?;
                if good {
                    record.insert(place, sizes);
                }
                good
            }
        };
        if !good {
            doubtful.push(name.to_string());
        }
        candidates.push(candidate(name, good));
    }
    if !doubtful.is_empty() {
        context.alert(
            WarningCode::ArchiveUnverified,
            order.service.as_str(),
            &format!(
                "without a manifest that names their size, so they take no place of others: {}",
                doubtful.join(", ")
            ),
        );
    }
    Ok(candidates)
}

/// Returns true if a manifest on the remote names the size of its archive; false if it cannot be read now.
fn names_its_size(
    context: &mut Context<'_>,
    order: &Archive,
    name: &ArchiveName,
    sizes: Sizes,
    patience: &Patience<'_>,
) -> Result<bool, Failure> {
    let file = format!("{}/{}", order.folder, name.manifest());
    let what = format!("reading {file}");
    let mut good = false;
    let read = fetch::read(
        context,
        (&what, &file, sizes.manifest),
        patience,
        &mut |coming| {
            let mut manifest = Reader::new(coming)?;
            while manifest.record()?.is_some() {}
            let size = manifest.totals().map(|totals| totals.archive_bytes);
            good = manifest.archive() == name.to_string() && size == Some(sizes.archive);
            Ok(())
        },
    );
    match read {
        Ok(()) => Ok(good),
        Err(failure @ (Failure::Interrupted { .. } | Failure::TimedOutWaiting { .. })) => {
            Err(failure)
        }
        Err(failure) => {
            context.warn(failure.to_string());
            Ok(false)
        }
    }
}

fn file(order: &Archive) -> String {
    format!("{}.json", order.service)
}

/// The record of earlier archives; empty if it cannot be read, and then all manifests are read again.
fn load(context: &Context<'_>, order: &Archive) -> VerifiedArchives {
    let folder = context.config.state_dir.below(&["verified"]);
    context
        .own_directory(&folder)
        .ok()
        .and_then(|folder| {
            durable::read(folder, &file(order), MAX_RECORD)
                .ok()
                .flatten()
        })
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// Writes the record, if it has changed.
fn save(
    context: &mut Context<'_>,
    order: &Archive,
    known: &VerifiedArchives,
    record: &VerifiedArchives,
) {
    if record == known {
        return;
    }
    let folder = context.config.state_dir.below(&["verified"]);
    let bytes = serde_json::to_vec(record).unwrap_or_default();
    let written = context.own_directory(&folder).and_then(|folder| {
        durable::replace(folder, &file(order), &bytes)
            .map_err(Failure::io("the record of verified archives"))
    });
    if let Err(failure) = written {
        context.warn(format!(
            "{failure}; the next archive reads the manifests again"
        ));
    }
}

/// Moves an archive aside, its manifest first. An interruption in between leaves an archive without a manifest, which
/// the next prune moves.
fn put_aside(
    context: &mut Context<'_>,
    order: &Archive,
    name: &ArchiveName,
    today: NaiveDate,
    files: &BTreeSet<String>,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let config = context.config;
    let aside = format!("{}/{today}", order.pruned);
    let [here, there] = [&order.folder, &aside].map(|folder| Place::of(config, folder));
    for file in [name.manifest(), name.to_string()] {
        if !files.contains(&file) {
            continue;
        }
        let what = format!("putting {file} aside in .pruned/{today}");
        context.say(&what);
        let [from, to] = [&order.folder, &aside].map(|folder| format!("{folder}/{file}"));
        let change = Task {
            call: Some(call::rename(config, (&here, &file), (&there, &file))),
            ..task(&what, order, rclone::rename(config, &from, &to))
        };
        change_or_look(context, &change, patience, &mut |context| {
            let gone = !archive_files(context, &order.folder, patience)?.contains_key(&file);
            Ok(gone && archive_files(context, &aside, patience)?.contains_key(&file))
        })?;
    }
    Ok(())
}

/// Removes the expired days of `.pruned`.
fn remove_expired(
    context: &mut Context<'_>,
    order: &Archive,
    today: NaiveDate,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let pruned = RemoteFolder {
        what: "listing the archives put aside",
        path: &order.pruned,
        phase: Phase::Comparing,
        waits: true,
    };
    let days = pruned.days(context, patience)?;
    for day in expired(&days, today, context.config.retention.pruned_days) {
        context.say(format!("removing the archives put aside on {day}"));
        let folder = format!("{}/{day}", order.pruned);
        let place = Place::of(context.config, &folder);
        let purge = Task {
            what: "removing archives put aside",
            argv: rclone::purge(context.config, &folder),
            call: Some(call::purge(context.config, &place)),
            remote: &order.pruned,
            access: Access::Remote,
            output: Output::Relayed,
            phase: Phase::Comparing,
        };
        change_or_look(context, &purge, patience, &mut |context| {
            Ok(!pruned.days(context, patience)?.contains(&day))
        })?;
    }
    Ok(())
}
