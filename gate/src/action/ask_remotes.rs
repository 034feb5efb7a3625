//! Before a service is stopped for a backup, asks every remote if it may take that backup.
//!
//! One cheap request for each remote finds a revoked sign-in, a full drive and a remote that rclone does not know. An
//! rclone that may be too old for a remote makes a write probe, once for each program and configuration.
//!
//! Invariant: only a definite no from every remote keeps a service up. A missing answer is not a no: a remote that is
//! out of reach now may be back when the upload begins.

use std::time::Duration;

use serde::Deserialize;

use super::Context;
use super::probe::ends_the_action;
use super::remote::{Access, Task};
use crate::control::State;
use crate::policy::powers;
use base::error::trouble::Trouble;
use base::error::{ExitStatus, Failure, Interrupt};
use base::names::ServiceName;
use base::progress::Phase;
use host::Patience;
use host::program::Output;
use rclone::Listener;
use rclone::credentials;
use rclone::credentials::ini::Ini;
use rclone::outcome::sign_in_refused;

/// The time limit for all remotes together: the stop step of the tutorial ends at 30 s.
const ALL: Duration = Duration::from_secs(5);

/// The time limit for a write probe. It is made once for an rclone that may be too old.
const PROBE: Duration = Duration::from_secs(10);

/// The part of `rclone about --json` that decides.
#[derive(Debug, Deserialize)]
struct Quota {
    free: Option<u64>,
}

/// The answer of one remote.
enum RemoteAnswer {
    /// The remote cannot take a backup.
    No(Failure),
    /// Any other answer.
    Other,
}

/// Asks the remotes, unless the service is down already.
///
/// # Errors
/// When every remote gives a definite no; when the client disconnected.
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
        .give_up(powers::once_asked(context.config, service))
}

/// The reasons of the remotes, if every remote gives a definite no; otherwise empty.
fn definite_noes(
    context: &mut Context<'_>,
    patience: &Patience<'_>,
) -> Result<Vec<Failure>, Failure> {
    let now = context.host.now();
    let left = patience.until.saturating_duration_since(now);
    // A remote that hangs must not use up the time that the stop itself needs.
    let end = now + ALL.min(left / 4);
    let mut names: Vec<&str> = Vec::new();
    for remote in &context.config.remotes {
        if !names.contains(&remote.name()) {
            names.push(remote.name());
        }
    }
    let mut noes = Vec::new();
    let mut waiting = u32::try_from(names.len()).unwrap_or(u32::MAX);
    for name in names {
        // Each remote gets an equal share of the remaining time, so a hanging one does not keep the others from being
        // asked.
        let now = context.host.now();
        let until = now + end.saturating_duration_since(now) / waiting.max(1);
        waiting = waiting.saturating_sub(1);
        let answer = match one(context, name, &Patience { until, ..*patience }, patience) {
            Err(Failure::Interrupted { what, cause }) if ends_the_action(cause) => {
                return Err(Failure::Interrupted { what, cause });
            }
            Err(failure) => definite(failure),
            Ok(answer) => answer,
        };
        match answer {
            RemoteAnswer::No(failure) => noes.push(failure),
            RemoteAnswer::Other => return Ok(Vec::new()),
        }
    }
    Ok(noes)
}

/// Asks one remote within `patience`. `whole` is the patience of the stop.
fn one(
    context: &mut Context<'_>,
    name: &str,
    patience: &Patience<'_>,
    whole: &Patience<'_>,
) -> Result<RemoteAnswer, Failure> {
    let text = credentials::configured(context.config)?;
    let what = format!("asking {name} before the stop");
    let place = format!("{name}:");
    let task = Task {
        what: &what,
        argv: rclone::about_at_once(context.config, name),
        call: None,
        remote: &place,
        access: Access::Remote,
        output: Output::Silent,
        phase: Phase::Comparing,
    };
    let mut heard = Listener::new(task.phase);
    let ended = match context.rclone_heard(&task, &mut heard, patience) {
        Err(Failure::Interrupted {
            cause: Interrupt::DeadlinePassed,
            ..
        }) if heard.sign_in_was_refused() => {
            return Ok(RemoteAnswer::No(sign_in_refused(
                &what,
                name,
                context.config,
            )));
        }
        ended => ended?,
    };
    context.judge(&task, &ended, &heard)?;
    let full =
        serde_json::from_slice::<Quota>(&ended.stdout).is_ok_and(|quota| quota.free == Some(0));
    if full {
        return Ok(RemoteAnswer::No(Failure::NoSpace(format!(
            "{what}: the remote is full; make room there (its recycle bin counts too)"
        ))));
    }
    let now = context.host.now();
    let left = whole.until.saturating_duration_since(now);
    let probing = Patience {
        until: now + PROBE.min(left / 2),
        ..*whole
    };
    let too_old = context.rclone_is_too_old(&Ini::parse(&text), name, &probing)?;
    Ok(too_old.map_or(RemoteAnswer::Other, RemoteAnswer::No))
}

/// Treats a failure as a no if it cannot pass before the upload.
fn definite(failure: Failure) -> RemoteAnswer {
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
        RemoteAnswer::No(failure)
    } else {
        RemoteAnswer::Other
    }
}
