//! The meaning of a CRON expression, told while it is typed: in words, as the next fires, around
//! the next clock change, and which other tasks want the same pool at the same time.

use super::{PageError, PageViewer, html};
use crate::domain::cron::CronExpr;
use crate::domain::schedule::{Schedule, parse_zone};
use crate::store;
use crate::web::App;
use crate::web::error::ApiError;
use crate::web::extract::Params;
use crate::zones::Zone;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use std::sync::Arc;

/// Fires shown.
const FIRES: usize = 10;
/// The span in which the next clock change is looked for: a year has two in most zones.
const FAR: TimeDelta = TimeDelta::days(400);
/// The span around a clock change in which fires are looked for.
const AROUND: TimeDelta = TimeDelta::hours(26);

/// A question: an expression in a zone, for a task of that name in that pool.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Question {
    #[serde(default)]
    pub(super) cron: String,
    #[serde(default)]
    pub(super) zone: String,
    #[serde(default)]
    pub(super) pool: String,
    #[serde(default)]
    pub(super) task: String,
}

/// The answer.
#[derive(Template)]
#[template(path = "cron_preview.html")]
pub(super) enum Preview {
    /// No expression: on demand only.
    Nothing,
    /// The expression or the zone cannot be read; the message stands beside the field.
    Wrong { problem: String },
    /// Its meaning.
    Right(Box<Meaning>),
}

pub(super) struct Meaning {
    words: String,
    zone: String,
    fires: Vec<ShownFire>,
    change: Option<NextChange>,
    crowd: Option<String>,
}

struct ShownFire {
    at: String,
    others: String,
}

/// The next clock change and the fires around it.
struct NextChange {
    at: String,
    what: String,
    fires: Vec<String>,
}

/// Another task that fires by itself and uses the same pool.
struct Other {
    name: String,
    schedule: Schedule,
}

/// `/fragments/cron`.
pub(super) async fn fragment(
    _: PageViewer,
    State(app): State<Arc<App>>,
    Params(question): Params<Question>,
) -> Result<Response, PageError> {
    Ok(html(&preview(&app, &question).await?))
}

/// Answers a question.
pub(super) async fn preview(app: &App, question: &Question) -> Result<Preview, ApiError> {
    let schedule = match read(question, app.zone.get()) {
        Ok(Some(schedule)) => schedule,
        Ok(None) => return Ok(Preview::Nothing),
        Err(problem) => return Ok(Preview::Wrong { problem }),
    };
    let (tasks, pools) = app
        .store
        .read(|tx| Ok((store::tasks::list(tx)?, store::pools::list(tx)?)))
        .await?;
    let others: Vec<Other> = tasks
        .into_iter()
        .map(|stored| stored.task)
        .filter(|task| task.auto && task.pool.as_str() == question.pool)
        .filter(|task| task.name.as_str() != question.task)
        .filter_map(|task| {
            Some(Other {
                name: task.name.to_string(),
                schedule: Schedule::new(task.cron?, task.zone.unwrap_or(app.zone.get())),
            })
        })
        .collect();
    let slots = pools
        .iter()
        .find(|stored| stored.pool.name.as_str() == question.pool)
        .map_or(1, |stored| stored.pool.slots.get());
    let meaning = Meaning::new(&schedule, &others, &question.pool, slots, app.clock.now());
    Ok(Preview::Right(Box::new(meaning)))
}

fn read(question: &Question, server: Zone) -> Result<Option<Schedule>, String> {
    if question.cron.trim().is_empty() {
        return Ok(None);
    }
    let expr: CronExpr = question.cron.parse().map_err(said)?;
    let zone = match question.zone.trim() {
        "" => server,
        name => parse_zone(name).map_err(said)?,
    };
    Ok(Some(Schedule::new(expr, zone)))
}

fn said(error: impl std::error::Error) -> String {
    error.to_string()
}

impl Meaning {
    fn new(
        schedule: &Schedule,
        others: &[Other],
        pool: &str,
        slots: u32,
        now: DateTime<Utc>,
    ) -> Self {
        let times: Vec<DateTime<Utc>> = schedule.fires_after(now).take(FIRES).collect();
        let mut most = 0;
        let fires = times.iter().map(|at| {
            let names = at_the_same_time(others, *at);
            most = names.len().max(most);
            ShownFire {
                at: local(*at, schedule.zone()),
                others: names.join(", "),
            }
        });
        let fires = fires.collect();
        Self {
            words: schedule.expr().describe(),
            zone: schedule.zone().name().to_owned(),
            fires,
            change: NextChange::next(schedule, now),
            crowd: crowd(most, pool, slots),
        }
    }
}

fn at_the_same_time(others: &[Other], at: DateTime<Utc>) -> Vec<&str> {
    others
        .iter()
        .filter(|other| other.schedule.next_after(at - TimeDelta::seconds(1)) == Some(at))
        .map(|other| other.name.as_str())
        .collect()
}

fn crowd(most: usize, pool: &str, slots: u32) -> Option<String> {
    let wanted = most + 1;
    let room = usize::try_from(slots).unwrap_or(usize::MAX);
    let slots = match slots {
        1 => "1 slot".to_owned(),
        n => format!("{n} slots"),
    };
    (most > 0).then(|| {
        if wanted > room {
            format!("Up to {wanted} tasks want the pool {pool} ({slots}) at the same time: they wait for each other, the first to start goes on to its end.")
        } else {
            format!("Up to {wanted} tasks want the pool {pool} ({slots}) at the same time: it has room for them.")
        }
    })
}

impl NextChange {
    fn next(schedule: &Schedule, now: DateTime<Utc>) -> Option<Self> {
        let zone = schedule.zone();
        let change = schedule.change_between(now, now + FAR)?;
        let at = DateTime::from_timestamp(change.at, 0)?;
        let by = (change.after - change.before) / 60;
        let how = if by > 0 { "forward" } else { "back" };
        let near: Vec<DateTime<Utc>> = schedule
            .fires_after((at - AROUND).max(now))
            .take_while(|fire| *fire < at + AROUND)
            .collect();
        let first_after = near.partition_point(|fire| *fire < at);
        let shown = first_after.saturating_sub(2)..(first_after + 2).min(near.len());
        Some(Self {
            at: local(at, zone),
            what: format!("the clock goes {how} by {} min", by.abs()),
            fires: near[shown].iter().map(|at| local(*at, zone)).collect(),
        })
    }
}

/// A time with its weekday and the zone's abbreviation, which tells summer from winter.
fn local(time: DateTime<Utc>, zone: Zone) -> String {
    format!(
        "{} {}",
        zone.local(time).format("%a %Y-%m-%d %H:%M"),
        zone.abbreviation(time)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule::new(cron.parse().unwrap(), parse_zone(zone).unwrap())
    }

    #[test]
    fn the_clock_change_shows_the_fires_around_it() {
        let now = time("2026-03-01T00:00:00Z");
        let change = NextChange::next(&schedule("30 2 * * *", "Europe/Paris"), now).unwrap();
        assert_eq!(change.what, "the clock goes forward by 60 min");
        assert_eq!(
            change.fires,
            [
                "Sat 2026-03-28 02:30 CET",
                "Sun 2026-03-29 03:00 CEST",
                "Mon 2026-03-30 02:30 CEST"
            ]
        );
        assert!(NextChange::next(&schedule("30 2 * * *", "UTC"), now).is_none());
    }

    #[test]
    fn a_full_pool_is_told_from_one_with_room() {
        let now = time("2026-03-01T00:00:00Z");
        let others = [Other {
            name: "backup_immich".to_owned(),
            schedule: schedule("0 */3 * * *", "UTC"),
        }];
        let meaning = |slots| {
            let daily = schedule("0 3 * * *", "UTC");
            Meaning::new(&daily, &others, "backup", slots, now)
        };
        assert_eq!(meaning(1).fires[0].others, "backup_immich");
        assert!(meaning(1).crowd.unwrap().contains("wait for each other"));
        assert!(meaning(2).crowd.unwrap().contains("has room"));
        let alone = Meaning::new(&schedule("1 3 * * *", "UTC"), &others, "backup", 1, now);
        assert!(alone.crowd.is_none());
    }
}
