//! A write probe: store, compare, read back, rename and delete a small file below a remote's folder, as a backup would.
//!
//! The probe finds at once an rclone that is too old, a read-only sign-in, a full drive and a wrong drive. Its rclone
//! is confined as in any transfer. `--doctor` asks for a probe through a hidden entry, see [`super::facts`], because only
//! this program can confine rclone.
//!
//! Invariant: a probe stores its files in one folder of its own on the remote, and removes the folder at the end; one
//! probe at a time.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use ::facts::remote::{Report, Step};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::Context;
use super::fetch;
use super::one_process::Reach;
use super::proof::Pair;
use super::remedy::remedy;
use super::remote::{Access, Ran, Task};
use base::error::{Failure, Interrupt};
use base::lock_name::LockName;
use base::names::{PlainPath, Remote};
use base::progress::Phase;
use base::scratch::Scratch;
use config::Config;
use host::Patience;
use host::program::Output;
use rclone::Call;
use rclone::call;
use rclone::credentials;
use rclone::credentials::backends::is_encrypted;
use rclone::credentials::ini::Ini;
use rclone::place::Place;

/// The time limit for a write probe.
pub(super) const PROBE: Duration = Duration::from_secs(120);

/// True if an interruption ends the whole action. A passed deadline does not: it may be that of one question.
pub(super) fn ends_the_action(cause: Interrupt) -> bool {
    !matches!(cause, Interrupt::DeadlinePassed)
}

/// The folder of probes below the backup folder. No service's name begins with a dot.
pub(super) const FOLDER: &str = ".probe";

/// The local file, and its two names on the remote.
const FILE: &str = "probe";
const RENAMED: &str = "probe-renamed";

/// The time limit for removing the folder at the end.
const CLEANUP: Duration = Duration::from_secs(20);

/// The result of a probe whose steps all passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    /// A hash was compared, and not only the size.
    pub(super) hash: bool,
}

/// The result of a probe that failed at a step.
#[derive(Debug)]
pub(super) struct Broken {
    /// The step.
    pub(super) step: Step,
    /// Its failure.
    pub(super) failure: Failure,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The failure begins with the name of the step.
        self.failure.fmt(f)
    }
}

/// Makes a probe. The inner error is the result of the probe; the outer one ends the action.
pub(super) fn probe(
    context: &mut Context<'_>,
    remote: &Remote,
    patience: &Patience<'_>,
) -> Result<Result<Passed, Broken>, Failure> {
    let _lock = context.lock(&LockName::probe(), "a write probe", patience)?;
    let text = credentials::configured(context.config)?;
    let local = ProbeFile::write(context)?;
    context.begin_brief_process(Reach::Reads(local.path().clone()), patience)?;
    let mut probe = Probe {
        context,
        folder: remote.join(FOLDER),
        encrypted: is_encrypted(&Ini::parse(&text), remote.name()),
        local: &local,
        patience,
        step: Step::Store,
    };
    let outcome = probe.all();
    let step = probe.step;
    probe.clean_up();
    context.end_one_process();
    match outcome {
        Ok(hash) => Ok(Ok(Passed { hash })),
        Err(Failure::Interrupted { what, cause }) if ends_the_action(cause) => {
            Err(Failure::Interrupted { what, cause })
        }
        Err(failure) => Ok(Err(Broken { step, failure })),
    }
}

/// The file that is sent.
struct ProbeFile {
    folder: Scratch,
    content: Vec<u8>,
}

impl ProbeFile {
    fn write(context: &Context<'_>) -> Result<Self, Failure> {
        let parent = context.config.state_dir.below(&["tmp"]);
        let writing = || Failure::io(format!("a small file in {parent}"));
        let folder = Scratch::take(&parent).map_err(writing())?;
        let content = format!(
            "backupctl made this file to test the remote, and removes it at once.\n{} {}\n",
            context.host.local(),
            std::process::id()
        )
        .into_bytes();
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let file = openat(folder.fd(), FILE, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(Failure::errno(format!("a small file in {parent}")))?;
        std::io::Write::write_all(&mut std::fs::File::from(file), &content).map_err(writing())?;
        Ok(Self { folder, content })
    }

    fn path(&self) -> &PlainPath {
        self.folder.path()
    }
}

struct Probe<'p, 'c> {
    context: &'p mut Context<'c>,
    folder: String,
    encrypted: bool,
    local: &'p ProbeFile,
    patience: &'p Patience<'p>,
    step: Step,
}

impl Probe<'_, '_> {
    fn run(
        &mut self,
        (argv, call): (Vec<String>, Option<Call>),
        access: Access<'_>,
    ) -> Result<Ran, Failure> {
        let what = format!("{} in {}", self.step, self.folder);
        let task = Task {
            what: &what,
            argv,
            call,
            remote: &self.folder,
            access,
            output: Output::Silent,
            phase: Phase::Comparing,
        };
        self.context.rclone_must(&task, self.patience)
    }

    /// Runs the steps in order. Returns true if a hash was compared.
    fn all(&mut self) -> Result<bool, Failure> {
        let config: &Config = self.context.config;
        let (local, folder) = (self.local, self.folder.clone());
        let [file, renamed] = [FILE, RENAMED].map(|name| format!("{folder}/{name}"));
        let from = local.path().below(&[FILE]).to_string();
        let here = local.path().to_string();
        let place = Place::of(config, &folder);
        let upload = call::upload(&here, FILE, &place).once();
        self.run(
            (rclone::upload_probe(config, &from, &file), Some(upload)),
            Access::Reads(local.path()),
        )?;
        self.step = Step::Compare;
        let hash = self.compare()?;
        self.step = Step::ReadBack;
        let came = self.read_back(&file)?;
        if came != local.content {
            return Err(Failure::Verification(format!(
                "{} in {folder}: it came back with {} bytes that are not those that were stored",
                self.step,
                came.len()
            )));
        }
        self.step = Step::Rename;
        let call = call::rename(config, (&place, FILE), (&place, RENAMED)).once();
        self.run(
            (rclone::rename_probe(config, &file, &renamed), Some(call)),
            Access::Remote,
        )?;
        self.step = Step::Delete;
        let call = call::delete(config, &place, RENAMED).once();
        self.run(
            (rclone::delete_probe(config, &renamed), Some(call)),
            Access::Remote,
        )?;
        Ok(hash)
    }

    /// Compares the stored file with the local one. Returns true if a hash was compared.
    fn compare(&mut self) -> Result<bool, Failure> {
        let local = self.local;
        let access = Access::Reads(local.path());
        if !self.encrypted && self.context.is_one_process(access) {
            let what = format!("{} in {}", self.step, self.folder);
            let pair = Pair {
                what: &what,
                folder: &self.folder,
                local: local.path(),
                files: &[FILE],
            };
            return pair.agrees(self.context, self.patience, Output::Silent, false);
        }
        let here = local.path().to_string();
        let config = self.context.config;
        let compare = rclone::compare_probe(config, &here, &self.folder, FILE, self.encrypted);
        let ran = self.run((compare, None), access)?;
        Ok(!ran.heard.compared_sizes_alone())
    }

    /// Downloads the file.
    fn read_back(&mut self, file: &str) -> Result<Vec<u8>, Failure> {
        let config = self.context.config;
        if !self.context.is_one_process(Access::Remote) {
            let ran = self.run((rclone::read_probe(config, file), None), Access::Remote)?;
            return Ok(ran.ended.stdout);
        }
        let what = format!("{} in {}", self.step, self.folder);
        // One byte too many is enough to detect a wrong size.
        let most = self.local.content.len() as u64 + 1;
        let mut came = Vec::new();
        fetch::read(
            self.context,
            (&what, file, most),
            self.patience,
            &mut |coming| {
                coming
                    .take(most)
                    .read_to_end(&mut came)
                    .map_err(Failure::io(what.clone()))?;
                Ok(())
            },
        )?;
        Ok(came)
    }

    /// Removes the folder. If that fails, or no time is left, the next probe removes it.
    fn clean_up(&mut self) {
        if self.context.host.check(self.patience).is_err() {
            return;
        }
        let until = self.patience.until.min(self.context.host.now() + CLEANUP);
        let patience = Patience::attended(until);
        let what = format!("removing {}", self.folder);
        let place = Place::of(self.context.config, &self.folder);
        let call = call::purge(self.context.config, &place);
        let task = Task {
            what: &what,
            argv: rclone::purge_probe(self.context.config, &self.folder),
            call: Some(call.once()),
            remote: &self.folder,
            access: Access::Remote,
            output: Output::Silent,
            phase: Phase::Comparing,
        };
        let _ = self.context.rclone(&task, &patience);
    }
}

/// Makes a probe of one remote for the doctor, and returns its report.
pub(super) fn report(context: &mut Context<'_>, word: &str) -> Report {
    let config = context.config;
    let until = context.started + PROBE;
    let named = config
        .remotes
        .iter()
        .find(|remote| remote.to_string() == word);
    let Some(remote) = named else {
        return Report::Failed {
            step: None,
            words: format!("{word} is not among the remotes of the configuration"),
            fix: "# name one of the remotes of the configuration".into(),
        };
    };
    let (step, failure) = match context.probe_and_remember(remote, &Patience::attended(until)) {
        Ok(Ok(Passed { hash })) => return Report::Passed { hash },
        Ok(Err(Broken { step, failure })) => (Some(step), failure),
        Err(failure) => (None, failure),
    };
    Report::Failed {
        step,
        words: failure.to_string(),
        fix: remedy(config, remote.name(), &failure),
    }
}
