//! How much of the past is kept: archives, and what syncs replaced or deleted.

use serde::Deserialize;

use crate::mirror::versions::Keep;

/// How many archives are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Weeks, when the request does not say.
    pub keep_weekly: u32,
    /// Months, when the request does not say.
    pub keep_monthly: u32,
    /// No request may keep fewer weeks.
    pub floor_weekly: u32,
    /// No request may keep fewer months.
    pub floor_monthly: u32,
}

/// How long replaced and deleted files are kept.
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
            floor_weekly: 2,
            floor_monthly: 3,
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

impl Retention {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.floor_weekly == 0 && self.floor_monthly == 0 {
            return Err("retention: floor_weekly and floor_monthly cannot both be 0".into());
        }
        if self.keep_weekly < self.floor_weekly || self.keep_monthly < self.floor_monthly {
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
