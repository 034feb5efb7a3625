//! Numbers and ages to keep: archives, and files that syncs replaced or deleted.

use crate::key::section;

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

section! {
    /// Numbers of archives to keep.
    Retention is "retention", "";
    keep_weekly: u32 = 3, "Archives to keep: the newest of each of this many weeks. A request may ask for more; a request for fewer is raised to this number, with a warning.";
    keep_monthly: u32 = 12, "The same for months.";
    floor_weekly: Option<u32> = None, like "1", "Allows requests for fewer archives: a number below this one is raised to it. 2 weeks and 3 months together, the defaults of release 0.1, count as not set.";
    floor_monthly: Option<u32> = None, like "6", "The same for months.";
    pruned_days: u32 = 14, in 1..=4_294_967_295, "Days for which a pruned archive stays in `.pruned/DATE` beside the folder of archives.";
}

section! {
    /// Mirrors.
    MirrorTerms is "mirror", "";
    compare_days: u32 = 7, in 1..=3650, "Days after which a sync lists the files of the mirror on the remote, compares them with its manifest, and repairs the mirror from the data. A full manifest takes the place of the daily ones at the same time.";
    first_upload_mib: u32 = 1024, "A first upload of more MiB is made while the service runs, over several nights if it has to. When all files are up, one short stop completes the mirror.";
}

section! {
    /// Ages and numbers of replaced and deleted files to keep.
    Versions is "versions", "Files that a sync replaces or deletes stay under `.versions/DATE`. Only days with such files count.";
    keep_days: u32 = 30, "The age in days up to which they stay.";
    keep_count: u32 = 60, "The number of such days up to which they stay.";
    floor_days: u32 = 7, in 1..=4_294_967_295, "Versions younger than this number of days always stay. Frequent syncs add no days and so push none out.";
    floor_count: u32 = 3, in 1..=4_294_967_295, "The newest days, by number, always stay.";
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
        self.check_ranges()?;
        let (weekly, monthly) = self.floors();
        if weekly == 0 && monthly == 0 {
            return Err("retention: the floors of weeks and months cannot both be 0".into());
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
        self.check_ranges()?;
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
