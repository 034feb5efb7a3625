//! The first page: the overview of all tasks, problems first, with the counts of those that are not fine.

use super::first_steps::FirstSteps;
use super::frame::{Frame, Section};
use super::last_30_days::begins;
use super::overview_row::{OverviewRow, Standing};
use super::query::query;
use super::task_list::has_words;
use super::{Moment, PageError, PageViewer, html, trend};
use crate::store;
use crate::store::fares::{self, Fare};
use crate::web::App;
use crate::web::extract::Params;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use std::cmp::Reverse;
use std::sync::Arc;

/// The time for which a decision about the clock is shown.
const NEWS: TimeDelta = TimeDelta::days(1);
/// Tasks on one page.
const PAGE: usize = 100;

/// A choice of tasks.
#[derive(Debug, Default, Deserialize)]
pub(super) struct OverviewParams {
    /// Words that a task must have.
    #[serde(default)]
    q: String,
    /// The tasks of one count only.
    #[serde(default)]
    show: String,
    /// The order; empty for problems first.
    #[serde(default)]
    sort: String,
    /// The page, from 1.
    page: Option<usize>,
}

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
    /// The last decision about the clock, while it is new.
    clock: Option<(Moment, String)>,
    summary: Summary,
    params: OverviewParams,
    /// Number of tasks that the filters leave.
    found: usize,
    rows: Vec<OverviewRow>,
    /// The check list of an admin without any task.
    first_steps: Option<FirstSteps>,
}

/// The counts of all tasks, without the filters.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    total: usize,
    fine: usize,
    attention: usize,
    green: bool,
    /// Name for the filter, number and words of each kind that is not fine.
    counts: Vec<(&'static str, usize, &'static str)>,
}

/// A kind of tasks that is counted: name for the filter, words, test.
type CountedKind = (&'static str, &'static str, fn(Standing) -> bool);

const KINDS: [CountedKind; 4] = [
    ("failed", "failed", |standing| standing.failed),
    ("overdue", "overdue", |standing| standing.overdue),
    ("paused", "paused", |standing| standing.paused),
    ("never", "never run", |standing| standing.never_ran),
];

impl Summary {
    fn new(all: &[Standing]) -> Self {
        let count = |test: fn(Standing) -> bool| all.iter().filter(|one| test(**one)).count();
        let counts = KINDS.map(|(name, words, test)| (name, count(test), words));
        let fine = count(Standing::is_fine);
        Self {
            total: all.len(),
            fine,
            attention: count(Standing::needs_attention),
            green: fine > 0 && count(Standing::spoils_green) == 0,
            counts: counts.into_iter().filter(|(_, n, _)| *n > 0).collect(),
        }
    }

    /// Colour and shape.
    fn mark(&self) -> (&'static str, &'static str) {
        match (self.attention, self.green) {
            (1.., _) => ("red", "✕"),
            (0, true) => ("green", "✓"),
            (0, false) => ("grey", "–"),
        }
    }

    /// The first sentence.
    fn sentence(&self) -> String {
        let (total, fine) = (self.total, self.fine);
        let tasks = if total == 1 { "task" } else { "tasks" };
        match self.attention {
            1 => format!("1 of {total} {tasks} needs attention"),
            2.. => format!("{} of {total} tasks need attention", self.attention),
            0 if fine < total => format!(
                "{fine} of {total} {tasks} {} fine",
                if fine == 1 { "is" } else { "are" }
            ),
            0 if total == 1 => "The task is fine".to_owned(),
            0 => format!("All {total} tasks are fine"),
        }
    }
}

impl OverviewFragment {
    /// True if a task on the page has a proof; without one there is no column for it.
    fn has_proofs(&self) -> bool {
        self.rows.iter().any(|row| row.proof.is_some())
    }

    /// The address with another filter.
    fn showing(&self, kind: &str) -> String {
        let kind = if self.params.show == kind { "" } else { kind };
        let params = &self.params;
        format!(
            "/{}",
            query(&[("q", &params.q), ("show", kind), ("sort", &params.sort)])
        )
    }

    /// The address with another order.
    fn sorted(&self, sort: &str) -> String {
        let params = &self.params;
        format!(
            "/{}",
            query(&[("q", &params.q), ("show", &params.show), ("sort", sort)])
        )
    }

    /// The address of another page.
    fn at_page(&self, page: usize) -> String {
        let params = &self.params;
        let parts = [
            ("q", params.q.as_str()),
            ("show", &params.show),
            ("sort", &params.sort),
            ("page", &page.to_string()),
        ];
        format!("/{}", query(&parts))
    }

    fn page(&self) -> usize {
        self.params.page(self.found)
    }

    fn pages(&self) -> usize {
        self.found.div_ceil(PAGE)
    }

    fn filtered(&self) -> bool {
        !self.params.q.trim().is_empty() || !self.params.show.is_empty()
    }
}

impl OverviewParams {
    /// The page to show of a list with `found` tasks.
    fn page(&self, found: usize) -> usize {
        let last = found.div_ceil(PAGE).max(1);
        self.page.unwrap_or(1).clamp(1, last)
    }

    fn fits(&self, fare: &Fare, standing: Standing) -> bool {
        let kind = KINDS.iter().find(|(name, ..)| *name == self.show);
        let shown = match kind {
            Some((.., test)) => test(standing),
            None => self.show != "attention" || standing.needs_attention(),
        };
        shown && has_words(&fare.stored, &self.q)
    }
}

/// `/`: the page.
pub(super) async fn page(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Params(params): Params<OverviewParams>,
) -> Result<Response, PageError> {
    let body = list(&app, viewer.admin, params).await?;
    Ok(html(&OverviewPage {
        frame: Frame::new(&viewer, Section::Overview),
        body,
    }))
}

/// The live part of the page.
pub(super) async fn fragment(
    viewer: PageViewer,
    State(app): State<Arc<App>>,
    Params(params): Params<OverviewParams>,
) -> Result<Response, PageError> {
    Ok(html(&list(&app, viewer.admin, params).await?))
}

async fn list(
    app: &App,
    admin: bool,
    params: OverviewParams,
) -> Result<OverviewFragment, PageError> {
    let (now, zone) = (app.clock.now(), app.zone.get());
    let days = begins(now, zone);
    let (mut all, ends) = app
        .store
        .read(move |tx| Ok((fares::fares(tx, &days)?, store::pauses::pause_ends(tx)?)))
        .await?;
    // Trying a script or installing a package is no task of the user.
    all.retain(|fare| !fare.stored.own);
    let next = app
        .engine
        .next_fires(all.iter().map(|fare| fare.stored.id).collect())
        .await;
    let standings: Vec<Standing> = all
        .iter()
        .map(|fare| Standing::new(fare, now, zone))
        .collect();
    let next = |fare: &Fare| next.get(&fare.stored.id).copied();
    let mut found: Vec<(&Fare, Standing)> = all
        .iter()
        .zip(standings.iter().copied())
        .filter(|(fare, standing)| params.fits(fare, *standing))
        .collect();
    sort(&mut found, &params.sort, next);
    let first = (params.page(found.len()) - 1) * PAGE;
    let rows = found
        .iter()
        .skip(first)
        .take(PAGE)
        .map(|(fare, standing)| {
            let ends = ends.get(&fare.stored.id).copied();
            OverviewRow::new(fare, *standing, next(fare), ends, now, zone)
        })
        .collect();
    let first_steps = match admin && standings.is_empty() {
        true => Some(FirstSteps::new(app).await?),
        false => None,
    };
    Ok(OverviewFragment {
        first_steps,
        admin,
        clock: app
            .engine
            .clock_note()
            .filter(|note| (now - note.at).abs() < NEWS)
            .map(|note| (Moment::past(note.at, now, zone), note.text)),
        summary: Summary::new(&standings),
        found: found.len(),
        params,
        rows,
    })
}

/// Sorts tasks that come by name.
fn sort(tasks: &mut [(&Fare, Standing)], by: &str, next: impl Fn(&Fare) -> Option<DateTime<Utc>>) {
    match by {
        "name" => {}
        "last" => tasks.sort_by_key(|(fare, _)| {
            Reverse(
                fare.last
                    .as_ref()
                    .map(|run| run.finished_at.unwrap_or(run.created_at)),
            )
        }),
        "success" => tasks.sort_by_key(|(fare, _)| fare.succeeded),
        "next" => tasks.sort_by_key(|(fare, _)| (next(fare).is_none(), next(fare))),
        "down" => tasks.sort_by_key(|(fare, _)| Reverse(fare.facts.down_ms)),
        "size" => tasks.sort_by_key(|(fare, _)| {
            Reverse(fare.sizes.last().map(|kept| (kept.bytes, kept.files)))
        }),
        _ => tasks.sort_by_key(|(_, standing)| !standing.needs_attention()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_green_only_when_every_task_that_should_have_succeeded_has() {
        let fine = Standing::default();
        let paused = Standing {
            paused: true,
            never_ran: true,
            ..fine
        };
        let on_demand = Standing {
            never_ran: true,
            on_demand: true,
            ..fine
        };
        let failed = Standing {
            failed: true,
            overdue: true,
            ..fine
        };
        let said = |all: &[Standing]| {
            let summary = Summary::new(all);
            (summary.mark().0, summary.sentence())
        };
        assert_eq!(said(&[fine]), ("green", "The task is fine".to_owned()));
        assert_eq!(
            said(&[fine, fine]),
            ("green", "All 2 tasks are fine".to_owned())
        );
        assert_eq!(
            said(&[fine, paused]),
            ("grey", "1 of 2 tasks is fine".to_owned())
        );
        assert_eq!(
            said(&[fine, on_demand]),
            ("green", "1 of 2 tasks is fine".to_owned())
        );
        assert_eq!(
            said(&[on_demand]),
            ("grey", "0 of 1 task are fine".to_owned())
        );
        let summary = Summary::new(&[failed, paused, fine]);
        assert_eq!(summary.sentence(), "1 of 3 tasks needs attention");
        assert_eq!(
            summary.counts,
            [
                ("failed", 1, "failed"),
                ("overdue", 1, "overdue"),
                ("paused", 1, "paused"),
                ("never", 1, "never run")
            ]
        );
    }
}
