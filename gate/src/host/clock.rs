//! The one place where the gate reads a clock of the calendar.
//!
//! Invariant: dates are those of the host's own time zone (`/etc/localtime`); no caller can choose another,
//! because the environment is gone by now, see `hardening`.

use chrono::{DateTime, Local, NaiveDateTime, Utc};

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
