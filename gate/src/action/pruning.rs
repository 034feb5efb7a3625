//! Pruning stops while a sync is refused, and after an unusual night, until an administrator approves.
//!
//! Invariant: without a look at the books nothing is removed from a remote.

use super::Context;
use crate::mirror::books::{Books, Hold};
use base::clock;
use base::error::Failure;
use base::lock_name::LockName;
use base::result_line::WarningCode;

/// Returns true if copies of this service or extra target may be removed; tells the reason if not.
pub(super) fn is_allowed(context: &mut Context<'_>, lock: &LockName) -> Result<bool, Failure> {
    let subject = lock.subject();
    let keeping = || Failure::io(format!("the books of {subject}"));
    let books = Books::open(&context.config.state_dir, lock).map_err(keeping())?;
    let refused = books.refused().map_err(keeping())?;
    let refused = refused
        .keys()
        .map(|place| format!("a sync to {place} was refused"));
    let holds = books.holds().map_err(keeping())?;
    let reasons: Vec<String> = refused
        .chain(holds.into_values().map(|hold| hold.why))
        .collect();
    if reasons.is_empty() {
        return Ok(true);
    }
    let message = format!(
        "no old copy of {subject} is removed, because {}; {}",
        reasons.join(", and "),
        remedy(lock)
    );
    context.alert(WarningCode::PruningPaused, subject, &message);
    Ok(false)
}

fn remedy(lock: &LockName) -> String {
    let approve = match lock.as_service() {
        Some(_) => "--approve",
        None => "--approve-extra",
    };
    format!(
        "look at the data, and if it is right, allow it on this host: `sudo backupctl {approve} {}`",
        lock.subject()
    )
}

/// The end of an action that went well and stopped pruning: it fails, so that its run raises an alarm.
pub(super) fn unusual(lock: &LockName, why: &str) -> Failure {
    let (subject, remedy) = (lock.subject(), remedy(lock));
    Failure::Verification(format!(
        "the copy of {subject} is complete, but {why}. Old copies stay until you approve; {remedy}"
    ))
}

/// Stops pruning for the reason `why`.
pub(super) fn pause(
    context: &Context<'_>,
    lock: &LockName,
    place: &str,
    why: String,
) -> Result<(), Failure> {
    let keeping = || Failure::io(format!("the books of {}", lock.subject()));
    let books = Books::open(&context.config.state_dir, lock).map_err(keeping())?;
    let at = clock::utc();
    books.hold(place, Hold { at, why }).map_err(keeping())
}
