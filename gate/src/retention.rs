//! Which archives are kept. Pure: names and a date in, names out.
//!
//! Invariant: the newest archive, today's, and any with a date in the future are always kept; nothing is
//! given up that is not an archive of this service by its exact name.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{Datelike, NaiveDate};

use crate::names::ServiceName;

const SUFFIX: &str = ".tar.gz";

const MANIFEST_SUFFIX: &str = ".manifest.gz";

/// What an upload is called until it is known to be good.
pub const PARTIAL: &str = ".partial";

/// What the former archive of the same day is called while it is being replaced.
pub const PREVIOUS: &str = ".previous";

/// `SERVICE-YYYY-MM-DD.tar.gz`, and beside it `SERVICE-YYYY-MM-DD.manifest.gz`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchiveName {
    service: ServiceName,
    date: NaiveDate,
}

impl ArchiveName {
    /// The archive of a service on a date.
    #[must_use]
    pub fn new(service: ServiceName, date: NaiveDate) -> Self {
        Self { service, date }
    }

    /// Reads the name of an archive of this service; `None` for anything else.
    #[must_use]
    pub fn parse(service: &ServiceName, name: &str) -> Option<Self> {
        let archive = Self::dated(service, name, SUFFIX)?;
        // chrono reads 2026-1-2 as well; the remote holds what we wrote, so any other spelling is not ours.
        (archive.to_string() == name).then_some(archive)
    }

    /// Reads the name of the manifest of an archive of this service.
    #[must_use]
    pub fn of_manifest(service: &ServiceName, name: &str) -> Option<Self> {
        let archive = Self::dated(service, name, MANIFEST_SUFFIX)?;
        (archive.manifest() == name).then_some(archive)
    }

    fn dated(service: &ServiceName, name: &str, suffix: &str) -> Option<Self> {
        let text = name
            .strip_prefix(service.as_str())?
            .strip_prefix('-')?
            .strip_suffix(suffix)?;
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(Self::new(service.clone(), date))
    }

    /// The name of its manifest.
    #[must_use]
    pub fn manifest(&self) -> String {
        let date = self.date.format("%Y-%m-%d");
        format!("{}-{date}{MANIFEST_SUFFIX}", self.service)
    }

    /// Its date.
    #[must_use]
    pub fn date(&self) -> NaiveDate {
        self.date
    }
}

impl fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}{SUFFIX}",
            self.service,
            self.date.format("%Y-%m-%d")
        )
    }
}

/// The archives to give up: those that are not the newest of one of the newest `weekly` weeks, nor of one of
/// the newest `monthly` months. Weeks are those of ISO 8601.
#[must_use]
pub fn give_up(
    archives: &[ArchiveName],
    today: NaiveDate,
    weekly: u32,
    monthly: u32,
) -> Vec<ArchiveName> {
    let mut dates: Vec<NaiveDate> = archives.iter().map(ArchiveName::date).collect();
    dates.sort_unstable_by(|a, b| b.cmp(a));
    let mut kept: BTreeSet<NaiveDate> = dates.first().copied().into_iter().collect();
    kept.extend(dates.iter().filter(|&&date| date >= today));
    let past: Vec<NaiveDate> = dates
        .iter()
        .copied()
        .filter(|&date| date <= today)
        .collect();
    kept.extend(newest_of_each(&past, weekly, |date| {
        let week = date.iso_week();
        (week.year(), week.week())
    }));
    kept.extend(newest_of_each(&past, monthly, |date| {
        (date.year(), date.month())
    }));
    // The newest that is not from the future stays too: a clock once set wrong must not make a date in the
    // future the only one left.
    kept.extend(past.first());
    archives
        .iter()
        .filter(|archive| !kept.contains(&archive.date))
        .cloned()
        .collect()
}

/// `newest_first` must be in that order.
fn newest_of_each(
    newest_first: &[NaiveDate],
    count: u32,
    period: impl Fn(NaiveDate) -> (i32, u32),
) -> Vec<NaiveDate> {
    let mut seen = BTreeSet::new();
    let limit = usize::try_from(count).unwrap_or(usize::MAX);
    newest_first
        .iter()
        .copied()
        .filter(|&date| seen.insert(period(date)))
        .take(limit)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn service() -> ServiceName {
        ServiceName::parse("n8n").unwrap()
    }

    fn archives(dates: &[&str]) -> Vec<ArchiveName> {
        dates
            .iter()
            .map(|d| ArchiveName::new(service(), d.parse().unwrap()))
            .collect()
    }

    fn day(number: i32) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(number).unwrap()
    }

    #[test]
    fn names_have_one_spelling() {
        for name in [
            "n8n-2026-1-2.tar.gz",
            "n8n-2026-01-02.tar.gz.partial",
            "n8n-x-2026-01-02.tar.gz",
            "n8n-2026-02-30.tar.gz",
            "immich-2026-01-02.tar.gz",
        ] {
            assert_eq!(ArchiveName::parse(&service(), name), None, "{name}");
        }
        let name = ArchiveName::parse(&service(), "n8n-2026-01-02.tar.gz").unwrap();
        assert_eq!(name.manifest(), "n8n-2026-01-02.manifest.gz");
        assert_eq!(
            ArchiveName::of_manifest(&service(), &name.manifest()),
            Some(name)
        );
        for name in ["n8n-2026-01-02.tar.gz", "n8n-2026-1-2.manifest.gz"] {
            assert_eq!(ArchiveName::of_manifest(&service(), name), None, "{name}");
        }
    }

    #[test]
    fn three_sundays_and_two_months() {
        let all = archives(&[
            "2026-09-27",
            "2026-10-04",
            "2026-10-25",
            "2026-11-01",
            "2026-11-08",
            "2026-11-15",
            "2026-11-22",
        ]);
        let gone = give_up(&all, "2026-11-22".parse().unwrap(), 3, 2);
        assert_eq!(gone, archives(&["2026-09-27", "2026-10-04", "2026-11-01"]));
    }

    proptest! {
        #[test]
        fn the_newest_and_todays_stay(days in proptest::collection::btree_set(730_000_i32..730_400, 1..60), today in 730_000_i32..730_400, weekly in 0_u32..6, monthly in 0_u32..14) {
            let all: Vec<_> = days.iter().map(|&d| ArchiveName::new(service(), day(d))).collect();
            let gone = give_up(&all, day(today), weekly, monthly);
            let newest = all.iter().max().unwrap();
            prop_assert!(!gone.contains(newest));
            prop_assert!(gone.iter().all(|a| a.date() < day(today)));
        }

        #[test]
        fn never_fewer_than_asked_for(days in proptest::collection::btree_set(730_000_i32..730_400, 1..60), weekly in 0_u32..6, monthly in 0_u32..14) {
            let all: Vec<_> = days.iter().map(|&d| ArchiveName::new(service(), day(d))).collect();
            let gone = give_up(&all, day(730_400), weekly, monthly);
            let weeks = |of: &[ArchiveName]| of.iter().map(|a| (a.date().iso_week().year(), a.date().iso_week().week())).collect::<BTreeSet<_>>().len();
            let months = |of: &[ArchiveName]| of.iter().map(|a| (a.date().year(), a.date().month())).collect::<BTreeSet<_>>().len();
            let left: Vec<_> = all.iter().filter(|a| !gone.contains(a)).cloned().collect();
            prop_assert!(weeks(&left) >= weeks(&all).min(weekly as usize));
            prop_assert!(months(&left) >= months(&all).min(monthly as usize));
        }

        #[test]
        fn keeping_more_never_gives_up_more(days in proptest::collection::btree_set(730_000_i32..730_400, 1..60), weekly in 0_u32..6, monthly in 0_u32..14) {
            let all: Vec<_> = days.iter().map(|&d| ArchiveName::new(service(), day(d))).collect();
            let less = give_up(&all, day(730_400), weekly, monthly);
            let more = give_up(&all, day(730_400), weekly + 1, monthly + 1);
            prop_assert!(more.iter().all(|a| less.contains(a)));
        }
    }
}
