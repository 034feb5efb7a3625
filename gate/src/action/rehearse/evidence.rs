//! The evidence that a rehearsal gathers, and its summary as a proof.
//!
//! Invariant: a copy is proven only if no fault was found and its content was read.

use super::record::Copy;
use crate::action::verify::Findings;
use base::measure;
use base::proof::{CopyKind, Proof, Started, short};
use chrono::SecondsFormat;

/// The end of one look at a copy.
pub(super) enum RehearsedCopy {
    /// There is no such copy, in words.
    Absent(String),
    /// It was proven lately.
    Fresh(Box<Proof>),
    /// It was rehearsed now.
    Done(Copy, Box<Evidence>),
}

/// The evidence so far.
pub(super) struct Evidence {
    pub(super) findings: Findings,
    pub(super) percent: u8,
    pub(super) covered: u8,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) databases: u64,
    pub(super) clusters: u64,
    pub(super) started: Started,
    pub(super) reason: Option<String>,
}

impl Evidence {
    /// Nothing was read yet.
    pub(super) fn new() -> Self {
        Self {
            findings: Findings::default(),
            percent: 0,
            covered: 0,
            files: 0,
            bytes: 0,
            databases: 0,
            clusters: 0,
            started: Started::Impossible,
            reason: None,
        }
    }

    /// The copy was read in whole.
    pub(super) fn whole(&mut self, files: u64, bytes: u64) {
        (self.percent, self.covered) = (100, 100);
        (self.files, self.bytes) = (files, bytes);
    }

    /// There is no start test, for this reason.
    pub(super) fn not_started(&mut self, reason: impl Into<String>) {
        self.started = Started::Impossible;
        self.reason = Some(reason.into());
    }

    /// True if a fault was found.
    pub(super) fn is_faulty(&self) -> bool {
        !self.findings.0.is_empty()
    }

    /// The proof, and the faults.
    pub(super) fn proof(mut self, subject: &str, copy: &Copy) -> (Proof, Findings) {
        if !self.is_faulty() && self.percent == 0 {
            self.findings.add("nothing of it was read");
        }
        let findings = &self.findings.0;
        let proof = Proof {
            subject: subject.to_owned(),
            remote: copy.remote.clone(),
            copy: copy.kind,
            name: copy.name.clone(),
            at: copy.at.to_rfc3339_opts(SecondsFormat::Secs, true),
            proven: findings.is_empty(),
            finding: findings.first().map(|finding| short(finding)),
            findings: findings.len() as u64,
            percent: self.percent,
            covered: self.covered,
            files: self.files,
            bytes: self.bytes,
            databases: self.databases,
            clusters: self.clusters,
            started: self.started,
            reason: self.reason.as_deref().map(short),
        };
        (proof, self.findings)
    }
}

/// A proof in one sentence.
pub(super) fn summary(proof: &Proof) -> String {
    let copy = match proof.copy {
        CopyKind::Archive => proof.name.clone(),
        CopyKind::Mirror => format!("the mirror of {} as of {}", proof.subject, proof.name),
    };
    let share = match proof.percent {
        100 => String::new(),
        percent => format!(
            "{percent} % of it ({} % together with the rehearsals before), ",
            proof.covered
        ),
    };
    let clusters = match proof.clusters {
        0 => String::new(),
        clusters => format!(
            ", {} checked",
            measure::count(clusters, "PostgreSQL data folder")
        ),
    };
    let started = match (proof.started, &proof.reason) {
        (Started::Healthy, _) => "the service started on it and is healthy".to_owned(),
        (Started::Unhealthy, _) => "the service did not become healthy on it".to_owned(),
        (Started::Impossible, Some(reason)) => format!("start test not possible: {reason}"),
        (Started::Impossible, None) => "no start test".to_owned(),
    };
    format!(
        "{copy} can be restored: {share}{} with their digests ({}), {} checked{clusters}; {started}",
        measure::count(proof.files, "file"),
        measure::size(proof.bytes),
        measure::count(proof.databases, "database"),
    )
}
