//! Properties of every expression, not only of hand-picked ones.

use super::CronExpr;
use super::tests::{at, parse};
use chrono::{NaiveDateTime, TimeDelta};
use proptest::prelude::*;

/// Text of one field, from the grammar of crontab(5).
fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
    let element = prop_oneof![
        2 => Just("*".to_owned()),
        2 => (1u32..=70).prop_map(|step| format!("*/{step}")),
        4 => (low..=high).prop_map(|value| value.to_string()),
        3 => (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        2 => (low..=high, low..=high, 1u32..=9)
            .prop_map(|(a, b, step)| format!("{}-{}/{step}", a.min(b), a.max(b))),
    ];
    proptest::collection::vec(element, 1..4).prop_map(|elements| elements.join(","))
}

/// Any valid expression of five fields.
pub(in crate::domain) fn any_expression() -> impl Strategy<Value = String> {
    (
        field(0, 59),
        field(0, 23),
        field(1, 31),
        field(1, 12),
        field(0, 7),
    )
        .prop_map(|(a, b, c, d, e)| format!("{a} {b} {c} {d} {e}"))
}

/// The definition, without the crate: the first date and minute in the sets.
fn walked(expr: &CronExpr, after: NaiveDateTime) -> Option<NaiveDateTime> {
    let first = after.date();
    first.iter_days().take(366 * 9).find_map(|date| {
        expr.hours
            .iter()
            .flat_map(|hour| expr.minutes.iter().map(move |minute| (hour, minute)))
            .filter_map(|(hour, minute)| date.and_hms_opt(hour, minute, 0))
            .find(|time| *time > after && expr.matches(*time))
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        let _ = text.parse::<CronExpr>();
    }

    #[test]
    fn no_text_of_its_own_letters_makes_it_panic(text in "[-0-9*/,@ a-z]{0,40}") {
        if let Ok(expr) = text.parse::<CronExpr>() {
            prop_assert!(!expr.describe().is_empty());
            prop_assert_eq!(expr.to_string().parse::<CronExpr>(), Ok(expr));
        }
    }

    #[test]
    fn what_is_printed_parses_to_the_same(text in any_expression()) {
        let expr = parse(&text);
        prop_assert_eq!(expr.to_string().parse::<CronExpr>(), Ok(expr));
    }

    #[test]
    fn the_calendar_agrees_with_walking_day_by_day(
        text in any_expression(),
        day in -25_000i64..200_000,
        second in 0i64..86_400,
    ) {
        let expr = parse(&text);
        let after = at("1970-01-01 00:00") + TimeDelta::days(day) + TimeDelta::seconds(second);
        let found = expr.next_local(after);
        if let Some(found) = found {
            prop_assert!(found > after && expr.matches(found));
        }
        let within = found.filter(|found| *found < after + TimeDelta::days(366 * 8));
        let walked = walked(&expr, after).filter(|found| *found < after + TimeDelta::days(366 * 8));
        prop_assert_eq!(within, walked);
    }
}
