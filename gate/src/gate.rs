//! The life of a gate command, on one screen.
//!
//! `harden` → caller → words → request → decision → audit → action → audit → reply → exit status. Each stage needs the
//! result of the one before, so none can be left out.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use facts::Question;

use crate::action::{self, Context};
use crate::explain::explain;
use crate::keeper;
use crate::policy::{self, Decision, Grant, Order, powers};
use crate::request::{HostVerb, ParseError, Request, take_inner_paths};
use crate::walk;
use base::clock;
use base::error::{ExitStatus, Failure};
use base::reply::{Reply, Stream};
use config::{Config, Landlock};
use host::Host;
use host::audit::Audit;
use host::caller::{Caller, Door};
use host::door::door;
use host::handover::{SETUP, become_program};
use host::linux::LinuxHost;
use privilege::hardening::Surroundings;
use privilege::{Offers, capabilities, thinking};

const HELP: &str = include_str!("help.txt");

/// The program `backupctl`.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.split_first() {
        // A child process of the gate that reads a service's data.
        Some((first, rest)) if first == walk::ENTRY => ExitCode::from(walk::walk(rest)),
        Some((first, words)) if first == keeper::ENTRY => keep(&arguments, words),
        _ => door("backupctl", &arguments, |arguments, surroundings, reply| {
            command(arguments, surroundings, reply).code()
        }),
    }
}

/// A child process of the gate that brings a service back when its lease ends. It leaves its parent before it is
/// hardened.
fn keep(arguments: &[OsString], words: &[OsString]) -> ExitCode {
    if keeper::process::stays(words) {
        door("backupctl", arguments, |_, _, _| {
            keeper::process::stay(words)
        })
    } else {
        ExitCode::from(keeper::process::leave(words))
    }
}

/// The command line, before it is parsed.
enum Invocation {
    Help,
    Version,
    Explain(OsString),
    Gate,
    Setup(Vec<OsString>),
    Facts(Vec<OsString>),
    Request(Vec<OsString>),
}

fn invocation(arguments: &[OsString]) -> (Option<PathBuf>, Invocation) {
    let (config, rest) = match arguments {
        [option, file, rest @ ..] if option == "--config" => (Some(PathBuf::from(file)), rest),
        all => (None, all),
    };
    let invocation = match rest {
        [word] if ["--help", "-h", "help"].iter().any(|help| word == help) => Invocation::Help,
        [word] if word == "--version" => Invocation::Version,
        [word] if word == "--ssh-gate" => Invocation::Gate,
        [word, ..] if word == "--install" || word == "--uninstall" => {
            Invocation::Setup(rest.to_vec())
        }
        [word, _] if word == "--completions" => Invocation::Setup(rest.to_vec()),
        [word, rest @ ..] if word == facts::ENTRY => Invocation::Facts(rest.to_vec()),
        [word, line] if word == "--explain" => Invocation::Explain(line.clone()),
        words => Invocation::Request(words.to_vec()),
    };
    (config, invocation)
}

fn command(arguments: &[OsString], surroundings: &Surroundings, mut reply: Reply) -> ExitStatus {
    let (config, invocation) = invocation(arguments);
    let (door, words) = match invocation {
        Invocation::Help => {
            HELP.lines().for_each(|line| reply.line(Stream::Out, line));
            return ExitStatus::Done;
        }
        Invocation::Version => {
            reply.line(
                Stream::Out,
                concat!("backupctl ", env!("CARGO_PKG_VERSION")),
            );
            return ExitStatus::Done;
        }
        Invocation::Explain(line) => return explained(config, &line, reply),
        Invocation::Setup(words) => return hand_over(&words, reply),
        Invocation::Facts(words) => return told(config, &words, surroundings, reply),
        Invocation::Gate => (Door::Ssh, Vec::new()),
        Invocation::Request(words) => (Door::Host, words),
    };
    if door == Door::Host
        && let Some(Request::Host(HostVerb::Doctor { json })) = asked_for(&words)
    {
        let file = config.map(|file| ["--config".into(), file.into_os_string()]);
        let mut words: Vec<OsString> = file.into_iter().flatten().collect();
        words.push("--doctor".into());
        words.extend(json.then(|| "--json".into()));
        return hand_over(&words, reply);
    }
    let caller = Caller::new(door, surroundings);
    let line = match door {
        Door::Ssh => surroundings
            .ssh_original_command
            .clone()
            .unwrap_or_default(),
        Door::Host => words
            .join(OsString::from(" ").as_os_str())
            .as_bytes()
            .to_vec(),
    };
    let mut audit = Audit::new(caller.facts());
    let asked = ("request", String::from_utf8_lossy(&line).into_owned());
    // Users on the host learn about typing errors even without a configuration.
    let early = (door == Door::Host).then(|| read(door, &line, &words, &mut audit));
    let prepared = early.transpose().and_then(|early| {
        let config = Config::find(config)?;
        audit.also_to(config.audit_log.as_ref());
        let request = early.map_or_else(|| read(door, &line, &words, &mut audit), Ok)?;
        let grant = decide(&config, &caller, &request)?;
        Ok((config, request, grant))
    });
    match prepared {
        Ok((config, request, grant)) => carry_out(&config, &audit, &request, &grant, reply),
        Err(failure) => {
            let status = failure.status();
            audit.line(
                "refused",
                &[
                    asked,
                    ("status", status.code().to_string()),
                    ("reason", failure.to_string()),
                ],
            );
            reply.line(Stream::Err, &format!("backupctl: {failure}"));
            status
        }
    }
}

/// Carries out a granted request, between two audit lines.
pub(crate) fn carry_out(
    config: &Config,
    audit: &Audit,
    request: &Request,
    grant: &Grant,
    mut reply: Reply,
) -> ExitStatus {
    let asked = ("request", request.to_string());
    let mut facts = vec![asked.clone()];
    if matches!(
        grant.order(),
        Order::Sync(_)
            | Order::Archive(_)
            | Order::Verify(_)
            | Order::VerifyMirror(_)
            | Order::Restore(_)
            | Order::RestoreExtra(_)
            | Order::Rehearse(_)
    ) {
        let offers = Offers::ask();
        facts.push(("confinement", offers.to_string()));
        if offers.landlock.is_none() && config.rclone.landlock == Landlock::Preferred {
            reply.line(Stream::Err, "backupctl: warning: this kernel has no Landlock, so rclone can open more files than it needs (see rclone.landlock)");
        }
    }
    if !audit.line("accepted", &facts) {
        reply.line(Stream::Err, "backupctl: warning: neither a journal nor audit_log takes the audit line of this action");
    }
    let started = Instant::now();
    let outcome = perform(config, grant, reply, started);
    let (status, words) = match &outcome {
        Ok(done) => (ExitStatus::Done, done.clone()),
        Err(failure) => (failure.status(), failure.to_string()),
    };
    let seconds = format!("{:.3}", started.elapsed().as_secs_f64());
    let event = if outcome.is_ok() { "done" } else { "failed" };
    audit.line(
        event,
        &[
            asked,
            ("status", status.code().to_string()),
            ("seconds", seconds),
            ("outcome", words),
        ],
    );
    status
}

fn read(
    door: Door,
    line: &[u8],
    words: &[OsString],
    audit: &mut Audit,
) -> Result<Request, Failure> {
    // Parse untrusted bytes in a confined thread.
    let (request, unconfined) = thinking(|| parse(door, line, words));
    if let Some(reason) = unconfined {
        audit.fact("parsing", format!("not confined: {reason}"));
    }
    request
}

fn parse(door: Door, line: &[u8], words: &[OsString]) -> Result<Request, Failure> {
    match door {
        Door::Ssh if line.is_empty() => Err(Failure::NoRequest),
        Door::Ssh => Ok(Request::parse_line(line)?),
        Door::Host => {
            let (words, only) = take_inner_paths(words)?;
            let line = words.join(OsString::from(" ").as_os_str());
            let line = line.as_bytes();
            // Keep an argument with a space distinguishable from two words.
            let joined = line.split(|&byte| byte == b' ').count();
            if joined != words.len() && !words.is_empty() {
                return Err(ParseError::Wire(base::wire::WireError::Spacing(1)).into());
            }
            if words.is_empty() {
                return Err(ParseError::NoVerb.into());
            }
            let words = base::wire::words(line).map_err(ParseError::from)?;
            Ok(Request::parse(&words)?.only(only)?)
        }
    }
}

/// Parses the words of the host's command line as a request; `None` if they are no request.
fn asked_for(words: &[OsString]) -> Option<Request> {
    let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
    Request::parse(&words?).ok()
}

/// Becomes `backupctl-setup`, which carries out verbs of the host that need neither a lock nor a remote.
fn hand_over(words: &[OsString], mut reply: Reply) -> ExitStatus {
    let failure = become_program(SETUP, words);
    reply.line(Stream::Err, &format!("backupctl: {failure}"));
    failure.status()
}

/// Answers a question of the doctor.
fn told(
    config: Option<PathBuf>,
    words: &[OsString],
    surroundings: &Surroundings,
    mut reply: Reply,
) -> ExitStatus {
    let started = Instant::now();
    let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
    let Some(question) = words.and_then(|words| Question::parse(&words)) else {
        let words = format!("backupctl: {} is for backupctl-setup itself", facts::ENTRY);
        reply.line(Stream::Err, &words);
        return ExitStatus::Usage;
    };
    let mut audit = Audit::new(Caller::new(Door::Host, surroundings).facts());
    let prepared = Config::find(config).and_then(|config| {
        capabilities::give_up(powers::at_first(None))?;
        let preparing = Failure::errno("preparing for child processes");
        Ok((
            config,
            LinuxHost::take_over(Reply::default()).map_err(preparing)?,
        ))
    });
    let (config, mut host) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            reply.line(Stream::Err, &format!("backupctl: {failure}"));
            return failure.status();
        }
    };
    audit.also_to(config.audit_log.as_ref());
    let mut context = Context {
        config: &config,
        host: &mut host,
        started,
        one_process: None,
    };
    match action::facts::answer(&mut context, &question) {
        Ok((answer, status)) => {
            // Every other question only reads.
            if let Question::Probe(remote) = question {
                audit.line("probed", &[("remote", remote), ("outcome", answer.clone())]);
            }
            host.say(Stream::Out, &answer);
            status
        }
        Err(failure) => {
            host.say(Stream::Err, &format!("backupctl: {failure}"));
            failure.status()
        }
    }
}

/// Reports the outcome.
fn conclude(host: &mut LinuxHost, outcome: &Result<String, Failure>) -> (ExitStatus, String) {
    match outcome {
        Ok(done) => {
            // Add no text to output for scripts.
            if !done.is_empty() {
                host.say(Stream::Out, done);
            }
            (ExitStatus::Done, done.clone())
        }
        Err(failure) => {
            host.say(Stream::Err, &format!("backupctl: {failure}"));
            (failure.status(), failure.to_string())
        }
    }
}

pub(crate) fn decide(
    config: &Config,
    caller: &Caller,
    request: &Request,
) -> Result<Grant, Failure> {
    match policy::decide(config, caller, request) {
        Decision::Granted(grant) => Ok(grant),
        Decision::Denied(reason) => Err(reason.into()),
    }
}

fn perform(
    config: &Config,
    grant: &Grant,
    mut reply: Reply,
    started: Instant,
) -> Result<String, Failure> {
    if let Err(failure) = capabilities::give_up(powers::at_first(Some(grant.order()))) {
        reply.line(Stream::Err, &format!("backupctl: {failure}"));
        return Err(failure);
    }
    let mut host =
        LinuxHost::take_over(reply).map_err(Failure::errno("preparing for child processes"))?;
    host.keep_talking();
    let mut context = Context {
        config,
        host: &mut host,
        started,
        one_process: None,
    };
    let circumstances = action::guard(grant, &mut context);
    let outcome = capabilities::give_up(powers::of(grant.order(), config))
        .and_then(|()| action::execute(grant, &mut context, &circumstances));
    conclude(&mut host, &outcome);
    // The answer is already decided; a program that hangs here delays the exit by some seconds.
    let mut context = Context {
        config,
        host: &mut host,
        started,
        one_process: None,
    };
    action::guard_after(grant, &mut context);
    outcome
}

fn explained(config: Option<PathBuf>, line: &OsString, mut reply: Reply) -> ExitStatus {
    match Config::find(config) {
        Ok(config) => {
            let (answer, status) = explain(&config, line.as_bytes(), clock::local());
            let text = serde_json::to_string_pretty(&answer).unwrap_or_default();
            text.lines().for_each(|line| reply.line(Stream::Out, line));
            status
        }
        Err(failure) => {
            reply.line(Stream::Err, &format!("backupctl: {failure}"));
            failure.status()
        }
    }
}
