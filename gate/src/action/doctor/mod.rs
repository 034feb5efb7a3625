//! `--doctor`: checks every hop from the ssh key to the remote, and prints one line and the fix for each.
//!
//! Each hop is a file: thin code that collects facts, and a pure judgement that tests run on made-up facts.
//!
//! Invariant: the doctor changes nothing, with two exceptions. It makes the gate's own folders if it runs a program
//! there, and it stores a small file on each remote and removes it again. Every program has a deadline; its output is
//! bounded, and is made printable before it is shown.

mod account;
mod clock;
mod configuration;
mod data;
mod finding;
mod folders;
mod journal;
mod kernel;
mod keys;
mod leases;
mod ownership;
mod remote;
mod services;
mod sshd;
mod sudo;
mod transfer;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Context;
use crate::config::Config;
use crate::error::{ExitStatus, Failure, Interrupt};
use crate::host::{Ended, Host, Patience};
use crate::names::{PlainPath, ServiceName};
use crate::program::{Output, Profile, Program, Tether};

use account::Account;
use finding::{Finding, Verdict};
pub(in crate::action) use remote::remedy;

/// Time limit for the whole examination.
const ALL: Duration = Duration::from_secs(300);

/// One examination of this host.
struct Examination<'a> {
    context: Context<'a>,
    json: bool,
    until: Instant,
    /// True if this is root's gate; many facts are hidden from other users.
    root: bool,
    /// The user, besides root, who may own the files that the gate relies on.
    trusted: u32,
    /// The path of this program.
    gate: String,
    /// The path of the gate's configuration.
    configuration: PathBuf,
    account: Option<Account>,
    sshd: Result<sshd::Settings, String>,
    /// Services that the gate has stopped.
    stopped: Vec<ServiceName>,
    /// The size of the largest service in bytes.
    largest: Option<u64>,
    /// The findings so far, for JSON output.
    told: Vec<Value>,
    counts: [usize; 4],
    failed_configuration: bool,
}

/// Runs all checks. `loaded` is the configuration, or the failure to load it: that failure is a finding like any
/// other.
///
/// # Errors
/// When a finding is a failure, with status 78 if it is the configuration itself and 69 if not; when the caller went
/// away.
pub(crate) fn doctor(
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
    let gate = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let mut doctor = Examination {
        context: Context {
            config: &config,
            host,
            started,
            one_process: None,
        },
        json,
        until: started + ALL,
        root: nix::unistd::geteuid().is_root(),
        trusted: nix::unistd::geteuid().as_raw(),
        gate: gate.display().to_string(),
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
    configuration::own_program(&mut doctor)?;
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
    sshd::examine(&mut doctor)?;
    sudo::examine(&mut doctor)?;
    kernel::examine(&mut doctor)?;
    clock::examine(&mut doctor)?;
    journal::examine(&mut doctor)?;
    doctor.verdict()
}

impl Examination<'_> {
    /// The wait policy of the whole examination.
    fn patience(&self) -> Patience<'static> {
        Patience::attended(self.until)
    }

    /// Records the findings of a hop, and prints them at once unless the output is JSON.
    fn tell(
        &mut self,
        hop: &'static str,
        findings: impl IntoIterator<Item = Finding>,
    ) -> Result<(), Failure> {
        for finding in findings {
            let place = match finding.verdict {
                Verdict::Ok => 0,
                Verdict::Warn => 1,
                Verdict::Fail => 2,
                Verdict::Skip => 3,
            };
            if let Some(count) = self.counts.get_mut(place) {
                *count += 1;
            }
            if self.json {
                self.told.push(finding.json(hop));
            } else {
                for line in finding.text(hop) {
                    self.context.say(line);
                }
            }
        }
        let patience = self.patience();
        self.context
            .host
            .check(&patience)
            .map_err(|cause| Failure::Interrupted {
                what: format!("the examination, after {hop}"),
                cause,
            })
    }

    /// Runs a program that only reports facts. The `Err` in the `Ok` says why it reported none.
    fn ask(
        &mut self,
        what: &str,
        argv: &[&str],
        time: Duration,
    ) -> Result<Result<Ended, String>, Failure> {
        let program = Program {
            what: what.to_owned(),
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            source: None,
            tether: Tether::Tied,
            output: Output::Silent,
            profile: Profile::Service,
            // No query writes to its home directory, so `/run` serves and the gate makes no directory.
            home: PlainPath::parse("/run").map_err(|error| Failure::Tool {
                what: what.to_owned(),
                detail: error.to_string(),
            })?,
        };
        let patience = Patience::attended(self.until.min(self.context.host.now() + time));
        match self.context.host.run(&program, &patience) {
            Ok(ended) => Ok(Ok(ended)),
            Err(Failure::Interrupted {
                cause: cause @ (Interrupt::PeerGone | Interrupt::Signalled | Interrupt::Preempted),
                what,
            }) => Err(Failure::Interrupted { what, cause }),
            Err(Failure::Interrupted { .. }) => Ok(Err(format!(
                "it did not answer in {} seconds",
                time.as_secs()
            ))),
            Err(Failure::ToolMissing { program, .. }) => {
                Ok(Err(format!("{program} is not installed")))
            }
            Err(failure) => Ok(Err(failure.to_string())),
        }
    }

    fn verdict(mut self) -> Result<String, Failure> {
        if self.json {
            let told = Value::Array(std::mem::take(&mut self.told));
            let text = serde_json::to_string_pretty(&told).unwrap_or_default();
            text.lines().for_each(|line| self.context.say(line));
        }
        let [ok, warn, fail, skip] = self.counts;
        let words = format!("{ok} OK, {warn} WARN, {fail} FAIL, {skip} SKIP");
        match fail {
            0 if self.json => Ok(String::new()),
            0 => Ok(words),
            _ => Err(Failure::Unwell {
                words,
                status: if self.failed_configuration {
                    ExitStatus::Config
                } else {
                    ExitStatus::Unavailable
                },
            }),
        }
    }
}
