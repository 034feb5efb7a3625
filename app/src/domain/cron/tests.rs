//! The grammar against what Debian's `crontab` says, the calendar against plain walking.

use chrono::{Datelike, NaiveDate, NaiveDateTime};

use super::{CronError, CronExpr, MAX_LENGTH};

pub(super) fn parse(text: &str) -> CronExpr {
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?} is refused: {error}"))
}

fn refusal(text: &str) -> String {
    match text.parse::<CronExpr>() {
        Ok(_) => panic!("{text:?} is accepted"),
        Err(error) => error.to_string(),
    }
}

pub(super) fn at(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a test's own time")
}

/// The next fires after `from`, in local time.
fn next(text: &str, from: &str, count: usize) -> Vec<String> {
    let expr = parse(text);
    std::iter::successors(Some(at(from)), |local| expr.next_local(*local))
        .skip(1)
        .take(count)
        .map(|local| local.format("%Y-%m-%d %H:%M").to_string())
        .collect()
}

// The three lists below are what `crontab` of Debian's cron 3.0pl1-162 said to each line.

const ACCEPTED_AS_CRONTAB_DOES: &[&str] = &[
    "* * * * *",
    "*/2 * * * *",
    "1-10/3 * * * *",
    "*/100 * * * *",
    "30-30/7 * * * *",
    "*,5 * * * *",
    "5,* * * * *",
    "*/2,5 * * * *",
    "1,2-4,*/20 * * * *",
    "05 * * * *",
    "0000005 * * * *",
    "* * * jan *",
    "* * * JAN-mar *",
    "* * * jan-mar/2 *",
    "* * * jan,feb *",
    "* * * jan-3 *",
    "* * * * 7",
    "* * * * 0-7",
    "* * * * */7",
    "* * * * *,1",
    "* * * * 1,*",
    "* * * * mon-fri",
    "* * * * Mon,wed",
    "* * * * sun-sat",
    "* * * * fri-7",
    "* * * * 5-7",
    "* * * * 1-fri",
    "* * 30 2 *",
    "* * 31 feb,apr *",
    "0 0 1-7 * mon",
    "0 0 */2 * mon",
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
    "  0 0 * * *",
    "0\t0\t*\t*\t*",
    "0  0   *  *   *",
];

const REFUSED_AS_CRONTAB_DOES: &[&str] = &[
    "5/2 * * * *",
    "*/0 * * * *",
    "0-59/0 * * * *",
    "? * * * *",
    "* * ? * *",
    "* * L * *",
    "* * * * 5L",
    "* * 15W * *",
    "* * 1-5L * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * 32 * *",
    "* * * 0 *",
    "* * * 13 *",
    "* * * * 8",
    "* * * january *",
    "* * * * monday",
    "* * mon * *",
    "jan * * * *",
    "5, * * * *",
    ",5 * * * *",
    "5,,6 * * * *",
    "5- * * * *",
    "-5 * * * *",
    "5--6 * * * *",
    "1-5/ * * * *",
    "*/ * * * *",
    "/5 * * * *",
    "*/* * * * *",
    "*/-1 * * * *",
    "5x * * * *",
    "0x5 * * * *",
    "+5 * * * *",
    "5-64 * * * *",
    "5-64/30 * * * *",
    "* * * * 1-5/mon",
    "* * * *",
    "* * *",
    "",
    "@",
    "@ daily",
    "@Daily",
    "@DAILY",
    "@every_minute",
    "* * * * * *",
    "% * * * *",
    "\\* * * * *",
    "\"*\" * * * *",
    "é * * * *",
    "H * * * *",
];

/// With what crontab makes of them, which is never what was written.
const REFUSED_THOUGH_CRONTAB_TAKES_THEM: &[(&str, &str)] = &[
    ("5-1 * * * *", "never"),
    ("10,5-1 * * * *", "10"),
    ("* * * * sat-sun", "never"),
    ("* * * * 7-1", "never"),
    ("* * * * 6-0", "never"),
    ("* * * * 5#3", "every Friday"),
    ("* * * * fri#3", "every Friday"),
    ("*5 * * * *", "*"),
    ("** * * * *", "*"),
    ("*-5 * * * *", "*"),
    ("1-5-7 * * * *", "1-5"),
    ("1-5/2/3 * * * *", "1-5/2"),
    ("*/2-5 * * * *", "*/2"),
    ("5. * * * *", "5"),
    ("5? * * * *", "5"),
    ("5; * * * *", "5"),
    ("5é * * * *", "5"),
    ("1~5 * * * *", "1"),
    ("4294967297 * * * *", "1, by overflow"),
    ("*/4294967297 * * * *", "*, by overflow"),
    ("0 0 * * * 2026", "the command 2026"),
    ("@reboot", "once at start-up"),
];

#[test]
fn what_crontab_accepts_is_accepted() {
    for text in ACCEPTED_AS_CRONTAB_DOES {
        parse(text);
    }
}

#[test]
fn what_crontab_refuses_is_refused() {
    for text in REFUSED_AS_CRONTAB_DOES {
        refusal(text);
    }
}

#[test]
fn what_crontab_would_silently_change_is_refused() {
    for (text, _) in REFUSED_THOUGH_CRONTAB_TAKES_THEM {
        refusal(text);
    }
}

#[test]
fn a_refusal_names_the_field_the_text_and_the_fix() {
    let cases = [
        ("* 25 * * *", "hour: 25 is out of range, use 0 to 23"),
        (
            "* * 1,32 * *",
            "day of month: 32 is out of range, use 1 to 31",
        ),
        (
            "99999999999 * * * *",
            "minute: 99999999999 is out of range, use 0 to 59",
        ),
        (
            "1/5 * * * *",
            "minute: 1/5: a step needs a range before it, use */5 or 1-59/5",
        ),
        (
            "* * * * sat-sun",
            "day of week: sat-sun runs backwards and would never match, write the smaller number first or two ranges (7 is Sunday at the end of a range)",
        ),
        (
            "* * * january *",
            "month: \"january\" is not understood, use *, 1 to 12 or jan to dec (three letters)",
        ),
        (
            "*/0 * * * *",
            "minute: */0: the step \"0\" is not usable, use a whole number from 1 on",
        ),
        (
            "1,,2 * * * *",
            "minute: \"1,,2\" lacks a value between its commas, write one or leave the sign out",
        ),
        (
            "* * * *",
            "expected 5 fields (minute, hour, day of month, month, day of week), found 4: use * for a field that does not matter",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(refusal(text), message, "{text}");
    }
    assert!(refusal("@reboot").starts_with("@reboot names no time"));
    assert!(refusal("@Daily").contains("(in lower case)"));
    assert!(refusal("0 0 * * 5#3").contains("n-th weekday"));
    assert!(refusal("0 0 * *\n*").contains("'\\n'"));
}

#[test]
fn length_is_limited() {
    let long = |bytes: usize| format!("{}0 * * * *", "0,".repeat((bytes - 9) / 2));
    parse(&long(MAX_LENGTH - 1));
    assert_eq!(
        long(MAX_LENGTH + 1).parse::<CronExpr>(),
        Err(CronError::TooLong {
            length: MAX_LENGTH + 1
        })
    );
    assert!(refusal(&format!("{} * * * *", "x".repeat(900))).len() < 200);
}

#[test]
fn it_prints_as_given_with_single_spaces() {
    assert_eq!(
        parse(" 0\t 3  * * MON-fri\n").to_string(),
        "0 3 * * MON-fri"
    );
    assert_eq!(parse("@daily").to_string(), "@daily");
}

#[test]
fn days_of_month_or_week_when_neither_starts_with_a_star() {
    assert_eq!(
        next("30 4 1,15 * 5", "2026-05-01 05:00", 4),
        [
            "2026-05-08 04:30",
            "2026-05-15 04:30",
            "2026-05-22 04:30",
            "2026-05-29 04:30"
        ]
    );
    // A full list is as unrestricted as a star, and wins.
    assert_eq!(
        next("0 0 1-31 * 5", "2026-05-01 05:00", 2),
        ["2026-05-02 00:00", "2026-05-03 00:00"]
    );
}

#[test]
fn both_days_must_match_when_one_starts_with_a_star() {
    // Debian's well-known first Monday: 1-7 is alternative to mon, */2 is not.
    assert_eq!(
        next("0 0 */2 * mon", "2026-05-01 00:00", 3),
        ["2026-05-11 00:00", "2026-05-25 00:00", "2026-06-01 00:00"]
    );
    assert_eq!(
        next("0 0 *,13 * 5", "2026-05-01 00:00", 2),
        ["2026-05-08 00:00", "2026-05-15 00:00"]
    );
    // The star has to come first.
    assert_eq!(
        next("0 0 13,* * 5", "2026-05-01 00:00", 2),
        ["2026-05-02 00:00", "2026-05-03 00:00"]
    );
}

#[test]
fn sunday_is_0_and_7_also_in_ranges_and_steps() {
    let sundays = next("0 0 * * 0", "2026-05-01 00:00", 3);
    for same in ["0 0 * * 7", "0 0 * * sun", "0 0 * * */7", "0 0 * * SUN"] {
        assert_eq!(next(same, "2026-05-01 00:00", 3), sundays, "{same}");
    }
    // 1,3,5,7
    assert_eq!(
        next("0 0 * * 1-7/2", "2026-05-01 00:00", 3),
        ["2026-05-03 00:00", "2026-05-04 00:00", "2026-05-06 00:00"]
    );
    // 0,5: the step is counted from Sunday as 0.
    assert_eq!(
        next("0 0 * * */5", "2026-05-01 00:00", 2),
        ["2026-05-03 00:00", "2026-05-08 00:00"]
    );
}

#[test]
fn a_step_stays_inside_its_range() {
    // Some parsers read 5-5/15 as 5/15, which crontab does not even accept.
    assert_eq!(
        next("5-5/15 * * * *", "2026-05-01 00:00", 2),
        ["2026-05-01 00:05", "2026-05-01 01:05"]
    );
    assert_eq!(
        next("*/100 2 * * *", "2026-05-01 00:00", 2),
        ["2026-05-01 02:00", "2026-05-02 02:00"]
    );
}

#[test]
fn words_stand_for_their_fields() {
    let same = [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ];
    for (word, fields) in same {
        assert_eq!(
            next(word, "2026-02-27 12:34", 3),
            next(fields, "2026-02-27 12:34", 3)
        );
        assert_eq!(parse(word).is_wildcard(), parse(fields).is_wildcard());
        assert_eq!(parse(word).describe(), parse(fields).describe());
    }
}

#[test]
fn only_a_leading_star_of_minute_or_hour_makes_a_wildcard_job() {
    for text in ["* 2 * * *", "*/5 2 * * *", "0 *,2 * * *", "@hourly"] {
        assert!(parse(text).is_wildcard(), "{text}");
    }
    for text in [
        "0 2 * * *",
        "0 2,* * * *",
        "0-59 0-23 * * *",
        "0 0 */2 * *",
        "@daily",
    ] {
        assert!(!parse(text).is_wildcard(), "{text}");
    }
}

#[test]
fn impossible_dates_have_no_next_and_say_so() {
    for text in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 30 2 */2"] {
        assert_eq!(parse(text).next_local(at("2026-01-01 00:00")), None);
        assert!(
            parse(text).describe().ends_with("so it never runs)"),
            "{text}"
        );
    }
    // "or on Monday" is possible.
    assert_eq!(
        next("0 0 30 2 1", "2026-01-31 00:00", 1),
        ["2026-02-02 00:00"]
    );
}

#[test]
fn the_years_of_the_crate_do_not_show() {
    assert_eq!(
        next("0 0 29 2 *", "2096-03-01 00:00", 1),
        ["2104-02-29 00:00"]
    );
    assert_eq!(
        next("0 3 * * *", "2100-12-31 12:00", 1),
        ["2101-01-01 03:00"]
    );
    assert_eq!(
        next("0 3 * * *", "1850-12-31 12:00", 1),
        ["1851-01-01 03:00"]
    );
    for year in [2026, 2071, 2072, 2080, 2088, 2096, 2272, 2296] {
        assert_eq!(
            next("0 0 29 2 */7", &format!("{year}-03-01 00:00"), 1),
            [next_sunday_leap_day(year)]
        );
    }
    assert_eq!(parse("* * * * *").next_local(NaiveDateTime::MAX), None);
    let _ = parse("* * * * *").next_local(NaiveDateTime::MIN);
}

fn next_sunday_leap_day(after: i32) -> String {
    (after + 1..)
        .filter_map(|year| NaiveDate::from_ymd_opt(year, 2, 29))
        .find(|date| date.weekday() == chrono::Weekday::Sun)
        .map(|date| format!("{date} 00:00"))
        .expect("there is one")
}

#[test]
fn descriptions_are_plain_english() {
    let cases = [
        ("0 3 * * *", "every day at 03:00"),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("0,15,30,45 * * * *", "every 15 minutes"),
        (
            "5-59/15 * * * 1",
            "every 15 minutes from minute 5 of the hour on Monday",
        ),
        (
            "*/7 * * * *",
            "every hour at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56",
        ),
        ("* 3 * * *", "every minute from 03:00 to 03:59"),
        (
            "*/15 9-17 * * 1-5",
            "every 15 minutes from 09:00 to 17:45 on Monday to Friday",
        ),
        (
            "*/20 0-12/3 * * *",
            "every 20 minutes in hours 0, 3, 6, 9 and 12",
        ),
        ("0 * * * *", "every hour on the hour"),
        ("5 * * * *", "every hour at minute 5"),
        ("5,10 * * * *", "every hour at minutes 5 and 10"),
        ("0 */2 * * *", "every 2 hours at minute 0"),
        ("15 1-23/2 * * *", "every 2 hours from 01:15 to 23:15"),
        (
            "0 9-17 * * 1-5",
            "every hour from 09:00 to 17:00 on Monday to Friday",
        ),
        ("0,30 2 * * *", "every day at 02:00 and 02:30"),
        (
            "0 1,3,8,9 * * *",
            "every day at 01:00, 03:00, 08:00 and 09:00",
        ),
        ("30 2 * * 1-5", "at 02:30 on Monday to Friday"),
        ("0 0 * * 6,0", "at 00:00 on Saturday and Sunday"),
        ("0 0 * * 5-7", "at 00:00 on Friday to Sunday"),
        ("5 4 * * sun", "every Sunday at 04:05"),
        ("5 4 * 3 sun", "every Sunday in March at 04:05"),
        ("0 8 * 6-8 *", "every day in June to August at 08:00"),
        (
            "0 0 1,15 * 0",
            "on day 1 and 15 of the month or on Sunday at 00:00",
        ),
        ("0 0 1 1 *", "on day 1 of January at 00:00"),
        (
            "0 0 1-20/3 * *",
            "on every 3rd day of the month from day 1 to 19 at 00:00",
        ),
        (
            "0 0 */2 * mon",
            "on every 2nd day of the month from day 1 to 31, if it is Monday, at 00:00",
        ),
        ("0 0 1-31 * 5", "every day at 00:00"),
    ];
    for (text, words) in cases {
        assert_eq!(parse(text).describe(), words, "{text}");
    }
}
