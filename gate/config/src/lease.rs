//! For how long a backup may keep a service down, and who brings it back after that.

use serde::Deserialize;

/// For how long a backup may keep a service down, and who brings it back after that.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseTerms {
    /// In seconds from `--stop` on; a service may have a number of its own.
    pub seconds: u32,
    /// The part that starts it again.
    pub keeper: Keeper,
}

/// The part that starts a service again when no `--start` comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeper {
    /// systemd where it runs and the gate is root, else a process.
    Auto,
    /// A transient timer of systemd.
    Systemd,
    /// A process of the gate's own that sleeps until then.
    Process,
}

/// The longest lease, a week: a service that stays down for longer is not merely being backed up.
const MAX_SECONDS: u32 = 604_800;

impl Default for LeaseTerms {
    fn default() -> Self {
        Self {
            seconds: 7200,
            keeper: Keeper::Auto,
        }
    }
}

impl LeaseTerms {
    pub(super) fn check(&self) -> Result<(), String> {
        check_seconds("lease.seconds", self.seconds)
    }
}

pub(super) fn check_seconds(key: &str, seconds: u32) -> Result<(), String> {
    if (1..=MAX_SECONDS).contains(&seconds) {
        Ok(())
    } else {
        Err(format!("{key}: give 1 to {MAX_SECONDS} seconds"))
    }
}
