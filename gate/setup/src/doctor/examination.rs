//! One examination of this host: its inputs, its findings so far, and the questions that every hop may ask.
//!
//! Invariant: every question has a deadline, and the examination ends when its caller goes away.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base::error::{ExitStatus, Failure, Interrupt};
use base::names::{PlainPath, ServiceName};
use base::reply::Stream;
use config::Config;
use facts::{ENTRY, Question, read};
use host::program::{Output, Profile, Program, Tether};
use host::{Ended, Host, Patience};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::finding::{Finding, Verdict};
use super::known_account::Account;

/// sshd's settings: each name in lower case, with every value it has.
pub(super) type SshdSettings = BTreeMap<String, Vec<String>>;

/// One examination of this host.
pub(super) struct Examination<'a> {
    pub(super) config: &'a Config,
    pub(super) host: &'a mut dyn Host,
    pub(super) json: bool,
    pub(super) until: Instant,
    /// True if this is root's gate; many facts are hidden from other users.
    pub(super) root: bool,
    /// The user, besides root, who may own the files that the gate relies on.
    pub(super) trusted: u32,
    /// The path of this program.
    pub(super) gate: String,
    /// The path of the gate's configuration.
    pub(super) configuration: PathBuf,
    pub(super) account: Option<Account>,
    pub(super) sshd: Result<SshdSettings, String>,
    /// Services that the gate has stopped.
    pub(super) stopped: Vec<ServiceName>,
    /// The size of the largest service in bytes.
    pub(super) largest: Option<u64>,
    /// The findings so far, for JSON output.
    pub(super) told: Vec<Value>,
    pub(super) counts: [usize; 4],
    pub(super) failed_configuration: bool,
}

impl Examination<'_> {
    /// The wait policy of the whole examination.
    pub(super) fn patience(&self) -> Patience<'static> {
        Patience::attended(self.until)
    }

    /// Records the findings of a hop, and prints them at once unless the output is JSON.
    pub(super) fn tell(
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
                    self.say(&line);
                }
            }
        }
        let patience = self.patience();
        self.host
            .check(&patience)
            .map_err(|cause| Failure::Interrupted {
                what: format!("the examination, after {hop}"),
                cause,
            })
    }

    /// Runs a program that only reports facts. The `Err` in the `Ok` says why it reported none.
    pub(super) fn ask(
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
        let patience = Patience::attended(self.until.min(self.host.now() + time));
        match self.host.run(&program, &patience) {
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

    pub(super) fn say(&mut self, line: &str) {
        self.host.say(Stream::Out, line);
    }

    /// The command that asks `backupctl` a question.
    pub(super) fn command(&self, question: &Question) -> Vec<String> {
        let file = self.configuration.display().to_string();
        let mut words = vec![self.gate.clone(), "--config".into(), file, ENTRY.into()];
        words.extend(question.words().into_iter().map(str::to_owned));
        words
    }

    /// Asks `backupctl` a question. The `Err` in the `Ok` says why it gave no answer.
    pub(super) fn fact<T: DeserializeOwned>(
        &mut self,
        what: &str,
        question: &Question,
        time: Duration,
    ) -> Result<Result<T, String>, Failure> {
        let words = self.command(question);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = self.ask(what, &words, time)?;
        Ok(answer.and_then(|ended| read(&ended.stdout).map_err(|_| ended.describe())))
    }

    pub(super) fn verdict(mut self) -> Result<String, Failure> {
        if self.json {
            let told = Value::Array(std::mem::take(&mut self.told));
            let text = serde_json::to_string_pretty(&told).unwrap_or_default();
            text.lines().for_each(|line| self.say(line));
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
