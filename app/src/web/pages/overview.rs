//! The first page: the overview of all tasks, problems first.

use super::frame::{Frame, Section};
use super::grid::{Mark, run_mark};
use super::moments::{ago, before, upcoming};
use super::strip::{Day, days, first_day};
use super::task::schedule;
use super::trend::{self, Trend};
use super::{PageError, PageViewer, html, lasted, shown};
use crate::domain::mirror::{Completeness, MirrorState};
use crate::domain::overdue::overdue_at;
use crate::domain::schedule::Schedule;
use crate::store::fares::{self, Fare};
use crate::web::App;
use crate::zones::Zone;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;

/// The time for which a decision about the clock is shown.
const NEWS: TimeDelta = TimeDelta::days(1);

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    body: OverviewFragment,
}

#[derive(Template)]
#[template(path = "overview_list.html")]
struct OverviewFragment {
    admin: bool,
    /// The last decision about the clock, while it is news.
    clock: Option<Moment>,
    /// Number of tasks with a problem.
    wrong: usize,
    rows: Vec<OverviewRow>,
}

struct OverviewRow {
    name: String,
    schedule: String,
    /// True if its schedule is followed.
    auto: bool,
    scheduled: bool,
    running: Option<i64>,
    last: Option<LastResult>,
    success: Option<Moment>,
    overdue: Option<String>,
    next: Option<Moment>,
    down: Option<String>,
    mirror: Option<MirrorLine>,
    days: Vec<Day>,
    trend: Option<Trend>,
    /// True if the last run failed or the task is overdue.
    wrong: bool,
}

struct LastResult {
    id: i64,
    mark: Mark,
    /// The reason of the first failure, if any.
    reason: Option<String>,
    when: Moment,
    took: Option<String>,
}

/// The state of a mirror in words.
struct MirrorLine {
    words: String,
    exact: String,
    /// Files and bytes that are uploaded or missing.
    amounts: Option<String>,
}

/// A time in words, and exactly.
struct Moment {
    words: String,
    exact: String,
}

/// `/`: the page.
pub(super) async fn page(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    let body = list(&app, viewer.admin).await?;
    Ok(html(&OverviewPage {
        frame: Frame::new(&viewer, Section::Overview),
        body,
    }))
}

/// The live part of the page.
pub(super) async fn fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
) -> Result<Response, PageError> {
    Ok(html(&list(&app, viewer.admin).await?))
}

async fn list(app: &App, admin: bool) -> Result<OverviewFragment, PageError> {
    let (now, zone) = (app.clock.now(), app.zone.get());
    let since = before(first_day(now, zone));
    let mut found = app.store.read(move |tx| fares::fares(tx, since)).await?;
    // Trying a script out or installing a package says nothing of how the tasks fare.
    found.retain(|fare| !fare.stored.own);
    let next = app
        .engine
        .next_fires(found.iter().map(|fare| fare.stored.id).collect())
        .await;
    let mut rows: Vec<OverviewRow> = found
        .iter()
        .map(|fare| row(fare, next.get(&fare.stored.id).copied(), now, zone))
        .collect();
    rows.sort_by_key(|row| !row.wrong);
    Ok(OverviewFragment {
        admin,
        clock: app
            .engine
            .clock_note()
            .filter(|note| (now - note.at).abs() < NEWS)
            .map(|note| Moment {
                words: note.text,
                exact: shown(note.at, zone),
            }),
        wrong: rows.iter().filter(|row| row.wrong).count(),
        rows,
    })
}

fn row(fare: &Fare, next: Option<DateTime<Utc>>, now: DateTime<Utc>, zone: Zone) -> OverviewRow {
    let task = &fare.stored.task;
    let overdue = overdue_since(fare, zone).filter(|since| *since <= now);
    let last = fare.last.as_ref().map(|run| {
        let when = run.finished_at.unwrap_or(run.created_at);
        let bad = run.steps.iter().find(|step| step.is_bad());
        LastResult {
            id: run.id.0,
            mark: run_mark(run.state),
            reason: bad.map(|step| match &step.reason {
                Some(reason) => format!("{}: {reason}", step.step.name),
                None => step.step.name.to_string(),
            }),
            when: past(when, now, zone),
            took: run
                .started_at
                .zip(run.finished_at)
                .map(|(from, to)| lasted(from, to)),
        }
    });
    let down = fare.facts.down_ms.map(in_words);
    OverviewRow {
        name: task.name.to_string(),
        schedule: schedule(&fare.stored),
        auto: task.auto,
        scheduled: task.cron.is_some(),
        running: fare.running.map(|run| run.0),
        wrong: overdue.is_some() || last.as_ref().is_some_and(|last| last.mark.class == "red"),
        last,
        success: fare.succeeded.map(|time| past(time, now, zone)),
        overdue: overdue.map(|since| shown(since, zone)),
        next: next.map(|time| Moment {
            words: upcoming(time, now, zone),
            exact: shown(time, zone),
        }),
        down,
        mirror: fare
            .facts
            .mirror
            .as_ref()
            .and_then(|mirror| mirror_line(mirror, now, zone)),
        days: days(&fare.lately, now, zone),
        trend: Trend::new(&fare.sizes),
    }
}

fn mirror_line(mirror: &MirrorState, now: DateTime<Utc>, zone: Zone) -> Option<MirrorLine> {
    let (words, exact) = match mirror.complete {
        Completeness::Unknown => return None,
        Completeness::Never => ("never complete".to_owned(), String::new()),
        Completeness::AsOf(time) => (
            format!("complete as of {}", ago(time, now)),
            shown(time, zone),
        ),
    };
    let left = mirror.left_bytes.filter(|left| *left > 0).map(|left| {
        let percent = mirror
            .percent
            .map(|percent| format!("{percent} % uploaded, "));
        format!(
            "{}{} left",
            percent.unwrap_or_default(),
            readable::size(left)
        )
    });
    Some(MirrorLine {
        words,
        exact,
        amounts: left.or_else(|| mirror.bytes.map(readable::size)),
    })
}

/// From when on a task that fires by itself counts as overdue.
fn overdue_since(fare: &Fare, zone: Zone) -> Option<DateTime<Utc>> {
    let task = &fare.stored.task;
    let cron = task.cron.clone().filter(|_| task.auto)?;
    overdue_at(&Schedule::new(cron, task.zone.unwrap_or(zone)), fare.good)
}

fn past(time: DateTime<Utc>, now: DateTime<Utc>, zone: Zone) -> Moment {
    Moment {
        words: ago(time, now),
        exact: shown(time, zone),
    }
}

/// Milliseconds as a duration in words.
fn in_words(millis: u64) -> String {
    let end = i64::try_from(millis)
        .ok()
        .and_then(DateTime::from_timestamp_millis);
    lasted(
        DateTime::UNIX_EPOCH,
        end.unwrap_or(DateTime::<Utc>::MAX_UTC),
    )
}
