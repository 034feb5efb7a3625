//! The changes of a zone's clock, found by looking at its offset.
//!
//! The zone tables keep their transitions to themselves, so they are searched for. Invariant:
//! no zone changes its clock forth and back within [`PROBE`]. (From 1970 to 2100 the nearest
//! two changes of a zone are six days apart: Boa Vista in October 2000.)

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// Seconds between two looks at the offset.
pub(super) const PROBE: i64 = 3 * 86_400;

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

/// The zone's offset at an instant in seconds since 1970, or `None` outside the calendar.
pub(super) fn offset_at(zone: Tz, at: i64) -> Option<i64> {
    let instant = DateTime::from_timestamp(at, 0)?.naive_utc();
    let offset = zone.offset_from_utc_datetime(&instant).fix();
    Some(i64::from(offset.local_minus_utc()))
}

/// The first change in `(after, up_to]`, both in seconds since 1970.
pub(super) fn first_change(zone: Tz, after: i64, up_to: i64) -> Option<ClockChange> {
    let before = offset_at(zone, after)?;
    let mut old = after;
    while old < up_to {
        let new = old.saturating_add(PROBE).min(up_to);
        if offset_at(zone, new)? != before {
            return halve(zone, before, old, new);
        }
        old = new;
    }
    None
}

/// Narrows a change down to the second; `old` shows the offset `before`, `new` another one.
fn halve(zone: Tz, before: i64, mut old: i64, mut new: i64) -> Option<ClockChange> {
    while new - old > 1 {
        let middle = old + (new - old) / 2;
        if offset_at(zone, middle)? == before {
            old = middle;
        } else {
            new = middle;
        }
    }
    Some(ClockChange {
        at: new,
        before,
        after: offset_at(zone, new)?,
    })
}
