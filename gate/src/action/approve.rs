//! `--approve` and `--approve-extra`: an administrator on the host lets the next sync make the refused change, and
//! lets pruning go on after an unusual night.
//!
//! Invariant: an approval covers only the refused change, by its numbers, once, and for a limited time; and only the
//! unusual nights that it names.

use chrono::{DateTime, TimeDelta, Utc};

use super::Context;
use crate::mirror::books::Books;
use base::clock;
use base::error::Failure;
use base::lock_name::LockName;

pub(super) fn approve(context: &mut Context<'_>, lock: &LockName) -> Result<String, Failure> {
    let subject = lock.subject();
    let keeping = || Failure::io(format!("the books of {subject}"));
    let books = Books::open(&context.config.state_dir, lock).map_err(keeping())?;
    let refused = books.refused().map_err(keeping())?;
    let holds = books.holds().map_err(keeping())?;
    if refused.is_empty() && holds.is_empty() {
        return Err(Failure::NothingToApprove(subject.to_owned()));
    }
    books.release(&holds).map_err(keeping())?;
    for (place, hold) in &holds {
        context.say(format!("{place}: {} ({})", hold.why, stamp(hold.at)));
    }
    if refused.is_empty() {
        return Ok(format!(
            "approved: old copies of {subject} are pruned again"
        ));
    }
    let hours = context.config.limits.approval_hours;
    let until = clock::utc() + TimeDelta::hours(hours.into());
    books.approve(&refused, until).map_err(keeping())?;
    for (place, refusal) in &refused {
        context.say(format!(
            "{place}: {} (refused at {})",
            refusal.change,
            stamp(refusal.at)
        ));
    }
    Ok(format!(
        "approved: the next sync of {subject} may make this change, once, until {}",
        stamp(until)
    ))
}

fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
