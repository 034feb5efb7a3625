//! Numbers and ages to keep: archives, and files that syncs replaced or deleted.

use serde::Deserialize;

/// Versions to keep. See `[versions]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Days after which a folder goes.
    pub days: u32,
    /// The most folders that are kept.
    pub count: u32,
    /// Days before which no folder goes.
    pub floor_days: u32,
    /// The newest of them that never go.
    pub floor_count: u32,
}

/// Numbers of archives to keep.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Weeks, and the fewest that a request may keep.
    pub keep_weekly: u32,
    /// Months, and the fewest that a request may keep.
    pub keep_monthly: u32,
    /// Lets requests keep fewer weeks, down to this number.
    pub floor_weekly: Option<u32>,
    /// Lets requests keep fewer months, down to this number.
    pub floor_monthly: Option<u32>,
    /// Days for which archives that retention gives up are kept aside.
    pub pruned_days: u32,
}

/// Ages and numbers of replaced and deleted files to keep.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Versions {
    /// Days after which they go.
    pub keep_days: u32,
    /// The most days, counted are those on which something was replaced, for which they are kept.
    pub keep_count: u32,
    /// Days before which they never go.
    pub floor_days: u32,
    /// The newest days for which they never go.
    pub floor_count: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            keep_weekly: 3,
            keep_monthly: 12,
            floor_weekly: None,
            floor_monthly: None,
            pruned_days: 14,
        }
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            keep_days: 30,
            keep_count: 60,
            floor_days: 7,
            floor_count: 3,
        }
    }
}

/// The floors that every configuration of release 0.1 spelled out. With them one line of a stolen key took 14 archives
/// to 4.
const FORMER_FLOORS: (Option<u32>, Option<u32>) = (Some(2), Some(3));

impl Retention {
    /// The configuration still spells out the default floors of release 0.1, which count no longer.
    #[must_use]
    pub fn has_former_floors(&self) -> bool {
        (self.floor_weekly, self.floor_monthly) == FORMER_FLOORS
    }

    /// The fewest weeks and months that a request may keep.
    #[must_use]
    pub fn floors(&self) -> (u32, u32) {
        let kept = (self.keep_weekly, self.keep_monthly);
        if self.has_former_floors() {
            return kept;
        }
        (
            self.floor_weekly.unwrap_or(kept.0),
            self.floor_monthly.unwrap_or(kept.1),
        )
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let (weekly, monthly) = self.floors();
        if weekly == 0 && monthly == 0 {
            return Err("retention: the floors of weeks and months cannot both be 0".into());
        }
        if self.pruned_days == 0 {
            return Err("retention: pruned_days must be at least 1".into());
        }
        if self.keep_weekly < weekly || self.keep_monthly < monthly {
            return Err(
                "retention: keep_weekly and keep_monthly cannot be below their floors".into(),
            );
        }
        Ok(())
    }
}

impl Versions {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.floor_days == 0 || self.floor_count == 0 {
            return Err("versions: floor_days and floor_count must be at least 1".into());
        }
        if self.keep_days < self.floor_days || self.keep_count < self.floor_count {
            return Err("versions: keep_days and keep_count cannot be below their floors".into());
        }
        Ok(())
    }

    /// For the decision.
    #[must_use]
    pub fn keep(&self) -> Keep {
        Keep {
            days: self.keep_days,
            count: self.keep_count,
            floor_days: self.floor_days,
            floor_count: self.floor_count,
        }
    }
}
