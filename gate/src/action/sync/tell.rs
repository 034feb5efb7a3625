//! The words and the `result:` line of a sync.
//!
//! Invariant: a viewer reads these lines, so at most ten names stand in each.

use super::upload::Contents;
use super::work::Sync;
use crate::action::{Context, pruning};
use crate::mirror::change::Change;
use crate::policy::Mirror;
use archive::Named;
use base::error::{Failure, Interrupt};
use base::measure;
use base::result_line::{ResultLine, WarningCode};
use mirror::diff::Summary;
use mirror::heading::AsOf;
use mirror::scan::Notes;

/// The outcome of a night.
pub(super) struct NightEnd {
    pub(super) change: Change,
    /// The night that the mirror is complete as of.
    pub(super) as_of: AsOf,
    notes: Notes,
    total: u64,
    bundled: u64,
    left_out: Named,
    sent: u64,
    left: u64,
    /// Bytes of a first upload that are up, and all.
    pub(super) first: Option<(u64, u64)>,
    /// The reason why this night stopped pruning.
    pub(super) unusual: Option<String>,
}

impl NightEnd {
    pub(super) fn new(change: Change, as_of: AsOf, notes: Notes) -> Self {
        Self {
            change,
            as_of,
            notes,
            total: 0,
            bundled: 0,
            left_out: Named::default(),
            sent: 0,
            left: 0,
            first: None,
            unusual: None,
        }
    }

    /// True if anything changed: a quiet night need not look for versions that are too old.
    pub(super) fn is_news(&self) -> bool {
        self.change.added + self.change.replaced + self.change.deleted > 0
    }

    /// Counts the entries whose names the remote cannot hold.
    pub(super) fn bundle(&mut self, summary: &Summary) {
        self.total = summary.total;
        self.left_out.clone_from(&summary.left_out);
        self.bundled = summary.bundled.iter().map(|(_, named)| named.count).sum();
    }

    /// Tells these entries.
    pub(super) fn say_bundled(
        &self,
        context: &mut Context<'_>,
        mirror: &Mirror,
        summary: &Summary,
    ) {
        for (reason, named) in &summary.bundled {
            context.say(format!(
                "{} entries of {} travel in the bundle beside the mirror, because {reason}: {named}",
                named.count, mirror.source
            ));
        }
    }

    pub(super) fn uploaded(&mut self, upload: &Contents) {
        self.notes.add(&upload.notes);
        self.sent += upload.sent_bytes;
        self.left = upload.bytes.saturating_sub(upload.done_bytes);
        self.change.replaced = self.change.replaced.saturating_sub(upload.same);
    }

    /// Tells how far a sync came that was interrupted.
    pub(super) fn interrupted(
        &self,
        context: &mut Context<'_>,
        sync: &Sync<'_>,
        failure: Failure,
    ) -> Failure {
        if self.sent == 0 && self.first.is_none() {
            return failure;
        }
        let ended = match &failure {
            Failure::Interrupted {
                cause: Interrupt::DeadlinePassed,
                ..
            }
            | Failure::TimedOutWaiting { .. } => "the step's limit or --timeout ended it",
            Failure::Interrupted {
                cause: Interrupt::PeerGone,
                ..
            } => "the step's limit or its client ended it",
            Failure::Interrupted { .. } => "it was cancelled",
            _ => "it failed",
        };
        if sync.state.pending.is_some() {
            context.warn("all contents are up; the next sync finishes the transition");
            return failure;
        }
        let size = measure::size;
        match self.first {
            Some((done, all)) => {
                let percent = (u128::from(done) * 100 / u128::from(all.max(1))).min(99);
                let left = all.saturating_sub(done);
                // A night that sent nothing, or hardly anything, forecasts nothing.
                let nights = (self.sent > 0).then(|| left.div_ceil(self.sent));
                let forecast = nights
                    .filter(|nights| *nights <= 365)
                    .map_or_else(String::new, |nights| {
                        format!(", about {nights} nights left")
                    });
                context.warn(format!(
                    "first upload: {percent} % of {}{forecast}; complete as of: never; {ended}",
                    size(all)
                ));
            }
            None => context.warn(format!(
                "uploaded {} of {}; continues next time; {ended}",
                size(self.sent),
                size(self.sent + self.left)
            )),
        }
        context.say(
            self.line(sync.mirror.lock.subject(), sync.state.as_of.clone())
                .to_string(),
        );
        failure
    }

    fn line(&self, subject: &str, as_of: Option<String>) -> ResultLine {
        let percent = match self.first {
            Some((done, all)) => u128::from(done) * 100 / u128::from(all.max(1)),
            None => 100,
        };
        ResultLine::Mirror {
            subject: subject.to_owned(),
            files: self.change.left(),
            added: self.change.added,
            replaced: self.change.replaced,
            deleted: self.change.deleted,
            complete_as_of: as_of,
            bytes: self.total,
            uploaded_bytes: self.sent,
            left_bytes: self.left,
            percent: u8::try_from(percent.min(100)).unwrap_or(100),
            bundled: self.bundled,
        }
    }

    /// Tells the end of a sync.
    pub(super) fn finish(
        self,
        context: &mut Context<'_>,
        mirror: &Mirror,
    ) -> Result<String, Failure> {
        let subject = mirror.lock.subject();
        if !self.notes.skipped.is_empty() {
            context.warn(format!(
                "left out, because they are sockets or devices: {}",
                self.notes.skipped
            ));
        }
        if !self.notes.cut.is_empty() {
            context.warn(format!(
                "mirrored without all of their attributes, which are too many: {}",
                self.notes.cut
            ));
        }
        if !self.notes.mounted.is_empty() {
            let message = format!(
                "left out of the mirror, because something else is mounted there: {}; unmount it, or back it up on its own as an extra target",
                self.notes.mounted
            );
            context.alert(WarningCode::MountLeftOut, subject, &message);
        }
        if !self.notes.changed.is_empty() {
            context.warn(format!(
                "changed while they were read: {}",
                self.notes.changed
            ));
        }
        let as_of = self.as_of.to_string();
        context.say(self.line(subject, Some(as_of)).to_string());
        let Change {
            added,
            replaced,
            deleted,
            ..
        } = self.change;
        if !self.left_out.is_empty() {
            return Err(Failure::Verification(format!(
                "these entries are in no copy, because the remote cannot hold their names and the bundle would be too large: {}; rename them. All others are mirrored",
                self.left_out
            )));
        }
        if let Some(why) = self.unusual {
            return Err(pruning::unusual(&mirror.lock, &why));
        }
        Ok(format!(
            "{} is mirrored to {} ({added} added, {replaced} replaced, {deleted} deleted)",
            mirror.source, mirror.destination
        ))
    }
}
