//! For how long a backup may keep a service down, and who brings it back after that.

use serde::Deserialize;

use crate::key::{section, shown_by_their_word};

section! {
    /// The time for which a backup may keep a service down.
    LeaseTerms is "lease", "";
    seconds: u32 = 7200, in 1..=604_800, "Seconds for which a backup may keep a service down. After that the service is started in any case; a sync or archive that still reads its data is cancelled. A second `--stop` does not extend the lease. The steps of the tutorial take 930 s at most.";
    keeper: Keeper = Keeper::Auto, "The part that starts it. `systemd`: a transient timer, and `backupctl-recover.service` after a reboot. `process`: a process of the gate's own that sleeps until then, and one that replaces it if it dies; after a reboot run `backupctl --recover --boot` yourself. `auto`: systemd if it runs and the gate is root, else a process.";
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

shown_by_their_word! { Keeper { Auto = "auto", Systemd = "systemd", Process = "process" } }
