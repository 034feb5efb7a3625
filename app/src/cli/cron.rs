//! `lightflow cron`: explains an expression and prints its next fires, without a server.
//!
//! The output is a contract with scripts: UTC, RFC 3339, whole seconds, `Z`; exit code 2 and
//! one line on standard error for anything invalid.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::zones::Zone;
use chrono::{DateTime, Datelike, FixedOffset, Utc};
use clap::Args;

use crate::domain::cron::CronExpr;
use crate::domain::schedule::{ClockChange, Schedule, parse_zone};
use crate::engine::{Clock, SystemClock};

/// The most fires printed at once.
const MAX_COUNT: u32 = 10_000;

/// Text is folded at this width.
const WIDTH: usize = 80;

/// RFC 3339 has four digits for a year.
const LAST_YEAR: i32 = 9999;

/// Exit code for anything the user has to write differently, as clap uses it.
const USAGE: u8 = 2;

/// Explain a CRON expression and print its next runs
#[derive(Debug, Args)]
#[command(
    long_about = "Explain a CRON expression in words and print its next runs. The expression has \
        the five fields of crontab(5), or is a word such as @daily. No server is needed.",
    override_usage = "lightflow cron [OPTIONS] <EXPR>"
)]
pub struct Cron {
    /// Five fields in one argument, for example "0 3 * * *", or @daily and friends
    #[arg(allow_hyphen_values = true)]
    expr: String,
    /// The other fields, when each is an argument of its own
    #[arg(value_name = "FIELD", num_args = 0.., allow_negative_numbers = true, hide = true)]
    fields: Vec<String>,
    /// Time zone, for example Europe/Paris [default: LIGHTFLOW_TZ, then TZ, then UTC]
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Print runs strictly after this time, for example 2026-10-25T00:00:00Z [default: now]
    #[arg(long, value_name = "RFC3339", value_parser = parse_from)]
    from: Option<DateTime<Utc>>,
    /// The number of runs to print, 1 to 10000
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_COUNT)))]
    count: u32,
    /// Print {"description": …, "fires": […]} with times in UTC
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand: the answer on standard output, or the reason on standard error and 2.
#[must_use]
pub fn run(cron: &Cron) -> ExitCode {
    let answer = match answer(cron) {
        Ok(answer) => answer,
        Err(reason) => {
            // With standard error closed, the exit code still tells.
            let _ = writeln!(io::stderr(), "error: {reason}");
            return ExitCode::from(USAGE);
        }
    };
    let mut out = io::stdout().lock();
    match out.write_all(answer.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // `lightflow cron … | head -1` is a success.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot write the answer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer(cron: &Cron) -> Result<String, String> {
    let expr = expression(cron)?;
    let zone = zone(cron)?;
    let from = cron.from.unwrap_or_else(|| SystemClock.now());
    let count = usize::try_from(cron.count).map_err(|error| error.to_string())?;
    let schedule = Schedule::new(expr, zone);
    let fires: Vec<DateTime<Utc>> = schedule
        .fires_after(from)
        .take_while(|fire| fire.year() <= LAST_YEAR)
        .take(count)
        .collect();
    if cron.json {
        Ok(json(&schedule, &fires))
    } else {
        Ok(text(&schedule, from, &fires))
    }
}

fn expression(cron: &Cron) -> Result<CronExpr, String> {
    let words = std::iter::once(&cron.expr).chain(&cron.fields);
    let words: Vec<&str> = words.map(String::as_str).collect();
    if let Some(option) = words.iter().find(|word| looks_like_an_option(word)) {
        return Err(format!(
            "unknown option {option:?}, see lightflow cron --help"
        ));
    }
    let text = words.join(" ");
    text.parse().map_err(|error| {
        let shown: String = text.chars().take(WIDTH).collect();
        format!("{shown:?} is not a CRON expression: {error}")
    })
}

/// No field starts with a hyphen and a letter, so this was meant for someone else.
fn looks_like_an_option(word: &str) -> bool {
    let name = word.trim_start_matches('-');
    name.len() < word.len() && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn zone(cron: &Cron) -> Result<Zone, String> {
    if let Some(name) = &cron.tz {
        return parse_zone(name).map_err(|error| format!("--tz: {error}"));
    }
    for variable in ["LIGHTFLOW_TZ", "TZ"] {
        let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        // POSIX marks a name, as opposed to a rule like CET-1CEST, by a colon.
        let name = value.to_string_lossy();
        let name = name.strip_prefix(':').unwrap_or(&name);
        return parse_zone(name).map_err(|error| format!("{variable}: {error}"));
    }
    Ok(Zone::utc())
}

fn parse_from(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| {
            "write a date, a time and an offset as in 2026-10-25T00:00:00Z or 2026-10-25T02:00:00+02:00"
                .to_owned()
        })
}

fn json(schedule: &Schedule, fires: &[DateTime<Utc>]) -> String {
    let fires: Vec<String> = fires
        .iter()
        .map(|fire| fire.format("%Y-%m-%dT%H:%M:%SZ").to_string())
        .collect();
    let document = serde_json::json!({
        "description": schedule.expr().describe(),
        "fires": fires,
    });
    format!("{document}\n")
}

/// The description, then a line a fire in local time, with the clock changes in between.
fn text(schedule: &Schedule, from: DateTime<Utc>, fires: &[DateTime<Utc>]) -> String {
    let mut out = folded(&schedule.expr().describe());
    if fires.is_empty() {
        return out;
    }
    let zone = schedule.zone();
    // Writing to a String cannot fail.
    let _ = write!(out, "\nNext fires in {}:\n", zone.name());
    let mut last = from;
    for fire in fires {
        // A yearly task crosses many changes that do not concern it.
        let near = last.max(*fire - chrono::TimeDelta::days(1));
        if let Some(change) = schedule.change_between(near, *fire) {
            let _ = writeln!(out, "  -- {} --", change_in_words(change));
        }
        let local = zone.local(*fire);
        let _ = write!(out, "  {}", local.format("%a %Y-%m-%d %H:%M %:z"));
        if !schedule.expr().matches(local.naive_local()) {
            let _ = write!(out, "  (due in the skipped time)");
        }
        out.push('\n');
        last = *fire;
    }
    out
}

fn change_in_words(change: ClockChange) -> String {
    let shown = |offset: i64| {
        let at = DateTime::from_timestamp(change.at, 0)?;
        let offset = FixedOffset::east_opt(i32::try_from(offset).ok()?)?;
        Some(at.with_timezone(&offset).format("%H:%M").to_string())
    };
    let direction = if change.after > change.before {
        "forward"
    } else {
        "back"
    };
    let (Some(old), Some(new)) = (shown(change.before), shown(change.after)) else {
        return format!("the clock goes {direction}");
    };
    format!("the clock goes {direction} from {old} to {new}")
}

fn folded(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        if column > 0 && column + 1 + word.len() > WIDTH {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
    out
}
