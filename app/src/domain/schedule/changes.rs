//! The changes of a zone's clock.

use crate::zones::Zone;

/// A change of the clock: from `at` on it shows UTC + `after` and no more UTC + `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    /// The first instant of the new time, in seconds since 1970.
    pub at: i64,
    /// The offset before, in seconds east of UTC.
    pub before: i64,
    /// The offset from then on, in seconds east of UTC.
    pub after: i64,
}

/// The first change in `(after, up_to]`, both in seconds since 1970.
pub(super) fn first_change(zone: Zone, after: i64, up_to: i64) -> Option<ClockChange> {
    let before = zone.offset_at(after)?;
    let (at, offset) = zone.next_change(after, up_to)?;
    Some(ClockChange {
        at,
        before,
        after: offset,
    })
}
