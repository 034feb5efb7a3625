//! Running rclone: the common part of all actions that run it.
//!
//! Invariant: only this module runs rclone, after it found rclone's configuration to be trustworthy, and it limits the
//! files that rclone may touch on this host.

use super::Context;
use base::dirfd::PinnedDir;
use base::error::Failure;
use base::names::PlainPath;
use base::owners::trusted;
use base::progress::Phase;
use base::scratch::Scratch;
use config::Landlock;
use host::program::{
    NotStarted, Output, Profile, Program, Tether, Transfer, WorkingFolder, source_argument,
};
use host::{Ended, Exit, Patience};
use privilege::{Confinement, Offers, files};
use rclone::credentials::WorkingCopy;
use rclone::{Call, Listener, judge};

/// The local files that a transfer may touch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access<'a> {
    /// No local files: the task lists, moves or removes files on the remote.
    Remote,
    /// The task reads files of this directory, which rclone gets by descriptor.
    Source(&'a PinnedDir),
    /// The task reads files below this folder of the gate's own, for example the spool.
    Reads(&'a PlainPath),
    /// The task writes and reads files below this folder.
    Writes(&'a PlainPath),
}

/// One run of rclone.
#[derive(Debug)]
pub(super) struct Task<'a> {
    /// The task in words: "uploading the archive".
    pub(super) what: &'a str,
    /// The argument vector.
    pub(super) argv: Vec<String>,
    /// The task as a request to the one rclone process of the action, if it can be one.
    pub(super) call: Option<Call>,
    /// A place on the remote, for messages.
    pub(super) remote: &'a str,
    /// The local files that rclone may touch.
    pub(super) access: Access<'a>,
    /// The use of rclone's standard output.
    pub(super) output: Output,
    /// The name of this phase in progress reports.
    pub(super) phase: Phase,
}

/// A run that ended by itself, with success or failure.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) ended: Ended,
    pub(super) heard: Listener,
}

impl Context<'_> {
    /// Runs rclone until it ends, with success or failure. Its messages go to `heard`, which the caller keeps even if
    /// the run is interrupted.
    pub(super) fn rclone_heard(
        &mut self,
        task: &Task<'_>,
        heard: &mut Listener,
        patience: &Patience<'_>,
    ) -> Result<Ended, Failure> {
        if let Some(call) = &task.call
            && self.is_one_process(task.access)
        {
            return self.ask_one_process(task, call, heard, patience);
        }
        let program = self.transfer(task, patience)?;
        self.host.run_heard(&program, patience, heard)
    }

    /// A prepared run of rclone, with the folders and ports that it may use.
    pub(super) fn transfer<'p>(
        &self,
        task: &Task<'p>,
        patience: &Patience<'_>,
    ) -> Result<Program<'p>, Failure> {
        self.transfer_with(task, task.argv.clone(), task.access, patience)
    }

    /// Prepares a run like [`Self::transfer`], with other arguments and another access.
    pub(super) fn transfer_with<'p>(
        &self,
        task: &Task<'_>,
        argv: Vec<String>,
        access: Access<'p>,
        patience: &Patience<'_>,
    ) -> Result<Program<'p>, Failure> {
        let rclone = &self.config.rclone;
        let remote = task.remote.split(':').next().unwrap_or_default();
        let left = patience.until.saturating_duration_since(self.host.now());
        let copy = WorkingCopy::open(self.config, remote, left)?;
        let temporary = self.config.state_dir.below(&["tmp"]);
        let scratch = Scratch::take(&temporary)
            .map_err(Failure::io(format!("a temporary folder in {temporary}")))?;
        let mut rules = files::Rules {
            writes: vec![copy.folder().to_string(), scratch.path().to_string()],
            runs: vec![rclone.program.to_string()],
            ports: rclone.ports.clone(),
            ..files::Rules::default()
        };
        for (key, listed, rule) in [
            ("helpers", &rclone.helpers, &mut rules.runs),
            ("local_folders", &rclone.local_folders, &mut rules.writes),
        ] {
            for path in listed {
                if !path.to_path_buf().exists() {
                    return Err(Failure::Path {
                        path: path.to_path_buf(),
                        detail: format!(
                            "it is named in rclone.{key} and does not exist; mount its disk, or take it from the list"
                        ),
                    });
                }
                if key == "helpers" {
                    trusted(&[path.to_string()])?;
                }
                rule.push(path.to_string());
            }
        }
        let mut source = None;
        let mut fetches = false;
        match access {
            Access::Remote => {}
            Access::Source(directory) => {
                source = Some(self.source(directory)?);
                rules.source = Some(source_argument(rclone.pin));
            }
            Access::Reads(folder) => rules.reads.push(folder.to_string()),
            Access::Writes(folder) => {
                rules.writes.push(folder.to_string());
                fetches = true;
            }
        }
        let confinement = Confinement {
            // An ordinary user has this capability in a namespace of his own, where it has no effect.
            reads_all: source.is_some() && nix::unistd::geteuid().is_root(),
            sets_times: fetches || !rclone.local_folders.is_empty(),
            answers: false,
            files: self.confines()?.then_some(rules),
        };
        Ok(Program {
            what: task.what.to_owned(),
            argv,
            source,
            tether: Tether::Tied,
            output: task.output,
            home: scratch.path().clone(),
            profile: Profile::Transfer(Box::new(Transfer {
                copy: Box::new(copy),
                scratch,
                confinement,
                socket: None,
            })),
        })
    }

    /// Returns true if transfers enter a Landlock domain. A kernel without Landlock leaves the domain out, which is a
    /// failure only if the configuration requires Landlock.
    fn confines(&self) -> Result<bool, Failure> {
        match self.config.rclone.landlock {
            Landlock::Off => Ok(false),
            Landlock::Preferred => Ok(true),
            Landlock::Required if Offers::ask().landlock.is_some() => Ok(true),
            Landlock::Required => Err(Failure::Tool {
                what: "confining rclone".into(),
                detail: "this kernel has no Landlock, and rclone.landlock is \"required\"; boot Linux 5.13 or newer with landlock among the words of its lsm= parameter, or set rclone.landlock = \"preferred\"".into(),
            }),
        }
    }

    /// Runs rclone like [`Self::rclone_heard`], with a listener of its own.
    pub(super) fn rclone(
        &mut self,
        task: &Task<'_>,
        patience: &Patience<'_>,
    ) -> Result<Ran, Failure> {
        let mut heard = Listener::new(task.phase);
        let ended = self.rclone_heard(task, &mut heard, patience)?;
        Ok(Ran { ended, heard })
    }

    /// Runs rclone, and fails unless it succeeds.
    pub(super) fn rclone_must(
        &mut self,
        task: &Task<'_>,
        patience: &Patience<'_>,
    ) -> Result<Ran, Failure> {
        let ran = self.rclone(task, patience)?;
        self.judge(task, &ran.ended, &ran.heard)?;
        Ok(ran)
    }

    /// Turns the end of a run into success or a failure.
    pub(super) fn judge(
        &self,
        task: &Task<'_>,
        ended: &Ended,
        heard: &Listener,
    ) -> Result<(), Failure> {
        if let (Access::Source(source), Exit::NotStarted(NotStarted::SourceReplaced)) =
            (task.access, ended.exit)
        {
            return Err(Failure::SourceReplaced(source.path().to_path_buf()));
        }
        judge(task.what, task.remote, ended, heard, self.config)
    }
}
