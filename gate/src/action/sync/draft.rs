//! The draft of a night: the changes since the last manifest, and copies of the changed contents.
//!
//! A draft needs nothing of the remote. So a sync that keeps its service down makes the draft first, against the manifest
//! that this host knows, and starts the service before the first request.
//!
//! Invariant: a draft counts only if the proof then finds the mirror as this board left it. Otherwise it is dropped, and
//! the data is brought to rest once more where that is possible.

use super::tell::NightEnd;
use super::upload::Contents;
use super::work::Sync;
use crate::action::Context;
use crate::action::capture::Capture;
use crate::mirror::change::Change;
use crate::walk::Compared;
use base::error::Failure;
use host::Patience;
use mirror::diff::Summary;
use mirror::heading::AsOf;
use mirror::portion::Form;

/// The number of a manifest, and the file with its entries.
type Base = (Option<String>, Option<String>);

/// The changes of one night.
pub(super) struct Draft {
    pub(super) summary: Summary,
    pub(super) change: Change,
    /// The time of the comparison.
    pub(super) as_of: AsOf,
    pub(super) told: NightEnd,
    pub(super) upload: Contents,
    /// The number of the manifest that the tree was compared with.
    pub(super) number: Option<String>,
}

impl Sync<'_> {
    /// Compares the tree with a manifest.
    pub(super) fn draft(
        &mut self,
        context: &mut Context<'_>,
        (number, before): Base,
    ) -> Result<Draft, Failure> {
        let as_of = AsOf::of(base::clock::utc());
        let Compared { mut summary, notes } = self.compare(context, before)?;
        let mut change = count(&summary);
        if change.replaced > 0 && summary.doubtful > 0 && self.would_refuse(&change)? {
            // Files of the same size may be the same: their digests tell.
            let same = self.look_closer(context, summary.bytes)?;
            summary.replaced = summary.replaced.saturating_sub(same.0);
            summary.files = summary.files.saturating_sub(same.0);
            summary.bytes = summary.bytes.saturating_sub(same.1);
            change.replaced = summary.replaced;
        }
        let form = if self.state.first {
            Form::Tree
        } else {
            Form::Flat
        };
        let mut told = NightEnd::new(change, as_of, notes);
        told.bundle(&summary);
        Ok(Draft {
            upload: Contents::new(&summary, form),
            summary,
            change,
            as_of,
            told,
            number,
        })
    }

    /// Makes the draft before the remote is asked, and starts the service once all changed contents are copied. `None`
    /// if this host knows no manifest, or if the changes are too many to be made without the proof.
    pub(super) fn draft_early(
        &mut self,
        context: &mut Context<'_>,
    ) -> Result<Option<Draft>, Failure> {
        let known = self.expected()?;
        if known.is_none() && self.capture.must_stage(context).is_none() {
            return Ok(None);
        }
        let is_known = known.is_some();
        let mut draft = self.draft(context, known.unwrap_or_default())?;
        if is_known && self.would_refuse(&draft.change)? {
            return Ok(None);
        }
        if self.state.number.is_none() && self.is_much(context, &draft.summary) {
            // So much takes more than one night: the service runs meanwhile, and one short stop completes the mirror later.
            self.live = true;
            self.start(context)?;
        } else if !is_known {
            return Ok(None);
        } else if draft.summary.is_empty() {
            self.start(context)?;
        } else {
            draft.upload.copy_early(self, context, &draft.summary)?;
        }
        Ok(Some(draft))
    }

    /// True if a first upload takes more than one night, and keeps a service down.
    fn is_much(&self, context: &Context<'_>, summary: &Summary) -> bool {
        let most = u64::from(context.config.mirror.first_upload_mib) << 20;
        summary.bytes > most && self.capture.must_stage(context).is_some()
    }

    /// The manifest that the mirror is expected to have; `None` if this host knows none. A transition that was begun
    /// counts as done if its delta is on the remote.
    fn expected(&mut self) -> Result<Option<Base>, Failure> {
        if let Some(pending) = self
            .state
            .pending
            .clone()
            .filter(|pending| pending.committed)
        {
            let after = self.applied(&pending.list, None)?;
            return Ok(Some((Some(pending.number), Some(after.to_owned()))));
        }
        let is_known =
            self.state.number.is_some() || self.state.first || self.state.memory.is_some();
        is_known.then(|| self.base()).transpose()
    }

    /// The manifest of the state.
    pub(super) fn base(&mut self) -> Result<Base, Failure> {
        self.resume_first()?;
        Ok((self.state.number.clone(), self.state.memory.clone()))
    }

    /// Brings the data to rest again, if the service was started for copies that do not suffice.
    pub(super) fn come_back(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        let Some(need) = self
            .need
            .filter(|_| self.started && !self.live && !self.capture.is_whole())
        else {
            return Ok(());
        };
        context.warn(format!(
            "the mirror in {} is not as this board left it, so the copies of the changed files do not suffice",
            self.mirror.destination
        ));
        // A service that is down waits for no other upload.
        self.turn = None;
        let waiting = Patience::attended(self.until);
        let lock = context.lock(&self.mirror.lock, "--sync", &waiting)?;
        *self.capture = Capture::begin(context, need, lock, &waiting)?;
        self.started = false;
        if !self.capture.is_whole() && self.capture.must_stage(context).is_none() {
            return Err(Failure::Tool {
                what: format!("comparing {} once more", self.mirror.source),
                detail: format!(
                    "{} is up and cannot be stopped again under this lease; the state of the mirror is known now, and the next sync continues with it",
                    need.service
                ),
            });
        }
        self.take_turn(context)
    }
}

/// The end of a first upload whose files were read while the service ran.
pub(super) fn read_live() -> Failure {
    Failure::Tool {
        what: "the first upload".into(),
        detail: "all files are up, and were read while the service ran; the next sync completes the mirror with one short stop. Complete as of: never".into(),
    }
}

/// The numbers of a comparison.
fn count(summary: &Summary) -> Change {
    Change {
        mirrored: summary.mirrored,
        deleted: summary.deleted,
        replaced: summary.replaced,
        added: summary.added,
    }
}
