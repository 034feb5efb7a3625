//! `--approve` and `--approve-extra`: an administrator on the host lets the next sync make the refused change.
//!
//! Invariant: an approval covers only the refused change, by its numbers, once, and for a limited time.

use chrono::TimeDelta;

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
    if refused.is_empty() {
        return Err(Failure::NothingToApprove(subject.to_owned()));
    }
    let hours = context.config.limits.approval_hours;
    let until = clock::utc() + TimeDelta::hours(hours.into());
    books.approve(&refused, until).map_err(keeping())?;
    for (place, refusal) in &refused {
        context.say(format!(
            "{place}: {} (refused at {})",
            refusal.change,
            refusal.at.format("%Y-%m-%dT%H:%M:%SZ")
        ));
    }
    Ok(format!(
        "approved: the next sync of {subject} may make this change, once, until {}",
        until.format("%Y-%m-%dT%H:%M:%SZ")
    ))
}
