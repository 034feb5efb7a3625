//! One task on the overview: its last result, its times and figures, and its standing.

use super::grid::{Mark, run_mark};
use super::last_30_days::Last30Days;
use super::lasted;
use super::relative_time::{Moment, ago};
use super::task::schedule;
use super::trend::Trend;
use crate::domain::mirror::{Completeness, MirrorState};
use crate::domain::overdue::overdue_at;
use crate::domain::proof::ProofState;
use crate::domain::schedule::Schedule;
use crate::store::fares::Fare;
use crate::store::task_facts::TaskFacts;
use crate::zones::Zone;
use chrono::{DateTime, TimeDelta, Utc};

/// The age at which a proof is overdue. A weekly rehearsal has failed four times by then.
const PROOF_AGE: TimeDelta = TimeDelta::days(30);

/// Facts of a task that decide about the colour of the overview. All false: the task is fine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its last run failed.
    pub(super) failed: bool,
    /// It did not succeed for too long.
    pub(super) overdue: bool,
    /// It has a schedule that is not followed.
    pub(super) paused: bool,
    /// It has no finished run.
    pub(super) never_ran: bool,
    /// It has no schedule.
    pub(super) on_demand: bool,
}

impl Standing {
    /// The standing of a task.
    pub(super) fn new(fare: &Fare, now: DateTime<Utc>, zone: Zone) -> Self {
        let task = &fare.stored.task;
        let bad = |state| run_mark(state).class == "red";
        Self {
            failed: fare.last.as_ref().is_some_and(|run| bad(run.state)),
            overdue: overdue_since(fare, zone).is_some_and(|since| since <= now),
            paused: task.cron.is_some() && !task.auto,
            never_ran: fare.last.is_none(),
            on_demand: task.cron.is_none(),
        }
    }

    /// Reports if a person should look at the task.
    pub(super) fn needs_attention(self) -> bool {
        self.failed || self.overdue
    }

    /// Reports if the task is expected to succeed and did so, or only waits for a person to start it again.
    pub(super) fn is_fine(self) -> bool {
        !self.needs_attention() && !self.paused && !self.never_ran
    }

    /// Reports if the overview cannot be green because of the task.
    pub(super) fn spoils_green(self) -> bool {
        !(self.is_fine() || self.on_demand && self.never_ran)
    }
}

/// A row of the overview.
pub(super) struct OverviewRow {
    pub(super) name: String,
    pub(super) schedule: String,
    pub(super) standing: Standing,
    pub(super) running: Option<(i64, Mark)>,
    pub(super) last: Option<LastResult>,
    pub(super) success: Option<Moment>,
    pub(super) overdue: Option<Moment>,
    pub(super) next: Option<Moment>,
    pub(super) resumes: Option<Moment>,
    pub(super) down: Option<String>,
    pub(super) mirror: Option<MirrorLine>,
    pub(super) proof: Option<ProofLine>,
    pub(super) days: Last30Days,
    pub(super) trend: Option<Trend>,
}

pub(super) struct LastResult {
    pub(super) id: i64,
    pub(super) mark: Mark,
    /// The reason of the first failure, if any.
    pub(super) reason: Option<String>,
    pub(super) when: Moment,
    pub(super) took: Option<String>,
}

/// The state of a mirror in words.
pub(super) struct MirrorLine {
    pub(super) words: String,
    pub(super) as_of: Option<Moment>,
    /// Files and bytes that are uploaded or missing.
    pub(super) amounts: Option<String>,
}

/// The newest proof that a copy of the task's service can be restored.
pub(super) struct ProofLine {
    /// The last rehearsal without a fault.
    pub(super) when: Option<Moment>,
    /// The copy, and the way of the proof.
    pub(super) words: String,
    /// The problem: the newest rehearsal found a fault, or the last proof is too old.
    pub(super) flag: Option<&'static str>,
}

impl OverviewRow {
    /// The row of a task.
    pub(super) fn new(
        fare: &Fare,
        standing: Standing,
        next: Option<DateTime<Utc>>,
        resumes: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        zone: Zone,
    ) -> Self {
        let task = &fare.stored.task;
        let mirror = fare.facts.mirror.as_ref();
        Self {
            name: task.name.to_string(),
            schedule: schedule(&fare.stored, zone),
            standing,
            running: fare.running.map(|(run, state)| (run.0, run_mark(state))),
            last: last_result(fare, now, zone),
            success: fare.succeeded.map(|time| Moment::past(time, now, zone)),
            overdue: Some(fare)
                .filter(|_| standing.overdue)
                .and_then(|fare| overdue_since(fare, zone))
                .map(|since| Moment::said("overdue".to_owned(), since, zone)),
            next: next.map(|time| Moment::next_of(&fare.stored, time, now, zone)),
            resumes: resumes.map(|time| Moment::next(time, now, zone)),
            down: fare.facts.down_ms.map(readable::duration),
            mirror: mirror.and_then(|mirror| MirrorLine::new(mirror, now, zone)),
            proof: ProofLine::new(&fare.facts, now, zone),
            days: Last30Days::new(&fare.lately, now, zone),
            trend: Trend::new(&fare.sizes),
        }
    }
}

fn last_result(fare: &Fare, now: DateTime<Utc>, zone: Zone) -> Option<LastResult> {
    let run = fare.last.as_ref()?;
    let bad = run.steps.iter().find(|step| step.is_bad());
    Some(LastResult {
        id: run.id.0,
        mark: run_mark(run.state),
        reason: bad.map(|step| match &step.reason {
            Some(reason) => format!("{}: {reason}", step.step.name),
            None => step.step.name.to_string(),
        }),
        when: Moment::past(run.finished_at.unwrap_or(run.created_at), now, zone),
        took: run
            .started_at
            .zip(run.finished_at)
            .map(|(from, to)| lasted(from, to)),
    })
}

impl MirrorLine {
    fn new(mirror: &MirrorState, now: DateTime<Utc>, zone: Zone) -> Option<Self> {
        let (words, as_of) = match mirror.complete {
            Completeness::Unknown => return None,
            Completeness::Never => ("never complete", None),
            Completeness::AsOf(time) => (
                "complete as of",
                Some(Moment::said(ago(time, now), time, zone)),
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
        Some(Self {
            words: words.to_owned(),
            as_of,
            amounts: left.or_else(|| mirror.bytes.map(readable::size)),
        })
    }
}

impl ProofLine {
    fn new(facts: &TaskFacts, now: DateTime<Utc>, zone: Zone) -> Option<Self> {
        let newest = facts.proof.as_ref()?;
        let words = |proof: &ProofState| match proof.copy.as_str() {
            "mirror" => format!("mirror: {}", proof.way()),
            copy => format!("{copy} {}: {}", proof.name, proof.way()),
        };
        let proved = facts.proved.as_ref();
        let is_old = proved.is_none_or(|proof| now - proof.at > PROOF_AGE);
        Some(Self {
            when: proved.map(|proof| Moment::past(proof.at, now, zone)),
            words: match &newest.finding {
                Some(finding) => finding.clone(),
                None => words(proved.unwrap_or(newest)),
            },
            flag: match newest.proven {
                false => Some("not proven"),
                true if is_old => Some("overdue"),
                true => None,
            },
        })
    }
}

/// The time from which a scheduled task counts as overdue.
fn overdue_since(fare: &Fare, zone: Zone) -> Option<DateTime<Utc>> {
    let task = &fare.stored.task;
    let cron = task.cron.clone().filter(|_| task.auto)?;
    overdue_at(&Schedule::new(cron, task.zone.unwrap_or(zone)), fare.good)
}
