//! A change and its audit entry: one transaction, so that neither is
//! there without the other.

use super::App;
use super::error::ApiError;
use crate::domain::audit::{Action, Actor, Deed, SubjectKind};
use crate::store::{self, StoreError, Tx};
use crate::view::differences;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::ops::Deref;

/// The transaction of a change, in which it is also written down.
pub(super) struct Ledger<'a> {
    tx: &'a Tx<'a>,
    actor: &'a Actor,
    /// The time of the change.
    pub(super) now: DateTime<Utc>,
}

impl<'a> Deref for Ledger<'a> {
    type Target = Tx<'a>;

    fn deref(&self) -> &Tx<'a> {
        self.tx
    }
}

impl Ledger<'_> {
    /// Writes an audit entry.
    pub(super) fn note(&self, deed: &Deed) -> Result<(), StoreError> {
        store::audit::record(self.tx, self.now, self.actor, deed)
    }

    /// Writes down how something looks now and looked before, as the API shows it, so that
    /// a secret there is a secret here. Nothing is written where nothing is different.
    pub(super) fn compare<T: Serialize>(
        &self,
        kind: SubjectKind,
        name: &str,
        before: Option<&T>,
        after: Option<&T>,
    ) -> Result<(), StoreError> {
        let action = match (before.is_some(), after.is_some()) {
            (false, _) => Action::Added,
            (true, false) => Action::Removed,
            (true, true) => Action::Changed,
        };
        let mut deed = Deed::new(action, kind, name);
        deed.changes = differences(before, after);
        if deed.changes.is_empty() && action == Action::Changed {
            return Ok(());
        }
        self.note(&deed)
    }
}

impl App {
    /// Changes something in one transaction, in the name of `actor`.
    pub(super) async fn change<T, F>(&self, actor: &Actor, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (actor, now) = (actor.clone(), self.clock.now());
        let done = self.store.write(move |tx| {
            let actor = &actor;
            work(&Ledger { tx, actor, now })
        });
        Ok(done.await?)
    }

    /// Learns the result of a change that is not made.
    pub(super) async fn rehearse<T, F>(&self, actor: &Actor, work: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (actor, now) = (actor.clone(), self.clock.now());
        let done = self.store.rehearse(move |tx| {
            let actor = &actor;
            work(&Ledger { tx, actor, now })
        });
        Ok(done.await?)
    }

    /// Audits an act outside the database.
    pub(super) async fn note(&self, actor: &Actor, deed: Deed) -> Result<(), ApiError> {
        self.change(actor, move |ledger| ledger.note(&deed)).await
    }
}
