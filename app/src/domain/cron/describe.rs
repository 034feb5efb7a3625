//! A CRON expression in plain English.
//!
//! The words follow from the sets of values alone, so two spellings of one rule read the same:
//! `0,15,30,45` and `*/15` are both "every 15 minutes".

use super::CronExpr;
use super::field::Values;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// Up to this number of clock times are listed, and up to the double without a rhythm.
const MOST_TIMES: usize = 3;

/// The time of day, in the two shapes that need different sentences.
enum Times {
    /// "03:00" or "08:00 and 20:00": goes with "at".
    At(String),
    /// "every 15 minutes", "every hour at minute 5": stands alone.
    Every(String),
}

/// The days, in the shapes that need different sentences.
enum Days {
    /// Every day of the months that count.
    All,
    /// One weekday, which can be said as "every Sunday".
    OneWeekday(&'static str),
    /// "Monday to Friday".
    Weekdays(String),
    /// "on day 1 of January": names its months itself.
    Dates(String),
}

impl CronExpr {
    /// The expression in plain English, for example "every day at 03:00".
    #[must_use]
    pub fn describe(&self) -> String {
        describe(self)
    }
}

fn describe(expr: &CronExpr) -> String {
    let months = in_months(expr.months);
    let sentence = match (times(expr), days(expr)) {
        (Times::At(times), Days::All) => format!("every day{months} at {times}"),
        (Times::At(times), Days::OneWeekday(day)) => format!("every {day}{months} at {times}"),
        (Times::At(times), Days::Weekdays(days)) => format!("at {times} on {days}{months}"),
        (Times::At(times), Days::Dates(dates)) => format!("{dates} at {times}"),
        (Times::Every(times), Days::All) => format!("{times}{months}"),
        (Times::Every(times), Days::OneWeekday(day)) => format!("{times} on {day}{months}"),
        (Times::Every(times), Days::Weekdays(days)) => format!("{times} on {days}{months}"),
        (Times::Every(times), Days::Dates(dates)) => {
            format!("{times} {}", dates.trim_end_matches(','))
        }
    };
    if ever(expr) {
        sentence
    } else {
        format!("{sentence} (there is no such date, so it never runs)")
    }
}

/// Reports if any date satisfies the day and month fields.
fn ever(expr: &CronExpr) -> bool {
    chrono::NaiveDate::from_ymd_opt(2000, 1, 1)
        .and_then(|date| date.and_hms_opt(0, 0, 0))
        .and_then(|start| expr.next_local(start))
        .is_some()
}

fn times(expr: &CronExpr) -> Times {
    let minutes: Vec<u32> = expr.minutes.iter().collect();
    let hours: Vec<u32> = expr.hours.iter().collect();
    let even = even_step(&minutes, 60).is_some() || even_step(&hours, 24).is_some();
    let rhythm = even || (hours.len() > 1 && is_run(&hours));
    let count = minutes.len() * hours.len();
    if count <= MOST_TIMES || (count <= 2 * MOST_TIMES && !rhythm) {
        let clock = hours
            .iter()
            .flat_map(|hour| minutes.iter().map(move |m| format!("{hour:02}:{m:02}")))
            .collect();
        return Times::At(joined(clock));
    }
    let step = if expr.minutes.is_full() {
        Some((0, 1))
    } else {
        even_step(&minutes, 60)
    };
    let text = match (step, &minutes[..], &hours[..]) {
        (Some((start, step)), [first, .., last], _) => {
            let span = match &hours[..] {
                _ if expr.hours.is_full() && start == 0 => String::new(),
                _ if expr.hours.is_full() => format!(" from minute {start} of the hour"),
                [from, .., to] if is_run(&hours) => span((from, first), (to, last)),
                [only] => span((only, first), (only, last)),
                _ if start == 0 => format!(" in {}", hour_list(&hours)),
                _ => format!(" from minute {start} in {}", hour_list(&hours)),
            };
            match step {
                1 => format!("every minute{span}"),
                _ => format!("every {step} minutes{span}"),
            }
        }
        (_, [0], _) if expr.hours.is_full() => "every hour on the hour".to_owned(),
        _ if expr.hours.is_full() => format!("every hour at {}", counted("minute", &minutes)),
        (_, [minute], [from, .., to]) if is_run(&hours) => {
            format!("every hour{}", span((from, minute), (to, minute)))
        }
        (_, [minute], [from, .., to]) => match even_step(&hours, 24) {
            Some((0, step)) => format!("every {step} hours at minute {minute}"),
            Some((_, step)) => {
                format!("every {step} hours{}", span((from, minute), (to, minute)))
            }
            None => format!("at minute {minute} of {}", hour_list(&hours)),
        },
        _ => format!(
            "at {} of {}",
            counted("minute", &minutes),
            hour_list(&hours)
        ),
    };
    Times::Every(text)
}

fn span(from: (&u32, &u32), to: (&u32, &u32)) -> String {
    format!(
        " from {:02}:{:02} to {:02}:{:02}",
        from.0, from.1, to.0, to.1
    )
}

fn hour_list(hours: &[u32]) -> String {
    match even_step(hours, 24) {
        Some((0, step)) => format!("every {} hour", ordinal(step)),
        _ => counted("hour", hours),
    }
}

fn days(expr: &CronExpr) -> Days {
    let (days, weekdays) = (expr.days, expr.weekdays);
    match (days.is_full(), weekdays.is_full()) {
        (true, true) => Days::All,
        // Alternatives of which one is always true.
        (true, false) | (false, true) if !expr.both_days_must_match() => Days::All,
        (true, false) => match weekdays.iter().collect::<Vec<_>>()[..] {
            [only] => Days::OneWeekday(weekday(only)),
            _ => Days::Weekdays(weekday_list(weekdays)),
        },
        (false, true) => Days::Dates(format!("on {}", dates(expr))),
        (false, false) if expr.both_days_must_match() => Days::Dates(format!(
            "on {}, if it is {},",
            dates(expr),
            weekday_list(weekdays).replace(" and ", " or ")
        )),
        (false, false) => {
            let weekdays = weekday_list(weekdays);
            let months = in_months(expr.months);
            Days::Dates(format!("on {} or on {weekdays}{months}", dates(expr)))
        }
    }
}

/// "day 1 and 15 of the month", "day 1 to 7 of June".
fn dates(expr: &CronExpr) -> String {
    let days: Vec<u32> = expr.days.iter().collect();
    let month = if expr.months.is_full() {
        "the month".to_owned()
    } else {
        month_list(expr.months)
    };
    match (progression(&days), &days[..]) {
        (Some((_, step)), [first, .., last]) if days.len() > 4 => format!(
            "every {} day of {month} from day {first} to {last}",
            ordinal(step)
        ),
        _ => format!(
            "day {} of {month}",
            joined(runs(&days, |day| day.to_string()))
        ),
    }
}

/// Monday first, so that a weekend is "Saturday and Sunday".
fn weekday_list(weekdays: Values) -> String {
    let mut days: Vec<u32> = weekdays.iter().filter(|&day| day > 0).collect();
    if weekdays.contains(0) {
        days.push(7);
    }
    joined(runs(&days, |day| weekday(day).to_owned()))
}

fn weekday(day: u32) -> &'static str {
    name(&WEEKDAYS, day % 7)
}

fn in_months(months: Values) -> String {
    if months.is_full() {
        return String::new();
    }
    format!(" in {}", month_list(months))
}

fn month_list(months: Values) -> String {
    let numbers: Vec<u32> = months.iter().collect();
    joined(runs(&numbers, |month| name(&MONTHS, month - 1).to_owned()))
}

fn name(names: &[&'static str], index: u32) -> &'static str {
    usize::try_from(index)
        .ok()
        .and_then(|index| names.get(index))
        .copied()
        .unwrap_or_default()
}

/// "minute 5" or "minutes 5, 10 and 20".
fn counted(unit: &str, values: &[u32]) -> String {
    let plural = if values.len() == 1 { "" } else { "s" };
    format!(
        "{unit}{plural} {}",
        joined(runs(values, |value| value.to_string()))
    )
}

/// The start and step of values that divide the whole cycle evenly: `*/15`, but not `*/7`.
fn even_step(values: &[u32], cycle: u32) -> Option<(u32, u32)> {
    let (first, step) = progression(values)?;
    let count = u32::try_from(values.len()).ok()?;
    (values.len() > 1 && step * count == cycle && first < step).then_some((first, step))
}

/// The start and the step of an arithmetic progression with a step above one.
fn progression(values: &[u32]) -> Option<(u32, u32)> {
    let (first, second) = (values.first()?, values.get(1)?);
    let step = second - first;
    (step > 1 && values.windows(2).all(|pair| pair[1] - pair[0] == step)).then_some((*first, step))
}

fn is_run(values: &[u32]) -> bool {
    values.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

/// Three and more in a row become "1 to 5".
fn runs(values: &[u32], name: impl Fn(u32) -> String) -> Vec<String> {
    values
        .chunk_by(|a, b| *b == a + 1)
        .flat_map(|run| match run {
            [first, _, .., last] if run.len() > 2 => {
                vec![format!("{} to {}", name(*first), name(*last))]
            }
            _ => run.iter().map(|&value| name(value)).collect(),
        })
        .collect()
}

/// "a, b and c".
fn joined(mut words: Vec<String>) -> String {
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
        None => String::new(),
    }
}

fn ordinal(number: u32) -> String {
    let suffix = match (number % 10, number % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}
