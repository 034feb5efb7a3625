//! The record of proofs of a service, and the place at which the next share of its mirror begins.
//!
//! Invariant: a record that cannot be read counts as empty: then copies are read again. It holds at most [`MOST`] proofs.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::action::Context;
use base::durable;
use base::error::Failure;
use base::names::ServiceName;
use base::proof::{CopyKind, Proof};
use host::Host;

/// The most proofs in a record.
const MOST: usize = 20;

/// The size limit of a record: more than so many proofs and the longest path need.
const MAX_BYTES: u64 = 256 << 10;

/// A copy that can be rehearsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::action) struct Copy {
    pub(super) kind: CopyKind,
    pub(super) name: String,
    pub(super) remote: String,
    /// The bytes of an archive: another one of the same day may have taken its place.
    pub(super) size: u64,
    /// The time of the rehearsal.
    pub(super) at: DateTime<Utc>,
}

/// A proof, and the copy that it is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    copy: Copy,
    proof: Proof,
}

/// The place in a mirror at which its next share begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The remote folder.
    pub(super) remote: String,
    /// The last path that was read, escaped as in a manifest; empty at the beginning of the mirror.
    pub(super) after: String,
    /// The share of the mirror that was read since its beginning, in thousandths.
    pub(super) thousandths: u32,
}

/// The record of a service.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ProofRecord {
    #[serde(default)]
    proofs: Vec<Kept>,
    #[serde(default)]
    cursor: Option<Cursor>,
}

/// The record, opened for one rehearsal.
pub(in crate::action) struct ProofBook {
    service: ServiceName,
    contents: ProofRecord,
}

fn file(service: &ServiceName) -> String {
    format!("{service}.json")
}

fn read(context: &Context<'_>, service: &ServiceName) -> ProofRecord {
    let folder = context.config.state_dir.below(&["proofs"]);
    let folder = context.own_directory(&folder).ok();
    folder
        .and_then(|folder| durable::read(folder, &file(service), MAX_BYTES).ok()?)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

impl ProofBook {
    /// Reads the record. Fails before a rehearsal if it could not be written after it.
    pub(super) fn load(context: &Context<'_>, service: &ServiceName) -> Result<Self, Failure> {
        context.own_directory(&context.config.state_dir.below(&["proofs"]))?;
        Ok(Self {
            service: service.clone(),
            contents: read(context, service),
        })
    }

    /// The newest proof of each kind of copy, for a list.
    pub(in crate::action) fn newest(context: &Context<'_>, service: &ServiceName) -> Vec<Proof> {
        let contents = read(context, service);
        let newest = |kind| {
            let mut proofs = contents.proofs.iter().rev();
            proofs.find(|kept| kept.copy.kind == kind)
        };
        let both = [newest(CopyKind::Archive), newest(CopyKind::Mirror)];
        both.into_iter()
            .flatten()
            .map(|kept| kept.proof.clone())
            .collect()
    }

    /// The kinds of copies: first the one that was not rehearsed last.
    pub(super) fn turn(&self) -> [CopyKind; 2] {
        match self.contents.proofs.last().map(|kept| kept.copy.kind) {
            Some(CopyKind::Archive) => [CopyKind::Mirror, CopyKind::Archive],
            Some(CopyKind::Mirror) | None => [CopyKind::Archive, CopyKind::Mirror],
        }
    }

    /// The proof of this very copy, if all of it was proven in the last days.
    pub(super) fn lately(&self, copy: &Copy, days: u32) -> Option<Box<Proof>> {
        let mut proofs = self.contents.proofs.iter().rev();
        let kept = proofs.find(|kept| {
            let known = &kept.copy;
            (known.kind, &known.name, &known.remote, known.size)
                == (copy.kind, &copy.name, &copy.remote, copy.size)
        })?;
        let age = copy.at - kept.copy.at;
        let is_recent = age >= TimeDelta::zero() && age < TimeDelta::days(days.into());
        let is_whole = kept.proof.proven && kept.proof.percent == 100;
        (is_recent && is_whole).then(|| Box::new(kept.proof.clone()))
    }

    /// The place at which the next share of a mirror begins.
    pub(super) fn cursor(&self, remote: &str) -> Cursor {
        let known = self.contents.cursor.as_ref();
        let known = known.filter(|cursor| cursor.remote == remote);
        known.cloned().unwrap_or(Cursor {
            remote: remote.to_owned(),
            after: String::new(),
            thousandths: 0,
        })
    }

    /// Moves that place.
    pub(super) fn move_to(&mut self, cursor: Cursor) {
        self.contents.cursor = Some(cursor);
    }

    /// Adds a proof.
    pub(super) fn add(&mut self, copy: Copy, proof: Proof) {
        let proofs = &mut self.contents.proofs;
        proofs.push(Kept { copy, proof });
        let spare = proofs.len().saturating_sub(MOST);
        proofs.drain(..spare);
    }

    /// Writes the record.
    pub(super) fn save(&self, context: &Context<'_>) -> Result<(), Failure> {
        let folder = context.own_directory(&context.config.state_dir.below(&["proofs"]))?;
        let bytes = serde_json::to_vec(&self.contents).unwrap_or_default();
        durable::replace(folder, &file(&self.service), &bytes).map_err(Failure::io(format!(
            "the record of proofs of {}",
            self.service
        )))
    }
}

impl Copy {
    /// A copy that is rehearsed now.
    pub(super) fn new(host: &dyn Host, kind: CopyKind, name: String, remote: String) -> Self {
        Self {
            kind,
            name,
            remote,
            size: 0,
            at: host.moment().utc,
        }
    }
}
