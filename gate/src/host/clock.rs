//! The one place where the gate reads a clock of the calendar, and the one that runs since the boot.
//!
//! Invariant: dates are those of the host's own time zone (`/etc/localtime`); no caller can choose another,
//! because the environment is gone by now, see `hardening`.

use chrono::{DateTime, Local, NaiveDateTime, Utc};
use nix::time::{ClockId, clock_gettime};

use crate::lease::Moment;

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
