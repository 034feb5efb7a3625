//! The one place where the gate reads a clock of the calendar, and the one that runs since the boot.
//!
//! Invariant: dates are those of the host's own time zone (`/etc/localtime`); no caller can choose another,
//! because the environment is gone by now, see `hardening`.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDateTime, Utc};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A point in time on both clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// For people.
    pub utc: DateTime<Utc>,
    /// The boot from which `since_boot_ms` counts: the kernel's boot id. Empty if it is not known.
    #[serde(default)]
    pub boot: String,
    /// Milliseconds since that boot.
    #[serde(default)]
    pub since_boot_ms: u64,
}

impl Moment {
    /// The time from `earlier` to here; `None` when a reboot lies between, or the clock was set back to before it.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        if self.boot.is_empty() || earlier.boot.is_empty() {
            return (self.utc - earlier.utc).to_std().ok();
        }
        (self.boot == earlier.boot)
            .then(|| self.since_boot_ms.checked_sub(earlier.since_boot_ms))
            .flatten()
            .map(Duration::from_millis)
    }
}

/// Date and time in the host's time zone.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock's home in the gate"
)]
pub fn local() -> NaiveDateTime {
    Local::now().naive_local()
}

/// Now, for records and audit lines.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock's home in the gate"
)]
pub fn utc() -> DateTime<Utc> {
    Utc::now()
}

/// Now, on both clocks.
#[must_use]
pub fn moment() -> Moment {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let (boot, ms) = match clock_gettime(ClockId::CLOCK_BOOTTIME) {
        Ok(time) => {
            let ms = time.tv_sec() * 1000 + time.tv_nsec() / 1_000_000;
            (boot.trim().to_owned(), ms)
        }
        Err(_) => (String::new(), 0),
    };
    Moment {
        utc: utc(),
        boot,
        since_boot_ms: u64::try_from(ms).unwrap_or_default(),
    }
}
