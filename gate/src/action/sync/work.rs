//! The state of one sync while it works, which all of its parts share.
//!
//! Invariant: this file knows none of the parts.

use std::cell::RefCell;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::state::{Own, SyncState};
use crate::action::Context;
use crate::action::capture::{Capture, Need};
use crate::action::waiting::Pauses;
use crate::mirror::books::Books;
use crate::policy::Mirror;
use base::error::Failure;
use base::lock::ServiceLock;
use host::{Patience, Waits};
use mirror::fits::Rules;
use mirror::place::Places;

/// A new full manifest is written after this number of deltas.
pub(super) const MOST_DELTAS: u32 = 60;

/// A sync in progress.
pub(super) struct Sync<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) places: &'a Places,
    pub(super) capture: &'a mut Capture,
    /// The turn to upload to the remote. A sync that keeps its service down goes on without.
    pub(super) turn: Option<ServiceLock>,
    pub(super) rules: Rules,
    pub(super) own: Own,
    pub(super) books: Books,
    pub(super) until: Instant,
    pub(super) waits: Option<&'a Waits<'a>>,
    /// The deadline of the last words after an interruption.
    pub(super) last_words: Option<Instant>,
    pub(super) pauses: RefCell<Pauses>,
    pub(super) state: SyncState,
    pub(super) began: DateTime<Utc>,
    /// True if the incoming folder holds contents of an earlier night.
    pub(super) left_over: bool,
    /// True if a manifest on the remote was lost.
    pub(super) renews: bool,
    /// The request for the service's data, to make it once more.
    pub(super) need: Option<&'a Need<'a>>,
    /// True once the service was started for this sync.
    pub(super) started: bool,
    /// True if the service was started before its contents were read: this sync completes no mirror.
    pub(super) live: bool,
}

impl Sync<'_> {
    /// The patience of the action at this moment: until its data is captured, it gives way to a `--start`.
    pub(super) fn patience(&self) -> Patience<'_> {
        match self.last_words {
            Some(until) => Patience::unattended(until),
            None => Patience {
                waits: self.waits,
                ..self.capture.patience(self.until)
            },
        }
    }

    /// Starts the service if it waits for this sync, and then waits for the turn to upload: from here on a wait keeps no
    /// service down.
    pub(super) fn start(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        self.started |= self.capture.must_stage(context).is_some();
        self.capture.start(context);
        self.take_turn(context)
    }

    /// Waits for the turn to upload if this sync does not have it. A sync that keeps its service down does not wait.
    pub(super) fn take_turn(&mut self, context: &mut Context<'_>) -> Result<(), Failure> {
        if self.turn.is_none() {
            let mirror = self.mirror;
            let owner = mirror.lock.as_service().filter(|_| !mirror.hot);
            self.turn =
                context.upload_turn(owner, "--sync", &mirror.destination, &self.patience())?;
        }
        Ok(())
    }

    /// True if the remote's listing is to be compared with the manifest.
    pub(super) fn is_due(&self) -> bool {
        let days = TimeDelta::days(i64::from(self.mirror.compare_days));
        let age = self.state.compared.map(|compared| self.began - compared);
        // A clock that ran ahead must not end the comparisons for years.
        age.is_none_or(|age| age >= days || age < TimeDelta::zero())
    }
}
