//! The remote's half of an archive: upload, compare, and move into place. `prune` comes after that.
//!
//! Invariant: after a failure at any moment, the archives that were on the remote before are still there, and every
//! file with an archive's name was compared with the packed data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Context;
use super::proof::prove;
use super::remote::{Access, Task};
use super::remote_folder::RemoteFolder;
use super::spool::Spool;
use crate::policy::Archive;
use crate::retention::{ArchiveName, PREVIOUS};
use crate::shelf::{self, Step};
use base::error::Failure;
use base::progress::Phase;
use base::result_line::Checked;
use base::sort;
use host::Patience;
use host::program::Output;
use rclone::call;
use rclone::passing;
use rclone::place::Place;

/// The time limit for cleaning up the folder after a failed action: three requests to OneDrive, each with a token.
const CLEANUP: Duration = Duration::from_secs(20);

/// The time limit for cleaning up after an action failed because the remote does not answer.
const CLEANUP_IN_AN_OUTAGE: Duration = Duration::from_secs(5);

pub(super) fn task<'a>(what: &'a str, order: &'a Archive, argv: Vec<String>) -> Task<'a> {
    Task {
        what,
        argv,
        call: None,
        remote: &order.folder,
        access: Access::Remote,
        output: Output::Relayed,
        phase: Phase::Uploading,
    }
}

/// The names of the files in the service's folder of archives.
fn list(
    context: &mut Context<'_>,
    order: &Archive,
    patience: &Patience<'_>,
) -> Result<BTreeSet<String>, Failure> {
    let files = archive_files(context, &order.folder, patience)?;
    Ok(sort::set(files.into_keys()))
}

/// The files in a folder of the service's archives, with their sizes.
pub(super) fn archive_files(
    context: &mut Context<'_>,
    folder: &str,
    patience: &Patience<'_>,
) -> Result<BTreeMap<String, u64>, Failure> {
    let folder = RemoteFolder {
        what: "listing the archives",
        path: folder,
        phase: Phase::Uploading,
        waits: true,
    };
    let files = folder.files(context, patience)?;
    Ok(sort::map(files.unwrap_or_default().into_iter()))
}

/// Carries out steps in the folder of archives.
pub(super) fn carry_out(
    context: &mut Context<'_>,
    order: &Archive,
    steps: &[Step],
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    let config = context.config;
    let place = |name: &str| format!("{}/{name}", order.folder);
    let folder = Place::of(config, &order.folder);
    for step in steps {
        let what = step.to_string();
        context.say(&what);
        let (argv, call) = match step {
            Step::Move { from, to } => (
                rclone::rename(config, &place(from), &place(to)),
                call::rename(config, (&folder, from), (&folder, to)),
            ),
            Step::Remove(name) => (
                rclone::delete(config, &place(name)),
                call::delete(config, &folder, name),
            ),
        };
        let change = Task {
            call: Some(call),
            ..task(&what, order, argv)
        };
        change_or_look(context, &change, patience, &mut |context| {
            let files = list(context, order, patience)?;
            Ok(match step {
                Step::Move { from, to } => files.contains(to) && !files.contains(from),
                Step::Remove(name) => !files.contains(name),
            })
        })?;
    }
    Ok(())
}

/// Makes a change on the remote. If rclone failed, the change may have been made with only the answer lost; then a
/// retry finds no change to make. `is_made` checks that.
pub(super) fn change_or_look(
    context: &mut Context<'_>,
    change: &Task<'_>,
    patience: &Patience<'_>,
    is_made: &mut dyn FnMut(&mut Context<'_>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    match context.rclone_patient_must(change, patience) {
        Ok(_) => Ok(()),
        Err(failure @ (Failure::Tool { .. } | Failure::Remote { .. })) => {
            // The first failure has the reason; a failure of the check adds none.
            if is_made(context).unwrap_or(false) {
                let what = change.what;
                context.warn(format!(
                    "{what}: it was done, although rclone failed: {failure}"
                ));
                return Ok(());
            }
            Err(failure)
        }
        Err(failure) => Err(failure),
    }
}

/// One archive on its way to the remote.
pub(super) struct Upload<'a> {
    order: &'a Archive,
    name: &'a ArchiveName,
    spool: &'a Spool,
}

impl<'a> Upload<'a> {
    /// Prepares the upload, and sends no data yet.
    pub(super) fn new(order: &'a Archive, name: &'a ArchiveName, spool: &'a Spool) -> Self {
        Self { order, name, spool }
    }

    /// Uploads archive and manifest, and moves them into place once they are proven to have arrived unchanged.
    pub(super) fn store(
        &self,
        context: &mut Context<'_>,
        patience: &Patience<'_>,
    ) -> Result<Checked, Failure> {
        let stored = self.send(context, patience).and_then(|checked| {
            self.place(context, patience)?;
            Ok(checked)
        });
        match &stored {
            Ok(_) => {}
            // The same data packed again is the same archive: the next try of today need not send it again.
            Err(Failure::Interrupted { .. }) => self.withdraw(context, true, CLEANUP),
            Err(Failure::TimedOutWaiting { .. }) => {
                self.withdraw(context, true, CLEANUP_IN_AN_OUTAGE);
            }
            Err(failure) if passing(failure).is_some() => {
                self.withdraw(context, true, CLEANUP_IN_AN_OUTAGE);
            }
            Err(_) => self.withdraw(context, false, CLEANUP),
        }
        stored
    }

    fn send(&self, context: &mut Context<'_>, patience: &Patience<'_>) -> Result<Checked, Failure> {
        let config = context.config;
        let folder = &self.order.folder;
        let Spool {
            path,
            archive,
            manifest,
            ..
        } = self.spool;
        // The leftovers of an earlier upload may be the only archive of today.
        let files = list(context, self.order, patience)?;
        let mending = shelf::mend_around(self.name, &self.order.service, &files);
        carry_out(context, self.order, &mending, patience)?;
        for (what, file) in [
            ("uploading the archive", archive),
            ("uploading its manifest", manifest),
        ] {
            let (from, to) = (format!("{path}/{file}"), format!("{folder}/{file}"));
            let local = path.to_string();
            let send = Task {
                call: Some(call::upload(&local, file, &Place::of(config, folder))),
                access: Access::Reads(path),
                ..task(what, self.order, rclone::upload(config, &from, &to))
            };
            context.rclone_patient_must(&send, patience)?;
        }
        prove(context, folder, self.spool, patience)
    }

    /// Moves the upload into place. An archive of the same day stays until its successor is in place; see `shelf`.
    fn place(&self, context: &mut Context<'_>, patience: &Patience<'_>) -> Result<(), Failure> {
        let files = list(context, self.order, patience)?;
        let steps = shelf::replace(self.name, &files);
        carry_out(context, self.order, &steps, patience)?;
        let files = list(context, self.order, patience)?;
        for name in [self.name.to_string(), self.name.manifest()] {
            if !files.contains(&name) {
                return Err(Failure::Verification(format!(
                    "{}/{name} is not there after it was moved into place",
                    self.order.folder
                )));
            }
        }
        Ok(())
    }

    /// Cleans up the folder, if the remote answers soon. Lists it first: a step that was interrupted may have been done
    /// all the same.
    fn withdraw(&self, context: &mut Context<'_>, keeps_upload: bool, time: Duration) {
        let order = self.order;
        let until = context.host.now() + time;
        let patience = Patience::unattended(until);
        let mended = list(context, order, &patience).and_then(|files| {
            let steps = match keeps_upload {
                true => shelf::mend_around(self.name, &order.service, &files),
                false => shelf::mend(&order.service, &files),
            };
            carry_out(context, order, &steps, &patience)
        });
        if let Err(failure) = mended {
            context.warn(format!(
                "what this upload left in {} could not be put in order ({failure}); the next archive of {} does that first. An archive of today that was there before may bear the name {}{PREVIOUS} until then",
                order.folder, order.service, self.name
            ));
        }
    }
}
