//! Running rclone: what every action that does it has in common.
//!
//! Invariant: rclone is run from here alone, after its configuration was found to be trustworthy, and is told what it
//! may touch on this host.

use super::Context;
use crate::config::ConfigError;
use crate::error::Failure;
use crate::host::dirfd::{PinnedDir, Trusted, open_trusted};
use crate::host::{Ended, Exit, Patience};
use crate::names::PlainPath;
use crate::program::{EXIT_REPLACED, Folders, Output, Profile, Program, Tether};
use crate::progress::Phase;
use crate::rclone::{Listener, judge};

/// What a transfer may touch on this host.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access<'a> {
    /// Nothing: it lists, moves or removes files on the remote.
    Remote,
    /// It mirrors this directory, which it gets by descriptor.
    Source(&'a PinnedDir),
    /// It reads files below this folder of the gate's own, such as the spool.
    Reads(&'a PlainPath),
    /// It writes files below this folder, which it reads as well.
    #[expect(
        dead_code,
        reason = "for verbs that fetch; the first of them removes this line"
    )]
    Writes(&'a PlainPath),
}

/// One run of rclone.
#[derive(Debug)]
pub(super) struct Task<'a> {
    /// In words: "uploading the archive".
    pub(super) what: &'a str,
    /// The argument vector.
    pub(super) argv: Vec<String>,
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
    /// rclone's configuration amounts to code (a remote may name a program), so nobody else may write to it.
    pub(super) fn rclone_is_trusted(&self) -> Result<(), Failure> {
        let path = self.config.rclone.config.to_path_buf();
        let uid = nix::unistd::geteuid().as_raw();
        match open_trusted(&path, Trusted { uid }) {
            Ok(_) => Ok(()),
            Err(detail) => Err(Failure::Config(ConfigError::Unsafe(detail))),
        }
    }

    /// Runs rclone to its end, whatever that is; what it says goes to `heard`, which stays with the caller when the
    /// run is interrupted.
    pub(super) fn rclone_heard(
        &mut self,
        task: &Task<'_>,
        heard: &mut Listener,
        patience: &Patience<'_>,
    ) -> Result<Ended, Failure> {
        self.rclone_is_trusted()?;
        let mut folders = Folders::default();
        let mut source = None;
        match task.access {
            Access::Remote => {}
            Access::Source(directory) => source = Some(self.source(directory)?),
            Access::Reads(folder) => folders.reads.push(folder.clone()),
            Access::Writes(folder) => folders.writes.push(folder.clone()),
        }
        let program = Program {
            what: task.what.to_owned(),
            argv: task.argv.clone(),
            source,
            tether: Tether::Tied,
            output: task.output,
            profile: Profile::Transfer(folders),
            home: self.home()?,
        };
        self.host.run_heard(&program, patience, heard)
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
        self.judge(task, &ran)?;
        Ok(ran)
    }

    /// What the end of a run means.
    pub(super) fn judge(&self, task: &Task<'_>, ran: &Ran) -> Result<(), Failure> {
        if let (Access::Source(source), Exit::Code(EXIT_REPLACED)) = (task.access, ran.ended.exit) {
            return Err(Failure::SourceReplaced(source.path().to_path_buf()));
        }
        judge(task.what, task.remote, &ran.ended, &ran.heard, self.config)
    }
}
