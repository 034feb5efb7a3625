//! The decision about the changes of a night, and the books about it.
//!
//! Invariant: planned deletions, a refusal and the end of pruning are in the books before anything changes on the remote.

use super::work::Sync;
use crate::mirror::anomaly::{Night, is_unusual};
use crate::mirror::books::{Approval, Hold, Refusal};
use crate::mirror::change::Change;
use crate::mirror::guard::{Verdict, decide};
use base::error::Failure;

impl Sync<'_> {
    /// Decides if the changes may be made. Records the planned deletions, or the refusal.
    pub(super) fn ask(&self, change: Change) -> Result<Option<Approval>, Failure> {
        let (books, place) = (&self.books, &self.mirror.destination);
        let recent = books.recent(place, self.began).map_err(self.keeping())?;
        let approval = books.approval(place, self.began).map_err(self.keeping())?;
        let approved = approval.as_ref().map(|approval| &approval.change);
        match decide(&change, recent, approved, &self.mirror.bounds) {
            Verdict::Fine => {
                let written = books.lose(place, self.began, change.mirrored, change.deleted);
                written.map_err(self.keeping())?;
                Ok(None)
            }
            Verdict::Approved => Ok(approval),
            Verdict::TooMuch(dangers) => {
                let at = self.began;
                let refused = books.refuse(place, Refusal { at, change });
                refused.map_err(self.keeping())?;
                let dangers: Vec<String> = dangers.iter().map(ToString::to_string).collect();
                Err(Failure::UnsafeChange {
                    dangers: dangers.join("; "),
                    change: change.to_string(),
                    approve: self.mirror.approve.clone(),
                })
            }
        }
    }

    /// Stops pruning if the change is an unusual one, and returns the reason.
    pub(super) fn unusual(&self, change: &Change) -> Result<Option<String>, Failure> {
        let (books, place) = (&self.books, &self.mirror.destination);
        let nights = books.nights(place).map_err(self.keeping())?;
        if !is_unusual(change, &nights, self.mirror.bounds.few_files) {
            return Ok(None);
        }
        let why = format!(
            "a sync to {place} deletes {} and replaces {} of {} files, more than four times as many as on any night before",
            change.deleted, change.replaced, change.mirrored
        );
        let hold = Hold {
            at: self.began,
            why: why.clone(),
        };
        books.hold(place, hold).map_err(self.keeping())?;
        Ok(Some(why))
    }

    pub(super) fn would_refuse(&self, change: &Change) -> Result<bool, Failure> {
        let (books, place) = (&self.books, &self.mirror.destination);
        let recent = books.recent(place, self.began).map_err(self.keeping())?;
        let approval = books.approval(place, self.began).map_err(self.keeping())?;
        let approved = approval.as_ref().map(|approval| &approval.change);
        let verdict = decide(change, recent, approved, &self.mirror.bounds);
        Ok(matches!(verdict, Verdict::TooMuch(_)))
    }

    /// Settles the books after the night. Deletions count from the moment at which the delta is on the remote.
    pub(super) fn account(
        &self,
        change: Change,
        approval: Option<Approval>,
        done: bool,
    ) -> Result<(), Failure> {
        let place = &self.mirror.destination;
        let counts = done
            || self
                .state
                .pending
                .as_ref()
                .is_some_and(|pending| pending.committed);
        let written = match approval {
            None => {
                let deleted = if counts { change.deleted } else { 0 };
                self.books.lose(place, self.began, change.mirrored, deleted)
            }
            // The sync used up the approval.
            Some(_) if counts => self.books.set_approval(place, None),
            Some(_) => Ok(()),
        };
        written.map_err(self.keeping())
    }

    /// Forgets a refusal after a night that went well, and remembers a usual night.
    pub(super) fn went_well(&self, change: Change, is_usual: bool) -> Result<(), Failure> {
        let place = &self.mirror.destination;
        let forgotten = self.books.forget_refusal(place);
        forgotten.map_err(self.keeping())?;
        if is_usual && change.mirrored > 0 {
            let remembered = self.books.remember(place, Night::of(&change));
            remembered.map_err(self.keeping())?;
        }
        Ok(())
    }

    fn keeping(&self) -> impl FnOnce(std::io::Error) -> Failure {
        Failure::io(format!("the books of {}", self.mirror.lock.subject()))
    }
}
