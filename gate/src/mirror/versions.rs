//! Retention of the files that a sync replaced or deleted. Pure: names and a date in, names out.
//!
//! The files that the syncs of one day replaced lie in one folder named after the date. Days are counted, not syncs: a
//! thousand syncs a day add one day to the count and push out no other day.
//!
//! Invariant: a day stays if it is younger than the floor, among the newest few, or in the future. Only folders with
//! exactly such a name are given up.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use config::Keep;

/// The largest number of days to give up at a time: a clock that is wrong by years must not remove everything at once.
pub const AT_A_TIME: usize = 10;

/// Parses the name of a day's folder.
#[must_use]
pub fn day(name: &str) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(name, "%Y-%m-%d").ok()?;
    // chrono also reads 2026-1-2; the gate never writes such a name.
    (date.to_string() == name).then_some(date)
}

/// The days to give up, oldest first.
#[must_use]
pub fn give_up(days: &BTreeSet<NaiveDate>, today: NaiveDate, keep: Keep) -> Vec<NaiveDate> {
    let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let age = |day: NaiveDate| (today - day).num_days();
    let mut gone: Vec<NaiveDate> = days
        .iter()
        .rev()
        .enumerate()
        .skip(size(keep.floor_count.max(1)))
        .filter(|&(newer, &day)| {
            let too_old = age(day) > i64::from(keep.days);
            let too_many = newer >= size(keep.count);
            (too_old || too_many) && age(day) > i64::from(keep.floor_days)
        })
        .map(|(_, &day)| day)
        .collect();
    gone.reverse();
    gone.truncate(AT_A_TIME);
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(number: i32) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(number).unwrap()
    }

    const KEEP: Keep = Keep {
        days: 30,
        count: 20,
        floor_days: 7,
        floor_count: 3,
    };

    #[test]
    fn names_have_one_spelling() {
        for name in [
            "2026-1-2",
            "2026-01-02x",
            " 2026-01-02",
            "20260102",
            "2026-02-30",
            "",
        ] {
            assert_eq!(day(name), None, "{name}");
        }
        assert_eq!(day("2026-01-02"), NaiveDate::from_ymd_opt(2026, 1, 2));
    }

    #[test]
    fn old_days_go_and_the_last_few_stay() {
        let days: BTreeSet<_> = [100, 110, 120, 130, 200, 231].map(at).into();
        assert_eq!(give_up(&days, at(231), KEEP), [100, 110, 120].map(at));
        assert_eq!(give_up(&days, at(10_000), KEEP), [100, 110, 120].map(at));
    }

    #[test]
    fn a_sync_a_day_keeps_the_newest_twenty() {
        let days: BTreeSet<_> = (200..231).map(at).collect();
        let gone = give_up(&days, at(230), KEEP);
        assert_eq!(gone, (200..210).map(at).collect::<Vec<_>>());
    }

    #[test]
    fn a_clock_that_is_wrong_by_years_does_not_take_everything_at_once() {
        let days: BTreeSet<_> = (200..231).map(at).collect();
        assert_eq!(give_up(&days, at(100_000), KEEP).len(), AT_A_TIME);
    }

    prop_compose! {
        fn any_keep()(floor_days in 1_u32..20, more in 0_u32..60, floor_count in 0_u32..5, count in 0_u32..60) -> Keep {
            Keep { days: floor_days + more, count: floor_count + count, floor_days, floor_count }
        }
    }

    proptest! {
        #[test]
        fn the_newest_and_the_young_stay(days in proptest::collection::btree_set(1_i32..400, 0..100), today in 1_i32..500, keep in any_keep()) {
            let all: BTreeSet<_> = days.iter().map(|&d| at(d)).collect();
            let gone = give_up(&all, at(today), keep);
            let newest: Vec<_> = all.iter().rev().take(keep.floor_count.max(1) as usize).collect();
            for day in &gone {
                prop_assert!(all.contains(day));
                prop_assert!(!newest.contains(&day));
                prop_assert!((at(today) - *day).num_days() > i64::from(keep.floor_days));
            }
        }

        #[test]
        fn nothing_goes_without_a_reason(days in proptest::collection::btree_set(1_i32..400, 0..100), today in 1_i32..500, keep in any_keep()) {
            let all: BTreeSet<_> = days.iter().map(|&d| at(d)).collect();
            for day in give_up(&all, at(today), keep) {
                let newer = all.iter().filter(|&&other| other > day).count();
                prop_assert!((at(today) - day).num_days() > i64::from(keep.days) || newer >= keep.count as usize);
            }
        }

        /// Today is the attacker's day: any number of syncs adds only today's folder.
        #[test]
        fn what_is_added_today_pushes_out_nothing_but_by_one_day(days in proptest::collection::btree_set(1_i32..400, 0..100), keep in any_keep()) {
            let before: BTreeSet<_> = days.iter().map(|&d| at(d)).collect();
            let mut after = before.clone();
            after.insert(at(400));
            let kept = |all: &BTreeSet<NaiveDate>| {
                let mut all = all.clone();
                loop {
                    let gone = give_up(&all, at(400), keep);
                    if gone.is_empty() {
                        return all;
                    }
                    all.retain(|day| !gone.contains(day));
                }
            };
            let lost = kept(&before).difference(&kept(&after)).count();
            prop_assert!(lost <= 1);
        }

        #[test]
        fn it_comes_to_an_end_within_the_bounds(days in proptest::collection::btree_set(1_i32..400, 0..100), keep in any_keep()) {
            let mut all: BTreeSet<_> = days.iter().map(|&d| at(d)).collect();
            loop {
                let gone = give_up(&all, at(400), keep);
                if gone.is_empty() {
                    break;
                }
                all.retain(|day| !gone.contains(day));
            }
            let old = all.iter().filter(|&&day| (at(400) - day).num_days() > i64::from(keep.floor_days)).count();
            prop_assert!(old <= keep.count.max(keep.floor_count).max(1) as usize);
        }
    }
}
