//! The remote's half of an archive: upload, compare, move into place, and only then prune.
//!
//! Invariant: at any moment of failure the archives that were on the remote before are still there, and what
//! bears an archive's name was compared with what was packed.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use super::Context;
use super::remote::{Access, Task};
use crate::error::Failure;
use crate::host::Patience;
use crate::names::PlainPath;
use crate::policy::Archive;
use crate::program::Output;
use crate::progress::Phase;
use crate::rclone;
use crate::retention::{ArchiveName, PARTIAL, PREVIOUS, give_up};

/// How long removing a half-done upload may take once the action has failed.
const CLEANUP: Duration = Duration::from_secs(5);

fn task<'a>(what: &'a str, order: &'a Archive, argv: Vec<String>) -> Task<'a> {
    Task {
        what,
        argv,
        remote: &order.folder,
        access: Access::Remote,
        output: Output::Relayed,
        phase: Phase::Uploading,
    }
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Name")]
    name: String,
}

/// The names of the files in the service's folder of archives.
fn list(
    context: &mut Context<'_>,
    order: &Archive,
    patience: &Patience<'_>,
) -> Result<BTreeSet<String>, Failure> {
    let what = "listing the archives";
    let argv = rclone::list(context.config, &order.folder);
    let listing = Task {
        output: Output::Captured,
        ..task(what, order, argv)
    };
    let ran = context.rclone(&listing, patience)?;
    if rclone::folder_missing(&ran.ended) {
        return Ok(BTreeSet::new());
    }
    context.judge(&listing, &ran.ended, &ran.heard)?;
    let files: Vec<Listed> = serde_json::from_slice(&ran.ended.stdout).map_err(|error| {
        Failure::Verification(format!("rclone's list of the archives: {error}"))
    })?;
    Ok(files.into_iter().map(|file| file.name).collect())
}

/// One archive on its way to the remote.
pub(super) struct Upload<'a> {
    order: &'a Archive,
    name: &'a ArchiveName,
    partial: String,
}

impl<'a> Upload<'a> {
    /// Nothing is sent yet.
    pub(super) fn new(order: &'a Archive, name: &'a ArchiveName) -> Self {
        Self {
            order,
            name,
            partial: format!("{}/{name}{PARTIAL}", order.folder),
        }
    }

    /// Sends the file, and puts it in place once it has arrived as it was sent.
    pub(super) fn store(
        &self,
        context: &mut Context<'_>,
        folder_here: &PlainPath,
        file_here: &str,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        let config = context.config;
        let folder = &self.order.folder;
        let file = format!("{folder_here}/{file_here}");
        let send = rclone::upload(config, &file, &self.partial);
        let send = Task {
            access: Access::Reads(folder_here),
            ..task("uploading the archive", self.order, send)
        };
        context.rclone_must(&send, patience)?;
        let what = "comparing the upload with the spool";
        let compare = rclone::compare(config, &folder_here.to_string(), folder);
        let compare = Task {
            access: Access::Reads(folder_here),
            phase: Phase::Checking,
            ..task(what, self.order, compare)
        };
        let compared = context.rclone(&compare, patience)?;
        if !compared.ended.ok() {
            return Err(Failure::Verification(format!(
                "{what}: {}",
                compared.ended.describe()
            )));
        }
        let place = format!("{folder}/{}", self.name);
        let previous = format!("{place}{PREVIOUS}");
        // An archive of the same day stays until its successor is in place.
        let replaces = list(context, self.order, patience)?.contains(&self.name.to_string());
        let into_place = rclone::rename(config, &self.partial, &place);
        let aside = rclone::rename(config, &place, &previous);
        let moved = if replaces {
            let what = "moving today's former archive aside";
            context
                .rclone_must(&task(what, self.order, aside), patience)
                .map(drop)
        } else {
            Ok(())
        }
        .and_then(|()| {
            let what = "moving the archive into place";
            context
                .rclone_must(&task(what, self.order, into_place), patience)
                .map(drop)
        });
        if let Err(failure) = moved {
            if replaces {
                // Also when the first of the two was interrupted: it may have happened all the same.
                let until = context.host.now() + CLEANUP;
                let back = rclone::rename(config, &previous, &place);
                let back = task("moving it back", self.order, back);
                let _ = context.rclone_must(&back, &Patience::unattended(until));
            }
            return Err(failure);
        }
        if !list(context, self.order, patience)?.contains(&self.name.to_string()) {
            return Err(Failure::Verification(format!(
                "{place} is not there after it was moved into place"
            )));
        }
        Ok(())
    }

    /// Removes the half-done upload, if the remote answers soon.
    pub(super) fn withdraw(&self, context: &mut Context<'_>) {
        let until = context.host.now() + CLEANUP;
        let argv = rclone::delete(context.config, &self.partial);
        let what = "removing the unfinished upload";
        let removed = context.rclone(&task(what, self.order, argv), &Patience::unattended(until));
        if !removed.is_ok_and(|ran| ran.ended.ok()) {
            context.warn(format!(
                "{} may be left on the remote; the next archive removes it",
                self.partial
            ));
        }
    }
}

/// Removes the archives that retention gives up, and what earlier uploads left behind. The new archive is in
/// place by now, so a failure here is told and changes nothing about it.
pub(super) fn prune(
    context: &mut Context<'_>,
    order: &Archive,
    name: &ArchiveName,
    patience: &Patience<'_>,
) -> Result<usize, Failure> {
    let files = list(context, order, patience)?;
    let archives: Vec<ArchiveName> = files
        .iter()
        .filter_map(|file| ArchiveName::parse(&order.service, file))
        .collect();
    let old = give_up(
        &archives,
        name.date(),
        order.keep_weekly,
        order.keep_monthly,
    );
    let remains = files.iter().filter(|file| {
        let stem = file
            .strip_suffix(PARTIAL)
            .or_else(|| file.strip_suffix(PREVIOUS));
        let archive = stem.and_then(|stem| ArchiveName::parse(&order.service, stem));
        // What was moved aside goes only when its successor is there.
        archive.is_some_and(|archive| file.ends_with(PARTIAL) || archives.contains(&archive))
    });
    let gone: Vec<String> = old
        .iter()
        .map(ToString::to_string)
        .chain(remains.cloned())
        .collect();
    for file in &gone {
        context.say(format!("removing {file}"));
        let argv = rclone::delete(context.config, &format!("{}/{file}", order.folder));
        context.rclone_must(&task("removing an old archive", order, argv), patience)?;
    }
    Ok(old.len())
}
