//! The hidden entry for the doctor: one question, one line of JSON. See the crate `facts`.
//!
//! Invariant: an answer changes nothing, with one exception: a write probe stores a small file on a remote and removes it.

use std::time::Duration;

use ::facts::lease::{Keeper, Leases, OpenLease};
use ::facts::remote::{Archives, Quota, Report};
use ::facts::service::Service;
use ::facts::{Question, line};
use serde::Deserialize;

use super::list::remote::Look;
use super::remedy::remedy;
use super::remote::{Access, Ran, Task};
use super::{Context, keeping, probe, status, stops};
use crate::keeper;
use crate::lease::{KeptBy, Lease};
use base::error::{ExitStatus, Failure, Interrupt};
use base::measure;
use base::names::{Remote, ServiceName};
use base::progress::Phase;
use host::program::Output;
use host::{Ended, Patience};

/// Time limit for a remote to report its quota, or to list its archives.
const REMOTE: Duration = Duration::from_secs(30);

/// Time limit for systemd to report a timer.
const TIMER: Duration = Duration::from_secs(10);

/// The output of `rclone about --json`.
#[derive(Debug, Deserialize)]
struct About {
    total: Option<u64>,
    used: Option<u64>,
    free: Option<u64>,
}

/// Answers a question with one line.
///
/// # Errors
/// When the caller went away, or the question names something that is not in the configuration.
pub(crate) fn answer(
    context: &mut Context<'_>,
    question: &Question,
) -> Result<(String, ExitStatus), Failure> {
    let done = |answer| (answer, ExitStatus::Done);
    match question {
        Question::Quota(name) => quota(context, name).map(|quota| done(line(&quota))),
        Question::Archives(word) => {
            let archives = archives(context, &remote(context, word)?)?;
            Ok(done(line(&archives)))
        }
        Question::Probe(word) => {
            let report = probe::report(context, word);
            let status = match report {
                Report::Passed { .. } => ExitStatus::Done,
                Report::Failed { .. } => ExitStatus::Unavailable,
            };
            Ok((line(&report), status))
        }
        Question::Leases => Ok(done(line(&leases(context)))),
        Question::Service(word) => service(context, word).map(|service| done(line(&service))),
    }
}

fn stranger(word: &str) -> Failure {
    Failure::Denied(format!("{word} is not in the configuration"))
}

fn remote(context: &Context<'_>, word: &str) -> Result<Remote, Failure> {
    let mut remotes = context.config.remotes.iter();
    let named = remotes.find(|remote| remote.to_string() == word);
    named.cloned().ok_or_else(|| stranger(word))
}

fn quota(context: &mut Context<'_>, name: &str) -> Result<Quota, Failure> {
    let config = context.config;
    if !config.remotes.iter().any(|remote| remote.name() == name) {
        return Err(stranger(name));
    }
    let place = format!("{name}:");
    let task = Task {
        what: "asking for the quota",
        argv: rclone::about(config, name),
        call: None,
        remote: &place,
        access: Access::Remote,
        output: Output::Silent,
        phase: Phase::Comparing,
    };
    let patience = Patience::attended(context.host.now() + REMOTE);
    let failed = |failure: &Failure| Quota::Failed {
        words: failure.to_string(),
        fix: remedy(config, name, failure),
    };
    Ok(match context.rclone(&task, &patience) {
        Ok(ran) if !ran.ended.ok() && has_no_quota(&ran) => Quota::Unsupported,
        Ok(ran) => match context.judge(&task, &ran.ended, &ran.heard) {
            Ok(()) => known(&ran.ended),
            Err(failure) => failed(&failure),
        },
        Err(Failure::Interrupted {
            cause: Interrupt::DeadlinePassed,
            ..
        }) => Quota::Late,
        Err(Failure::Interrupted { what, cause }) => {
            return Err(Failure::Interrupted { what, cause });
        }
        Err(failure) => failed(&failure),
    })
}

/// True for rclone's message that a remote reports no quota.
fn has_no_quota(ran: &Ran) -> bool {
    let words = [ran.heard.errors(), &ran.ended.last_words];
    words
        .iter()
        .flat_map(|words| words.iter())
        .any(|words| words.contains("doesn't support about"))
}

fn known(ended: &Ended) -> Quota {
    let about = serde_json::from_slice(&ended.stdout).unwrap_or(About {
        total: None,
        used: None,
        free: None,
    });
    Quota::Known {
        free: about.free,
        total: about.total.or(about.used),
    }
}

fn archives(context: &mut Context<'_>, remote: &Remote) -> Result<Archives, Failure> {
    let until = context.host.now() + REMOTE;
    let inventory = match Look::without_counting(context, until).at(remote) {
        Ok(inventory) => inventory,
        Err(Failure::Interrupted { what, cause }) => {
            return Err(Failure::Interrupted { what, cause });
        }
        Err(failure) => return Ok(Archives::Unreadable(failure.to_string())),
    };
    if let Some(problem) = inventory.problem {
        return Ok(Archives::Unreadable(problem));
    }
    let newest = inventory.services.iter().map(|(service, (_, holding))| {
        let first = holding.archives.first();
        (service.to_string(), first.map(|stored| stored.name.date()))
    });
    Ok(Archives::Newest(newest.collect()))
}

/// Reads leases; takes over, arms or clears none, and makes no folder for them.
fn leases(context: &mut Context<'_>) -> Leases {
    let config = context.config;
    let mut found = Leases {
        keeper: match keeper::choose(config) {
            KeptBy::Systemd => Keeper::Systemd,
            KeptBy::Process | KeptBy::Nobody => Keeper::Process,
        },
        problem: None,
        open: Vec::new(),
    };
    let there = ["leases", "stopped"]
        .iter()
        .any(|name| config.state_dir.below(&[name]).to_path_buf().exists());
    if !there {
        return found;
    }
    let leases = match context.leases() {
        Ok(leases) => leases,
        Err(failure) => {
            found.problem = Some(failure.to_string());
            return found;
        }
    };
    for service in leases.services().unwrap_or_default() {
        let lease = leases
            .load(&service)
            .unwrap_or_else(|_| Some(Lease::lost()));
        let Some(lease) = lease else { continue };
        let patience = Patience::attended(context.host.now() + TIMER);
        let kept = keeping::is_kept(context, &leases, &service, &lease, &patience);
        let now = context.host.moment();
        found.open.push(OpenLease {
            service: service.to_string(),
            words: lease.told(&now, measure::since).join(", "),
            due: lease.due(&now),
            owed: lease.owed(),
            kept,
        });
    }
    found
}

fn service(context: &mut Context<'_>, word: &str) -> Result<Service, Failure> {
    let name = ServiceName::parse(word).map_err(|_| stranger(word))?;
    let config = context.config;
    let service = config.services.get(&name).ok_or_else(|| stranger(word))?;
    let until = context.host.now() + status::ANSWER;
    let (state, _) = status::ask(context, &name, service, until)?;
    Ok(Service {
        state,
        stops_today: stops::today(context, &name),
    })
}
