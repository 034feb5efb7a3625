//! The archives to keep. Pure: names and a date in, names out.
//!
//! Invariant: the newest verified archive up to tomorrow, today's, and any with a later date are always kept, and an
//! archive that is not verified or lies in the future takes no place of another; nothing is given up that is not an
//! archive of this service by its exact name, and nothing at all while no archive is verified.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{Datelike, NaiveDate};

use base::names::ServiceName;
use base::sort;

const SUFFIX: &str = ".tar.gz";

const MANIFEST_SUFFIX: &str = ".manifest.gz";

/// Suffix of an upload until it is known to be good.
pub const PARTIAL: &str = ".partial";

/// Suffix of the former archive of the same day while it is being replaced.
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
        // chrono reads 2026-1-2 as well; the remote holds the gate's own names, so any other spelling is foreign.
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

/// An archive on the remote, as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, which tells its date.
    pub name: ArchiveName,
    /// A manifest lies beside it and names its size.
    pub verified: bool,
}

/// The last date that is no mistake: clocks and time zones may differ by a day.
#[must_use]
pub fn horizon(today: NaiveDate) -> NaiveDate {
    today.succ_opt().unwrap_or(today)
}

/// The archives to give up: those that are not the newest of one of the newest `weekly` weeks, nor of one of
/// the newest `monthly` months. Weeks are those of ISO 8601.
///
/// Only verified archives count. One that is not verified goes when verified ones cover its week and its month: each has
/// a verified archive of its own, or is older than the newest that are kept.
#[must_use]
pub fn give_up(
    archives: &[Candidate],
    today: NaiveDate,
    weekly: u32,
    monthly: u32,
) -> Vec<ArchiveName> {
    let limit = horizon(today);
    let mut past: Vec<NaiveDate> = archives
        .iter()
        .filter(|archive| archive.verified && archive.name.date <= limit)
        .map(|archive| archive.name.date)
        .collect();
    sort::sort_by(&mut past, |a, b| b.cmp(a));
    let Some(&newest) = past.first() else {
        return Vec::new();
    };
    let mut kept = BTreeSet::new();
    kept.insert(newest);
    kept.extend(newest_of_each(&past, weekly, week));
    kept.extend(newest_of_each(&past, monthly, month));
    let covered =
        |date: NaiveDate| covers(&past, weekly, week, date) && covers(&past, monthly, month, date);
    archives
        .iter()
        .filter(|Candidate { name, verified }| {
            let spare = if *verified {
                !kept.contains(&name.date)
            } else {
                covered(name.date)
            };
            spare && name.date < today
        })
        .map(|archive| archive.name.clone())
        .collect()
}

fn week(date: NaiveDate) -> (i32, u32) {
    (date.iso_week().year(), date.iso_week().week())
}

fn month(date: NaiveDate) -> (i32, u32) {
    (date.year(), date.month())
}

/// True if the period of a date has one of these archives, or is older than the `count` newest periods that have one.
fn covers(
    verified: &[NaiveDate],
    count: u32,
    period: impl Fn(NaiveDate) -> (i32, u32),
    date: NaiveDate,
) -> bool {
    let periods = sort::set(verified.iter().map(|&date| period(date)));
    let own = period(date);
    let newer = periods.iter().filter(|&&other| other > own).count();
    periods.contains(&own) || newer >= usize::try_from(count).unwrap_or(usize::MAX)
}

/// Days of pruned archives that are removed at a time: after a clock that was wrong by years, not all would be gone at
/// once.
const AT_A_TIME: usize = 10;

/// The days with archives that were put aside more than `keep_days` ago, oldest first.
#[must_use]
pub fn expired(days: &BTreeSet<NaiveDate>, today: NaiveDate, keep_days: u32) -> Vec<NaiveDate> {
    days.iter()
        .copied()
        .filter(|&day| (today - day).num_days() > i64::from(keep_days))
        .take(AT_A_TIME)
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

    fn verified(names: &[ArchiveName]) -> Vec<Candidate> {
        let of = |name: &ArchiveName| Candidate {
            name: name.clone(),
            verified: true,
        };
        names.iter().map(of).collect()
    }

    fn unverified(names: &[ArchiveName]) -> Vec<Candidate> {
        let of = |name: &ArchiveName| Candidate {
            name: name.clone(),
            verified: false,
        };
        names.iter().map(of).collect()
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
        let gone = give_up(&verified(&all), "2026-11-22".parse().unwrap(), 3, 2);
        assert_eq!(gone, archives(&["2026-09-27", "2026-10-04", "2026-11-01"]));
    }

    #[test]
    fn the_one_good_archive_stays_beside_newer_ones_that_are_none() {
        let good = archives(&["2026-10-04"]);
        let cut = archives(&["2026-10-25", "2026-11-01", "2026-11-08", "2026-11-15"]);
        let today = "2026-11-22".parse().unwrap();
        let all = [verified(&good), unverified(&cut)].concat();
        assert_eq!(give_up(&all, today, 3, 2), []);
        // Once verified ones cover three weeks and two months, the others go.
        let later = archives(&["2026-11-20", "2026-11-29", "2026-12-06"]);
        let all = [all, verified(&later)].concat();
        let gone = give_up(&all, "2026-12-06".parse().unwrap(), 3, 2);
        assert_eq!(gone, [good, cut].concat());
        // Without a verified one nothing goes.
        let none = unverified(&later);
        assert_eq!(give_up(&none, "2026-12-06".parse().unwrap(), 0, 1), []);
    }

    #[test]
    fn an_archive_of_the_future_takes_no_place() {
        let all = archives(&["2026-11-08", "2026-11-15", "2026-11-23", "2035-01-01"]);
        let gone = give_up(&verified(&all), "2026-11-22".parse().unwrap(), 2, 1);
        assert_eq!(gone, archives(&["2026-11-08"]));
    }

    #[test]
    fn what_was_put_aside_goes_when_its_days_are_over() {
        let days: BTreeSet<NaiveDate> = [1, 50, 60, 90].map(|n| day(730_000 + n)).into();
        let gone = expired(&days, day(730_074), 14);
        assert_eq!(gone, [1, 50].map(|n| day(730_000 + n)));
        let many: BTreeSet<NaiveDate> = (0..30).map(|n| day(730_000 + n)).collect();
        assert_eq!(expired(&many, day(740_000), 14).len(), AT_A_TIME);
    }

    proptest! {
        #[test]
        fn archives_that_are_not_verified_cost_no_verified_one(good in proptest::collection::btree_set(730_000_i32..730_400, 1..30), bad in proptest::collection::btree_set(730_000_i32..730_400, 0..30), today in 730_000_i32..730_400, weekly in 0_u32..6, monthly in 0_u32..14) {
            let names = |days: &BTreeSet<i32>| -> Vec<ArchiveName> {
                days.iter().map(|&d| ArchiveName::new(service(), day(d))).collect()
            };
            let bad: BTreeSet<i32> = bad.difference(&good).copied().collect();
            let alone = give_up(&verified(&names(&good)), day(today), weekly, monthly);
            let both = [verified(&names(&good)), unverified(&names(&bad))].concat();
            let mut gone = give_up(&both, day(today), weekly, monthly);
            gone.retain(|name| names(&good).contains(name));
            prop_assert_eq!(gone, alone);
        }

        #[test]
        fn the_newest_and_todays_stay(days in proptest::collection::btree_set(730_000_i32..730_400, 1..60), today in 730_000_i32..730_400, weekly in 0_u32..6, monthly in 0_u32..14) {
            let all: Vec<_> = days.iter().map(|&d| ArchiveName::new(service(), day(d))).collect();
            let gone = give_up(&verified(&all), day(today), weekly, monthly);
            let newest = all.iter().filter(|a| a.date() <= day(today + 1)).max();
            prop_assert!(newest.is_none_or(|newest| !gone.contains(newest)));
            prop_assert!(gone.iter().all(|a| a.date() < day(today)));
        }

        #[test]
        fn never_fewer_than_asked_for(days in proptest::collection::btree_set(730_000_i32..730_400, 1..60), weekly in 0_u32..6, monthly in 0_u32..14) {
            let all: Vec<_> = days.iter().map(|&d| ArchiveName::new(service(), day(d))).collect();
            let gone = give_up(&verified(&all), day(730_400), weekly, monthly);
            let weeks = |of: &[ArchiveName]| of.iter().map(|a| (a.date().iso_week().year(), a.date().iso_week().week())).collect::<BTreeSet<_>>().len();
            let months = |of: &[ArchiveName]| of.iter().map(|a| (a.date().year(), a.date().month())).collect::<BTreeSet<_>>().len();
            let left: Vec<_> = all.iter().filter(|a| !gone.contains(a)).cloned().collect();
            prop_assert!(weeks(&left) >= weeks(&all).min(weekly as usize));
            prop_assert!(months(&left) >= months(&all).min(monthly as usize));
        }

        #[test]
        fn keeping_more_never_gives_up_more(days in proptest::collection::btree_set(730_000_i32..730_400, 1..60), weekly in 0_u32..6, monthly in 0_u32..14) {
            let all: Vec<_> = days.iter().map(|&d| ArchiveName::new(service(), day(d))).collect();
            let less = give_up(&verified(&all), day(730_400), weekly, monthly);
            let more = give_up(&verified(&all), day(730_400), weekly + 1, monthly + 1);
            prop_assert!(more.iter().all(|a| less.contains(a)));
        }
    }
}
