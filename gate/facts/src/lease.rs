//! Facts about the services that the gate has stopped and not started again.

use serde::{Deserialize, Serialize};

/// The program that brings services back on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// A timer of systemd, and a unit after a boot.
    Systemd,
    /// A process of the gate.
    Process,
}

/// All open leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leases {
    /// The keeper of new leases.
    pub keeper: Keeper,
    /// The reason why the records cannot be read.
    pub problem: Option<String>,
    /// The open leases.
    pub open: Vec<OpenLease>,
}

/// An open lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLease {
    /// The stopped service.
    pub service: String,
    /// The lease in words, for people.
    pub words: String,
    /// The service should be back by now.
    pub due: bool,
    /// The service still has to be brought back.
    pub owed: bool,
    /// A keeper is at work.
    pub kept: bool,
}
