//! Running rclone: what every action that does it has in common.
//!
//! Invariant: rclone is run from here alone, after its configuration was found to be trustworthy, and is told what it
//! may touch on this host.

use super::Context;
use crate::config::Landlock;
use crate::credentials::WorkingCopy;
use crate::error::Failure;
use crate::host::dirfd::PinnedDir;
use crate::host::owners::trusted;
use crate::host::{Ended, Exit, Patience};
use crate::names::PlainPath;
use crate::privilege::{Confinement, Offers, files};
use crate::program::{
    NotStarted, Output, Profile, Program, Tether, Transfer, WorkingFolder, source_argument,
};
use crate::progress::Phase;
use crate::rclone::{Call, Listener, judge};
use crate::scratch::Scratch;

/// What a transfer may touch on this host.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access<'a> {
    /// Nothing: it lists, moves or removes files on the remote.
    Remote,
    /// It mirrors this directory, which it gets by descriptor.
    Source(&'a PinnedDir),
    /// The same, with a list of files in this folder.
    SourceAndList(&'a PinnedDir, &'a PlainPath),
    /// It reads files below this folder of the gate's own, such as the spool.
    Reads(&'a PlainPath),
    /// It writes files below this folder, which it reads as well.
    Writes(&'a PlainPath),
}

/// One run of rclone.
#[derive(Debug)]
pub(super) struct Task<'a> {
    /// In words: "uploading the archive".
    pub(super) what: &'a str,
    /// The argument vector.
    pub(super) argv: Vec<String>,
    /// The same as a request to one rclone for the whole action, where it can be one.
    pub(super) call: Option<Call>,
    /// A place on the remote, for messages.
    pub(super) remote: &'a str,
    /// What it may touch here.
    pub(super) access: Access<'a>,
    /// What happens to its standard output.
    pub(super) output: Output,
    /// What its progress is called.
    pub(super) phase: Phase,
}

/// A run that came to its own end, good or bad.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) ended: Ended,
    pub(super) heard: Listener,
}

impl Context<'_> {
    /// Runs rclone to its end, whatever that is; what it says goes to `heard`, which stays with the caller when the
    /// run is interrupted.
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

    /// The same with other arguments and another access.
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
            Access::Source(directory) | Access::SourceAndList(directory, _) => {
                source = Some(self.source(directory)?);
                rules.source = Some(source_argument(rclone.pin));
            }
            Access::Reads(folder) => rules.reads.push(folder.to_string()),
            Access::Writes(folder) => {
                rules.writes.push(folder.to_string());
                fetches = true;
            }
        }
        if let Access::SourceAndList(_, folder) = access {
            rules.reads.push(folder.to_string());
        }
        let confinement = Confinement {
            // An ordinary user has it in a namespace of his own, where it means nothing.
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

    /// Whether transfers enter a Landlock domain; one that the kernel does not have is left out.
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

    /// The same with a listener of its own.
    pub(super) fn rclone(
        &mut self,
        task: &Task<'_>,
        patience: &Patience<'_>,
    ) -> Result<Ran, Failure> {
        let mut heard = Listener::new(task.phase);
        let ended = self.rclone_heard(task, &mut heard, patience)?;
        Ok(Ran { ended, heard })
    }

    /// Runs rclone, and insists on a good end.
    pub(super) fn rclone_must(
        &mut self,
        task: &Task<'_>,
        patience: &Patience<'_>,
    ) -> Result<Ran, Failure> {
        let ran = self.rclone(task, patience)?;
        self.judge(task, &ran.ended, &ran.heard)?;
        Ok(ran)
    }

    /// What the end of a run means.
    pub(super) fn judge(
        &self,
        task: &Task<'_>,
        ended: &Ended,
        heard: &Listener,
    ) -> Result<(), Failure> {
        if let (
            Access::Source(source) | Access::SourceAndList(source, _),
            Exit::NotStarted(NotStarted::SourceReplaced),
        ) = (task.access, ended.exit)
        {
            return Err(Failure::SourceReplaced(source.path().to_path_buf()));
        }
        judge(task.what, task.remote, ended, heard, self.config)
    }
}
