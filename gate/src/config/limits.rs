//! Deadlines, dangerous quantities, and how many archives are kept.

use serde::Deserialize;

/// A deadline for requests that bring none, and the longest one that a request may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeout {
    /// In seconds.
    pub default: u32,
    /// In seconds.
    pub max: u32,
}

/// Deadlines and dangerous quantities.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// For `--stop`.
    pub stop: Timeout,
    /// For `--start`.
    pub start: Timeout,
    /// For `--sync` and `--sync-extra`.
    pub sync: Timeout,
    /// For `--archive`.
    pub archive: Timeout,
    /// A sync that would delete more files than this is stopped.
    pub max_delete: u32,
}

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

impl Default for Limits {
    fn default() -> Self {
        Self {
            stop: Timeout {
                default: 120,
                max: 900,
            },
            start: Timeout {
                default: 300,
                max: 1800,
            },
            sync: Timeout {
                default: 3600,
                max: 86_400,
            },
            archive: Timeout {
                default: 3600,
                max: 86_400,
            },
            max_delete: 1000,
        }
    }
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

impl Limits {
    pub(super) fn check(&self) -> Result<(), String> {
        for (key, timeout) in [
            ("stop", self.stop),
            ("start", self.start),
            ("sync", self.sync),
            ("archive", self.archive),
        ] {
            if timeout.default == 0 || timeout.default > timeout.max {
                return Err(format!(
                    "limits.{key}: default must be at least 1 and at most max"
                ));
            }
        }
        Ok(())
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
