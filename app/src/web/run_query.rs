//! A choice of runs with filters, page by page, for the API and for the page of all runs.

use super::caller::Watcher;
use super::error::ApiError;
use crate::domain::field::FieldError;
use crate::domain::lifecycle::{Run, RunId, RunState, Trigger};
use crate::domain::names::TaskName;
use crate::store::{self, RunQuery};
use crate::zones::Zone;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use serde::Deserialize;
use utoipa::IntoParams;

const PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;

/// The runs to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RunListParams {
    /// Runs of this task only.
    pub(super) task: Option<String>,
    /// Runs in this state only, for example `failed`.
    pub(super) state: Option<String>,
    /// Runs with this cause only: `schedule`, `manual`, `catch_up` or `retry`.
    pub(super) trigger: Option<String>,
    /// Runs created at this time or later: RFC 3339, or a day like 2026-03-10 in the zone of the server.
    pub(super) from: Option<String>,
    /// Runs created before this time: RFC 3339, or a day like 2026-03-10, which is included.
    pub(super) to: Option<String>,
    /// The largest number of runs, 1 to 500.
    limit: Option<u32>,
    /// Runs with a smaller number only: `next_before` of the page before.
    pub(super) before: Option<i64>,
}

/// A page of runs, newest first.
pub(super) struct FoundRuns {
    pub(super) runs: Vec<Run>,
    /// The number with which the next page begins; none on the last page.
    pub(super) next_before: Option<i64>,
}

impl RunListParams {
    /// The runs that the caller may see.
    pub(super) async fn runs(&self, watcher: &Watcher) -> Result<FoundRuns, ApiError> {
        let zone = watcher.zone.get();
        let given = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default().trim();
            Some(text.to_owned()).filter(|text| !text.is_empty())
        };
        let tasks = watcher.principal.tasks.as_ref();
        let task = match (given(&self.task), tasks.map(Vec::from_iter)) {
            (Some(name), _) => Some(watcher.task(TaskName::new(name)?.as_str()).await?.id),
            (None, None) => None,
            (None, Some(tasks)) => match tasks.as_slice() {
                [only] => Some(**only),
                _ => return Err(ApiError::OutOfScope),
            },
        };
        let limit = self.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
        let query = RunQuery {
            task,
            state: given(&self.state)
                .map(|text| known("state", &RunState::ALL, RunState::as_str, &text))
                .transpose()?,
            trigger: given(&self.trigger)
                .map(|text| known("trigger", &Trigger::ALL, Trigger::as_str, &text))
                .transpose()?,
            from: given(&self.from)
                .map(|text| time("from", &text, 0, zone))
                .transpose()?,
            to: given(&self.to)
                .map(|text| time("to", &text, 1, zone))
                .transpose()?,
            before: self.before.map(RunId),
            limit,
        };
        let runs = watcher
            .store
            .read(move |tx| store::runs::list(tx, &query))
            .await?;
        let full = u32::try_from(runs.len()).unwrap_or(u32::MAX) == limit;
        Ok(FoundRuns {
            next_before: runs.last().filter(|_| full).map(|run| run.id.0),
            runs,
        })
    }
}

/// The value of that name.
fn known<T: Copy>(
    field: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T, FieldError> {
    let found = all.iter().find(|value| name(**value) == text);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|value| name(*value)).collect();
        FieldError::new(
            field,
            format!("{text:?} is unknown; use {}", names.join(", ")),
        )
    })
}

/// A moment, or the beginning of a day, moved by a number of days.
fn time(field: &str, text: &str, later: u64, zone: Zone) -> Result<DateTime<Utc>, FieldError> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let day = text.parse::<NaiveDate>().ok();
    let day = day.and_then(|day| day.checked_add_days(Days::new(later)));
    let wall = day.map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let wall = wall.ok_or_else(|| {
        let problem = format!("{text:?} is no time; use a day like 2026-03-10, or RFC 3339");
        FieldError::new(field, problem)
    })?;
    let offset = zone.offset_at(wall.timestamp()).unwrap_or_default();
    Ok(wall - TimeDelta::seconds(offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_by_the_clock_of_the_zone() {
        let zone = crate::zones::find("Europe/Paris").unwrap();
        let time = |text, later| time("from", text, later, zone).unwrap().to_rfc3339();
        assert_eq!(time("2026-03-10", 0), "2026-03-09T23:00:00+00:00");
        assert_eq!(time("2026-03-10", 1), "2026-03-10T23:00:00+00:00");
        assert_eq!(
            time("2026-03-10T05:00:00+01:00", 1),
            "2026-03-10T04:00:00+00:00"
        );
    }
}
