//! Deadlines and dangerous quantities.

use serde::Deserialize;

/// Limits for changes without an approval. See `[limits]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most files to delete within a day.
    pub max_delete: u64,
    /// The largest share of the mirror to delete within a day, in percent.
    pub max_delete_percent: u64,
    /// The largest share of the mirror to replace in one sync, in percent.
    pub max_change_percent: u64,
    /// The smallest share of the mirror's files that must be there afterwards, in percent.
    pub min_left_percent: u64,
    /// Up to this number of files, shares do not count: half of six files is nothing unusual.
    pub few_files: u64,
}

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
    /// The most files that syncs may delete from a mirror within 24 hours.
    pub max_delete: u32,
    /// The largest share of a mirror that syncs may delete within 24 hours, in percent.
    pub max_delete_percent: u8,
    /// The largest share of a mirror that a sync may replace, in percent; 100 is no limit.
    pub max_change_percent: u8,
    /// The smallest share of a mirror's files that must be there after a sync, in percent; 0 is no limit.
    pub min_left_percent: u8,
    /// Up to this number of deleted or replaced files the shares for them do not count.
    pub few_files: u32,
    /// Hours for which the approval of a refused sync is valid.
    pub approval_hours: u32,
    /// The most requests that wait for other actions at the same time. Starts do not count.
    pub waiting: u32,
    /// More stops of one service a day than this are told as unusually many.
    pub stops_per_day: u32,
    /// True to refuse a stop beyond `stops_per_day`.
    pub refuse_more_stops: bool,
    /// Bytes that an archive leaves free on the disk of the spool, for other programs that write there.
    pub spool_reserve: u64,
}

/// Limits of one service or extra target in the place of the general ones.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnLimits {
    /// As in [`Limits`].
    pub max_delete: Option<u32>,
    /// As in [`Limits`].
    pub max_delete_percent: Option<u8>,
    /// As in [`Limits`].
    pub max_change_percent: Option<u8>,
    /// As in [`Limits`].
    pub min_left_percent: Option<u8>,
    /// As in [`Limits`].
    pub few_files: Option<u32>,
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
            max_delete_percent: 25,
            max_change_percent: 50,
            min_left_percent: 10,
            few_files: 20,
            approval_hours: 24,
            waiting: 24,
            stops_per_day: 24,
            refuse_more_stops: false,
            spool_reserve: 256 << 20,
        }
    }
}

impl OwnLimits {
    pub(super) fn check(&self, owner: &str) -> Result<(), String> {
        for (key, percent) in [
            ("max_delete_percent", self.max_delete_percent),
            ("max_change_percent", self.max_change_percent),
            ("min_left_percent", self.min_left_percent),
        ] {
            check_percent(&format!("{owner}.{key}"), percent.unwrap_or(0))?;
        }
        Ok(())
    }
}

fn check_percent(key: &str, percent: u8) -> Result<(), String> {
    if percent <= 100 {
        Ok(())
    } else {
        Err(format!("{key}: give 0 to 100 percent"))
    }
}

impl Limits {
    /// For the decision about a sync, with a service's or extra target's own limits.
    #[must_use]
    pub fn bounds(&self, own: &OwnLimits) -> Bounds {
        Bounds {
            max_delete: own.max_delete.unwrap_or(self.max_delete).into(),
            max_delete_percent: own
                .max_delete_percent
                .unwrap_or(self.max_delete_percent)
                .into(),
            max_change_percent: own
                .max_change_percent
                .unwrap_or(self.max_change_percent)
                .into(),
            min_left_percent: own.min_left_percent.unwrap_or(self.min_left_percent).into(),
            few_files: own.few_files.unwrap_or(self.few_files).into(),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for (key, percent) in [
            ("limits.max_delete_percent", self.max_delete_percent),
            ("limits.max_change_percent", self.max_change_percent),
            ("limits.min_left_percent", self.min_left_percent),
        ] {
            check_percent(key, percent)?;
        }
        if !(1..=720).contains(&self.approval_hours) {
            return Err("limits.approval_hours: give 1 to 720 hours".into());
        }
        for (key, number) in [
            ("limits.waiting", self.waiting),
            ("limits.stops_per_day", self.stops_per_day),
        ] {
            if !(1..=1000).contains(&number) {
                return Err(format!("{key}: give 1 to 1000"));
            }
        }
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
