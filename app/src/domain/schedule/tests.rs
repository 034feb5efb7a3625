//! Clock changes by example, then everything against a replay of cron's own loop.

use crate::zones::{self, Zone};
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use proptest::prelude::*;

use super::super::cron::CronExpr;
use super::super::cron::properties::any_expression;
use super::changes::first_change;
use super::{Schedule, parse_zone};

fn schedule(text: &str, zone: &str) -> Schedule {
    let expr: CronExpr = text.parse().expect("a test's own expression");
    Schedule::new(expr, parse_zone(zone).expect("a test's own zone"))
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().expect("a test's own time")
}

fn fires(text: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    schedule(text, zone)
        .fires_after(utc(from))
        .take(count)
        .map(|fire| fire.format("%dT%H:%MZ").to_string())
        .collect()
}

const PARIS: &str = "Europe/Paris"; // 2026-03-29 02:00 -> 03:00, 2026-10-25 03:00 -> 02:00

#[test]
fn a_skipped_job_runs_right_after_the_change() {
    assert_eq!(
        fires("30 2 * * *", PARIS, "2026-03-28T12:00:00Z", 2),
        ["29T01:00Z", "30T00:30Z"]
    );
}

#[test]
fn several_skipped_times_and_the_landing_are_one_run() {
    assert_eq!(
        fires("0-59 2,3 * * *", PARIS, "2026-03-28T12:00:00Z", 2),
        ["29T01:00Z", "29T01:01Z"]
    );
}

#[test]
fn a_repeated_time_runs_at_its_first_occurrence() {
    assert_eq!(
        fires("30 2 * * *", PARIS, "2026-10-24T12:00:00Z", 2),
        ["25T00:30Z", "26T01:30Z"]
    );
    // Asked between the two, and in the second pass before its own minute.
    assert_eq!(
        fires("30 2 * * *", PARIS, "2026-10-25T00:30:00Z", 1),
        ["26T01:30Z"]
    );
    assert_eq!(
        fires("30 2 * * *", PARIS, "2026-10-25T01:10:00Z", 1),
        ["26T01:30Z"]
    );
    assert_eq!(
        fires("0,30 2,3 * * *", PARIS, "2026-10-25T01:10:00Z", 2),
        ["25T02:00Z", "25T02:30Z"]
    );
}

#[test]
fn wildcard_jobs_follow_the_clock() {
    assert_eq!(
        fires("*/30 2 * * *", PARIS, "2026-03-28T12:00:00Z", 1),
        ["30T00:00Z"]
    );
    assert_eq!(
        fires("*/30 2 * * *", PARIS, "2026-10-24T12:00:00Z", 5),
        [
            "25T00:00Z",
            "25T00:30Z",
            "25T01:00Z",
            "25T01:30Z",
            "26T01:00Z"
        ]
    );
    assert_eq!(
        fires("30 * * * *", PARIS, "2026-10-25T00:00:00Z", 3),
        ["25T00:30Z", "25T01:30Z", "25T02:30Z"]
    );
    // Not a star: @daily at a midnight that is skipped, and every hour written out.
    assert_eq!(
        fires("@daily", "America/Santiago", "2026-09-05T12:00:00Z", 2),
        ["06T04:00Z", "07T03:00Z"]
    );
    assert_eq!(
        fires("30 0-23 * * *", PARIS, "2026-10-25T00:00:00Z", 2),
        ["25T00:30Z", "25T02:30Z"]
    );
}

#[test]
fn half_an_hour_is_a_change_too() {
    let zone = "Australia/Lord_Howe"; // 2026-10-04 02:00 -> 02:30, 2026-04-05 02:00 -> 01:30
    assert_eq!(
        fires("15 2 * * *", zone, "2026-10-03T12:00:00Z", 2),
        ["03T15:30Z", "04T15:15Z"]
    );
    assert_eq!(
        fires("45 1 * * *", zone, "2026-04-04T12:00:00Z", 2),
        ["04T14:45Z", "05T15:15Z"]
    );
    assert_eq!(
        fires("*/15 2 * * *", zone, "2026-04-04T14:50:00Z", 2),
        ["04T15:30Z", "04T15:45Z"]
    );
}

#[test]
fn a_skipped_day_is_a_correction_and_not_made_up_for() {
    // Samoa went from 29 to 31 December 2011.
    assert_eq!(
        fires("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00:00Z", 2),
        ["29T22:00Z", "30T22:00Z"]
    );
    assert_eq!(
        fires("0 12 30 12 *", "Pacific/Apia", "2011-12-29T12:00:00Z", 1)[..],
        ["29T22:00Z"] // of 2012
    );
}

#[test]
fn exactly_three_hours_is_a_correction_only_forward() {
    // cron(8) says "less than" and "more than 3 hours"; for exactly three, cron.c compares
    // minutes to the last one it dealt with, which is one more forward and one less back.
    let zone = "Antarctica/Casey"; // 2009-10-18 02:00 -> 05:00, 2010-03-05 02:00 -> 2010-03-04 23:00
    assert_eq!(
        fires("30 3 * * *", zone, "2009-10-17T12:00:00Z", 1),
        ["18T16:30Z"]
    );
    assert_eq!(
        fires("30 23 * * *", zone, "2010-03-04T12:00:00Z", 2),
        ["04T12:30Z", "05T15:30Z"]
    );
}

#[test]
fn more_than_three_hours_back_is_a_correction_and_repeats() {
    // Vostok went from midnight back to 17:00 on 31 January 1994.
    assert_eq!(
        fires(
            "30 20 * * *",
            "Antarctica/Vostok",
            "1994-01-31T12:00:00Z",
            3
        ),
        ["31T13:30Z", "31T20:30Z", "01T20:30Z"]
    );
}

#[test]
fn impossible_dates_never_fire() {
    let never = schedule("0 0 30 2 *", PARIS);
    assert_eq!(never.next_after(utc("2026-01-01T00:00:00Z")), None);
    assert_eq!(
        never.latest_due(utc("1999-01-01T00:00:00Z"), utc("2026-01-01T00:00:00Z")),
        None
    );
    assert_eq!(never.fires_after(utc("2026-01-01T00:00:00Z")).next(), None);
}

#[test]
fn the_latest_due_is_found_at_once_over_years() {
    let every_minute = schedule("* * * * *", PARIS);
    let (from, to) = (utc("1990-01-01T00:00:00Z"), utc("2026-05-05T05:05:05.5Z"));
    assert_eq!(
        every_minute.latest_due(from, to),
        Some(utc("2026-05-05T05:05:00Z"))
    );
    let yearly = schedule("@yearly", "UTC");
    assert_eq!(
        yearly.latest_due(from, to),
        Some(utc("2026-01-01T00:00:00Z"))
    );
    // The start is outside, the end inside.
    let due = utc("2026-01-01T00:00:00Z");
    assert_eq!(yearly.latest_due(due, due), None);
    assert_eq!(yearly.latest_due(due, to), None);
    assert_eq!(yearly.latest_due(from, due), Some(due));
    assert_eq!(yearly.latest_due(to, from), None);
}

#[test]
fn the_ends_of_the_calendar_do_not_panic() {
    for text in ["* * * * *", "0 3 * * *", "0 0 29 2 1"] {
        for zone in ["UTC", PARIS, "Pacific/Apia"] {
            let schedule = schedule(text, zone);
            let _ = schedule.next_after(DateTime::<Utc>::MAX_UTC);
            let _ = schedule.next_after(DateTime::<Utc>::MIN_UTC);
            let _ = schedule.latest_due(utc("2026-01-01T00:00:00Z"), DateTime::<Utc>::MAX_UTC);
        }
    }
}

#[test]
fn zones_are_parsed_and_near_names_proposed() {
    assert_eq!(
        parse_zone("Europe/Paris"),
        Ok(crate::zones::find("Europe/Paris").unwrap())
    );
    assert_eq!(parse_zone("UTC"), Ok(Zone::utc()));
    let message = |name: &str| parse_zone(name).map_err(|error| error.to_string());
    let proposal = |name: &str| {
        parse_zone(name)
            .err()
            .and_then(|error| error.near().first().copied())
    };
    assert_eq!(proposal("europe/paris"), Some("Europe/Paris"));
    assert_eq!(proposal("Europe/Pariss"), Some("Europe/Paris"));
    assert_eq!(proposal("Paris"), Some("Europe/Paris"));
    assert_eq!(proposal("America/New York"), Some("America/New_York"));
    assert_eq!(
        message("Europe/Pariss"),
        Err("\"Europe/Pariss\" is not a known time zone, did you mean Europe/Paris?".to_owned())
    );
    assert_eq!(
        message(""),
        Err("the time zone is empty, use a name such as Europe/Paris or UTC".to_owned())
    );
    assert!(message(&"x".repeat(100_000)).is_err_and(|text| text.len() < 200));
    assert!(message("CET-1CEST,M3.5.0,M10.5.0/3").is_err());
}

/// The main loop of Debian's cron.c, minute by minute, from `from` to `to`: the fires in it.
fn replay(schedule: &Schedule, from: i64, to: i64) -> Vec<i64> {
    let zone = schedule.zone();
    let clock = |at: i64| at + zone.offset_at(at).expect("inside the calendar");
    let due = |local: i64| {
        let local = Utc.timestamp_opt(local, 0).single().expect("in range");
        schedule.expr().matches(local.naive_utc())
    };
    let mut done = clock(from);
    let mut found = Vec::new();
    let mut at = from;
    while at + 60 <= to {
        at += 60;
        let now = clock(at);
        let behind = (now - done) / 60;
        let fixed: Vec<i64> = match behind {
            -179..=0 => Vec::new(),
            1..=180 => (1..=behind).map(|minute| done + minute * 60).collect(),
            _ => vec![now],
        };
        if !(-179..=0).contains(&behind) {
            done = now;
        }
        let runs = if schedule.expr().is_wildcard() {
            due(now)
        } else {
            fixed.into_iter().any(due)
        };
        if runs {
            found.push(at);
        }
    }
    found
}

fn any_zone() -> impl Strategy<Value = Zone> {
    let names: Vec<&'static str> = zones::names().collect();
    prop::sample::select(names).prop_map(|name| zones::find(name).expect("a known zone"))
}

/// A moment of 1975 to 2040; half of them shortly before or after a clock change.
fn any_moment(zone: Zone) -> impl Strategy<Value = i64> {
    let minutes = 5 * 365 * 1440i64..70 * 365 * 1440;
    (minutes, any::<bool>(), -300i64..300).prop_map(move |(minute, near, offset)| {
        let at = minute * 60;
        match first_change(zone, at, at + 400 * 86_400) {
            Some(change) if near => change.at.div_euclid(60) * 60 + offset * 60,
            _ => at,
        }
    })
}

fn any_case() -> impl Strategy<Value = (Schedule, i64)> {
    (any_expression(), any_zone()).prop_flat_map(|(text, zone)| {
        let expr: CronExpr = text.parse().expect("a valid expression");
        any_moment(zone).prop_map(move |at| (Schedule::new(expr.clone(), zone), at))
    })
}

proptest! {
    #[test]
    fn it_does_what_the_loop_of_cron_does((schedule, at) in any_case()) {
        // The replay starts earlier, so as to know of a change just before.
        let until = at + 36 * 3600;
        let replayed: Vec<i64> = replay(&schedule, at - 8 * 3600, until)
            .into_iter()
            .filter(|fire| *fire > at)
            .collect();
        let start = Utc.timestamp_opt(at, 0).single().expect("in range");
        let found: Vec<i64> = schedule
            .fires_after(start)
            .map(|fire| fire.timestamp())
            .take_while(|fire| *fire <= until)
            .collect();
        prop_assert_eq!(found, replayed);
    }

    #[test]
    fn next_is_strictly_after_and_monotone((schedule, at) in any_case(), later in 0i64..400_000) {
        let first = Utc.timestamp_opt(at, 999_999_999).single().expect("in range");
        let second = first + TimeDelta::seconds(later);
        let (a, b) = (schedule.next_after(first), schedule.next_after(second));
        prop_assert_eq!(a.is_some(), b.is_some());
        if let (Some(a), Some(b)) = (a, b) {
            prop_assert!(a > first && b > second && a <= b);
            prop_assert!(a > second || a <= b);
            prop_assert!(a <= second || a == b);
        }
    }

    #[test]
    fn a_fire_matches_its_fields_unless_it_was_moved((schedule, at) in any_case()) {
        let start = Utc.timestamp_opt(at, 0).single().expect("in range");
        for fire in schedule.fires_after(start).take(20) {
            let local = schedule.zone().local(fire).naive_local();
            let moved = first_change(schedule.zone(), fire.timestamp() - 1, fire.timestamp())
                .is_some_and(|change| change.after > change.before);
            prop_assert!(
                schedule.expr().matches(local) || (moved && !schedule.expr().is_wildcard())
            );
        }
    }

    #[test]
    fn latest_due_is_the_last_of_the_walk((schedule, at) in any_case(), span in 0i64..500_000) {
        let start = Utc.timestamp_opt(at, 0).single().expect("in range");
        let end = start + TimeDelta::seconds(span);
        let walked = schedule.fires_after(start).take_while(|fire| *fire <= end).last();
        prop_assert_eq!(schedule.latest_due(start, end), walked);
    }
}
