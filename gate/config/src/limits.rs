//! Deadlines and dangerous quantities.

use serde::Deserialize;

use crate::key::{Shown, own_section, section};

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

impl Shown for Timeout {
    fn shown(&self) -> Option<String> {
        Some(format!(
            "{{ default = {}, max = {} }}",
            self.default, self.max
        ))
    }
}

section! {
    /// Deadlines and dangerous quantities.
    Limits is "limits", "A sync is compared before it is made. It is refused with exit code 76, and nothing is changed, if the comparison exceeds a limit for mirrors.";
    max_delete: u32 = 1000, "The most files that syncs may delete from a mirror within 24 hours.";
    max_delete_percent: u8 = 25, in 0..=100, "The largest share of a mirror that syncs may delete within 24 hours, in percent.";
    max_change_percent: u8 = 50, in 0..=100, "The largest share of a mirror that a sync may replace, in percent, as when everything was encrypted; 100 is no limit.";
    min_left_percent: u8 = 10, in 0..=100, "The smallest share of a mirror's files that must be there after a sync, in percent; 0 is no limit.";
    few_files: u32 = 20, "Up to this number of deleted or replaced files `max_delete_percent` and `max_change_percent` do not apply: three of six databases change every day.";
    approval_hours: u32 = 24, in 1..=720, "`--approve` on the host, or `--approve-extra` for an extra target, allows the next sync within this many hours to make the refused change, and not much more, once.";
    waiting: u32 = 24, in 1..=1000, "Requests that may wait for other actions at the same time. More are refused with exit code 69. A `--start` always has room, and comes before all that wait.";
    stops_per_day: u32 = 24, in 1..=1000, "More stops of one service a day than this are a warning.";
    refuse_more_stops: bool = false, "If true, a stop beyond `stops_per_day` is refused with exit code 77.";
    spool_reserve: u64 = 256 << 20, "Bytes that an archive leaves free on the disk of `spool_dir`. An archive is refused with exit code 73 when it could need more than the rest, and ended when others fill the disk meanwhile.";
    stop: Timeout = Timeout { default: 120, max: 900 }, "Seconds: `default` for a `--stop` without `--timeout`, and `max` as the largest `--timeout` of a request.";
    start: Timeout = Timeout { default: 300, max: 1800 }, "The same for `--start`.";
    sync: Timeout = Timeout { default: 3600, max: 86_400 }, "The same for `--sync` and `--sync-extra`.";
    archive: Timeout = Timeout { default: 3600, max: 86_400 }, "The same for `--archive`.";
    rehearse: Timeout = Timeout { default: 14_400, max: 86_400 }, "The same for `--rehearse`.";
}

own_section! {
    /// Limits of one service or extra target in the place of the general ones.
    #[derive(Default)]
    OwnLimits is "services.NAME.limits", "Limits for the mirror of this service, in the place of the same keys of `[limits]`. An extra target may have the same table.";
    max_delete: Option<u32>, like "100000", "The most files that syncs may delete within 24 hours.";
    max_delete_percent: Option<u8>, in 0..=100, like "100", "The largest share of the mirror that syncs may delete within 24 hours, in percent.";
    max_change_percent: Option<u8>, in 0..=100, like "100", "The largest share of the mirror that a sync may replace, in percent.";
    min_left_percent: Option<u8>, in 0..=100, like "0", "The smallest share of the files that must be there after a sync, in percent.";
    few_files: Option<u32>, like "20", "Up to this number of deleted or replaced files the shares do not apply.";
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
        self.check_ranges()?;
        for (key, timeout) in [
            ("stop", self.stop),
            ("start", self.start),
            ("sync", self.sync),
            ("archive", self.archive),
            ("rehearse", self.rehearse),
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
