//! `--doctor`: checks every hop from the ssh key to the remote, and prints one line and the fix for each.
//!
//! Each hop is a file: thin code that collects facts, and a pure judgement that tests run on made-up facts.
//!
//! Invariant: the doctor changes nothing, with three exceptions. It makes the gate's own folders if it runs a program
//! there, it stores a small file on each remote and removes it again, and the runner keeps a run of the test of its
//! connection. Every program has a deadline; its output is
//! bounded, and is made printable before it is shown.

mod account;
mod clock;
mod configuration;
mod data;
mod examination;
mod finding;
mod folders;
mod journal;
mod kernel;
mod keys;
mod known_account;
mod leases;
mod ownership;
mod remote;
mod runner;
mod services;
mod sshd;
mod sudo;
mod transfer;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base::error::{ExitStatus, Failure};
use base::reply::{Reply, Stream};
use caps::Capability;
use config::{Config, DEFAULT_PATH};
use host::Host;
use host::audit::Audit;
use host::caller::Caller;
use host::handover::beside;
use host::linux::LinuxHost;
use privilege::capabilities::{self, Children};

use examination::Examination;
use finding::Finding;
use known_account::Account;

/// Time limit for the whole examination.
const ALL: Duration = Duration::from_secs(300);

/// The program that SSH reaches.
const GATE: &str = "backupctl";

/// Read files of other users (`DAC_READ_SEARCH`), and end programs that changed their user (`KILL`). Programs that the
/// doctor runs regain root's capabilities.
const KEPT: &[Capability] = &[Capability::CAP_DAC_READ_SEARCH, Capability::CAP_KILL];

/// Runs `--doctor`, which checks the configuration too and so works without a valid one.
pub(crate) fn command(
    config: Option<PathBuf>,
    json: bool,
    caller: &Caller,
    reply: Reply,
) -> ExitStatus {
    let started = Instant::now();
    let path = config.clone().unwrap_or_else(|| DEFAULT_PATH.into());
    let loaded = Config::find(config);
    let mut audit = Audit::new(caller.facts());
    audit.also_to(
        loaded
            .as_ref()
            .ok()
            .and_then(|config| config.audit_log.as_ref()),
    );
    let prepared = capabilities::give_up((KEPT, Children::Root)).and_then(|()| {
        let preparing = Failure::errno("preparing for child processes");
        LinuxHost::take_over(reply).map_err(preparing)
    });
    let mut host = match prepared {
        Ok(host) => host,
        Err(failure) => {
            Reply::default().line(Stream::Err, &format!("backupctl: {failure}"));
            return failure.status();
        }
    };
    let (status, words) = match examine(&path, loaded, &mut host, started, json) {
        Ok(done) => {
            // Add no text to output for scripts.
            if !done.is_empty() {
                host.say(Stream::Out, &done);
            }
            (ExitStatus::Done, done)
        }
        Err(failure) => {
            host.say(Stream::Err, &format!("backupctl: {failure}"));
            (failure.status(), failure.to_string())
        }
    };
    audit.line(
        "looked",
        &[
            ("request", "backupctl --doctor".into()),
            ("status", status.code().to_string()),
            ("outcome", words),
        ],
    );
    status
}

/// Runs all checks. `loaded` is the configuration, or the failure to load it: that failure is a finding like any
/// other.
///
/// # Errors
/// When a finding is a failure, with status 78 if it is the configuration itself and 69 if not; when the caller went
/// away.
fn examine(
    path: &Path,
    loaded: Result<Config, Failure>,
    host: &mut dyn Host,
    started: Instant,
    json: bool,
) -> Result<String, Failure> {
    let (config, problem) = match loaded {
        Ok(config) => (config, None),
        Err(problem) => (Config::default(), Some(problem)),
    };
    let mut doctor = Examination {
        config: &config,
        host,
        json,
        until: started + ALL,
        root: nix::unistd::geteuid().is_root(),
        trusted: nix::unistd::geteuid().as_raw(),
        gate: beside(GATE).display().to_string(),
        configuration: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        account: Account::find(&config.account),
        sshd: Err("not asked yet".into()),
        stopped: Vec::new(),
        largest: None,
        told: Vec::new(),
        counts: [0; 4],
        failed_configuration: problem.is_some(),
    };
    configuration::examine(&mut doctor, path, problem.as_ref())?;
    configuration::own_programs(&mut doctor)?;
    if problem.is_none() {
        folders::examine(&mut doctor)?;
        data::examine(&mut doctor)?;
        transfer::examine(&mut doctor)?;
        remote::examine(&mut doctor)?;
        leases::examine(&mut doctor)?;
        services::examine(&mut doctor)?;
    } else {
        let rest = "folders, data, rclone, remotes, leases and services need a configuration";
        doctor.tell("config", [Finding::skip(rest)])?;
    }
    doctor.sshd = sshd::settings(&mut doctor)?;
    if let (Some(account), Ok(settings), None) =
        (&mut doctor.account, &doctor.sshd, &config.account.keys)
    {
        let files = sshd::key_files(settings, account);
        if !files.is_empty() {
            account.key_files = files;
        }
    }
    account::examine(&mut doctor)?;
    keys::examine(&mut doctor)?;
    runner::examine(&mut doctor)?;
    sshd::examine(&mut doctor)?;
    sudo::examine(&mut doctor)?;
    kernel::examine(&mut doctor)?;
    clock::examine(&mut doctor)?;
    journal::examine(&mut doctor)?;
    doctor.verdict()
}
