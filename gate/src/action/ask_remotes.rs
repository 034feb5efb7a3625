//! Asks, before a service is stopped for a backup, if any remote may take that backup.
//!
//! One cheap request for each remote: it finds a sign-in that was revoked, a full drive and a remote that rclone does not know.
//! An rclone that may be too old for a remote makes a write probe, once for each program and configuration.
//!
//! Invariant: only a definite no from every remote keeps a service up. No answer is not a no: a remote that is out of reach
//! now may be back when the upload begins.

use std::time::Duration;

use serde::Deserialize;

use super::Context;
use super::fit_rclone::ends_the_action;
use super::remote::{Access, Task};
use crate::control::State;
use crate::credentials;
use crate::credentials::ini::Ini;
use crate::error::{ExitStatus, Failure};
use crate::host::Patience;
use crate::names::ServiceName;
use crate::privilege::capabilities;
use crate::program::Output;
use crate::progress::Phase;
use crate::rclone;
use crate::rclone::outcome::Trouble;

/// The most that all remotes together may take: the stop step of the tutorial ends at 30 s.
const ALL: Duration = Duration::from_secs(5);

/// The part of `rclone about --json` that decides.
#[derive(Debug, Deserialize)]
struct Quota {
    free: Option<u64>,
}

/// The answer of one remote.
enum Answer {
    /// A backup cannot go there.
    No(Failure),
    /// Everything else.
    Other,
}

/// Asks, unless the service is down already.
///
/// # Errors
/// When every remote gives a definite no; when the client went away.
pub(super) fn ask(
    context: &mut Context<'_>,
    service: &ServiceName,
    state: &State,
    patience: &Patience<'_>,
) -> Result<(), Failure> {
    if *state != State::Down {
        let noes = definite_noes(context, patience)?;
        if let Some(first) = noes.first() {
            let status = first.status();
            let same = noes.iter().all(|no| no.status() == status);
            let words: Vec<String> = noes.iter().map(ToString::to_string).collect();
            return Err(Failure::NoRemote {
                service: service.clone(),
                words: words.join("; "),
                status: if same {
                    status
                } else {
                    ExitStatus::Unavailable
                },
            });
        }
    }
    context
        .host
        .give_up(capabilities::once_asked(context.config, service))
}

/// The reason of each remote; empty as soon as one of them gives none.
fn definite_noes(
    context: &mut Context<'_>,
    patience: &Patience<'_>,
) -> Result<Vec<Failure>, Failure> {
    let now = context.host.now();
    let left = patience.until.saturating_duration_since(now);
    // A remote that hangs must not use up the time that the stop itself needs.
    let until = now + ALL.min(left / 4);
    let mut names: Vec<&str> = Vec::new();
    for remote in &context.config.remotes {
        if !names.contains(&remote.name()) {
            names.push(remote.name());
        }
    }
    let mut noes = Vec::new();
    for name in names {
        let answer = match one(context, name, &Patience { until, ..*patience }) {
            Err(Failure::Interrupted { what, cause }) if ends_the_action(cause) => {
                return Err(Failure::Interrupted { what, cause });
            }
            Err(failure) => definite(failure),
            Ok(answer) => answer,
        };
        match answer {
            Answer::No(failure) => noes.push(failure),
            Answer::Other => return Ok(Vec::new()),
        }
    }
    Ok(noes)
}

fn one(context: &mut Context<'_>, name: &str, patience: &Patience<'_>) -> Result<Answer, Failure> {
    context.rclone_is_trusted()?;
    let text = credentials::configured(context.config)?;
    let what = format!("asking {name} before the stop");
    if let Some(failure) = context.rclone_is_too_old(&Ini::parse(&text), name, patience)? {
        return Ok(Answer::No(failure));
    }
    let place = format!("{name}:");
    let task = Task {
        what: &what,
        argv: rclone::about_at_once(context.config, name),
        remote: &place,
        access: Access::Remote,
        output: Output::Silent,
        phase: Phase::Comparing,
    };
    let ran = context.rclone_must(&task, patience)?;
    let full =
        serde_json::from_slice::<Quota>(&ran.ended.stdout).is_ok_and(|quota| quota.free == Some(0));
    Ok(if full {
        Answer::No(Failure::NoSpace(format!(
            "{what}: the remote is full; make room there (its recycle bin counts too)"
        )))
    } else {
        Answer::Other
    })
}

/// Takes a failure for a no where it cannot be gone by the time of the upload.
fn definite(failure: Failure) -> Answer {
    let no = match &failure {
        Failure::Config(_) | Failure::ToolMissing { .. } => true,
        Failure::Remote { trouble, .. } => matches!(
            trouble,
            Trouble::SignIn { .. }
                | Trouble::NotSetUp { .. }
                | Trouble::OldRclone { .. }
                | Trouble::WrongDrive { .. }
        ),
        _ => false,
    };
    if no {
        Answer::No(failure)
    } else {
        Answer::Other
    }
}
