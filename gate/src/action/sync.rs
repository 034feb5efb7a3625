//! `--sync` and `--sync-extra`: make the copy on the remote like the directory.
//!
//! Compare, decide, write down, carry out. The second run of rclone gets the names that the first one found, see
//! `rclone::survey`.
//!
//! Invariant: rclone reads the directory that was opened and checked, even if its name leads elsewhere by then. A sync
//! changes files only after it has counted and accepted the changes, and it records deletions before it makes them.

use std::io::Write;
use std::time::Instant;

use chrono::{DateTime, Utc};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::Context;
use super::capture::{Capture, Need, Wish};
use super::circumstances::{Circumstances, tell_bind_mount};
use super::remote::{Access, Task};
use super::versions;
use super::waiting::Pauses;
use crate::mirror::books::{Approval, Books, Refusal};
use crate::mirror::change::Change;
use crate::mirror::guard::{Verdict, decide};
use crate::policy::{Mirror, powers};
use base::clock;
use base::dirfd::PinnedDir;
use base::error::Failure;
use base::lock_name::LockName;
use base::names::PlainPath;
use base::progress::Phase;
use base::result_line::ResultLine;
use config::Config;
use host::program::Output;
use host::{Patience, Waits};
use rclone::survey::Survey;
use rclone::{Listener, Scope};

pub(super) fn sync(
    context: &mut Context<'_>,
    mirror: &Mirror,
    circumstances: &Circumstances,
    until: Instant,
) -> Result<String, Failure> {
    let waiting = Patience::attended(until);
    // An extra target is not a service, so no service is down for its sync.
    let service = mirror.lock.as_service();
    let mirrors = service.map(LockName::mirror);
    let _mirrors = match &mirrors {
        Some(name) => Some(context.lock(name, "--sync", &waiting)?),
        None => None,
    };
    let lock = context.lock(&mirror.lock, "--sync", &waiting)?;
    context.rclone_fits(&mirror.destination, &waiting.yielding(&lock))?;
    tell_bind_mount(context, mirror.lock.subject(), &mirror.source);
    let capture = match service {
        Some(service) => {
            let need = Need {
                wish: Wish::Sync,
                service,
                hot: mirror.hot,
                data: &mirror.source,
                circumstances,
            };
            Capture::begin(context, &need, lock, &waiting)?
        }
        None => Capture::live(context, &mirror.source, lock, &waiting)?,
    };
    if capture.is_plain() {
        context.host.give_up(powers::once_read())?;
    }
    let outcome = make_equal(context, mirror, &capture, until);
    capture.release(context, Wish::Sync, until);
    outcome
}

/// Makes the copy like the captured data.
fn make_equal(
    context: &mut Context<'_>,
    mirror: &Mirror,
    capture: &Capture,
    until: Instant,
) -> Result<String, Failure> {
    let service = mirror.lock.as_service();
    let waits = service.map(Waits::of);
    let patience = Patience {
        waits: waits.as_ref(),
        ..capture.patience(until)
    };
    let directory = capture.tree();
    let owner = service.filter(|_| !mirror.hot);
    let _turn = context.upload_turn(owner, Wish::Sync, &mirror.destination, &patience)?;
    let books = Books::open(&context.config.state_dir, &mirror.lock).map_err(keeping(mirror)())?;
    let heard = compare(context, mirror, directory, &patience)?;
    let change = change(&heard);
    context.say(format!("{}: {change}", mirror.source));
    let mut sync = Sync {
        mirror,
        directory,
        books,
        began: clock::utc(),
        change,
        allowed: 0,
        approval: None,
    };
    sync.ask()?;
    if !heard.survey().is_empty() {
        sync.carry_out(context, heard.survey(), &patience)?;
    }
    let forgotten = sync.books.forget_refusal(&mirror.destination);
    forgotten.map_err(keeping(mirror)())?;
    versions::prune(context, mirror, &patience);
    let line = ResultLine::Mirror {
        subject: mirror.lock.subject().to_owned(),
        files: change.left(),
        added: change.added,
        replaced: change.replaced,
        deleted: change.deleted,
    };
    context.say(line.to_string());
    Ok(format!(
        "{} is mirrored to {} ({} added, {} replaced, {} deleted)",
        mirror.source, mirror.destination, change.added, change.replaced, change.deleted
    ))
}

fn keeping(mirror: &Mirror) -> impl Fn() -> Box<dyn FnOnce(std::io::Error) -> Failure> {
    let what = format!("the books of {}", mirror.lock.subject());
    move || Box::new(Failure::io(what.clone()))
}

/// The size of the change that a comparison found.
fn change(heard: &Listener) -> Change {
    let survey = heard.survey();
    Change {
        mirrored: survey.mirrored(heard.stats()),
        deleted: survey.deleted(),
        replaced: survey.replaced(),
        added: survey.added(),
    }
}

/// Runs rclone to find out the changes that it would make.
fn compare(
    context: &mut Context<'_>,
    mirror: &Mirror,
    directory: &PinnedDir,
    patience: &Patience<'_>,
) -> Result<Listener, Failure> {
    let what = format!("comparing {} with its mirror", mirror.source);
    let task = Task {
        what: &what,
        argv: rclone::rehearsal(context.config, mirror.places(), context.host.local()),
        call: None,
        remote: &mirror.destination,
        access: Access::Source(directory),
        output: Output::Relayed,
        phase: Phase::Comparing,
    };
    let heard = context.rclone_patient_must(&task, patience)?.heard;
    if !heard.has_stats() {
        // Without numbers no decision is possible.
        return Err(Failure::Tool {
            what,
            detail: "rclone did not say how many files it compared; is it version 1.60 or newer?"
                .into(),
        });
    }
    Ok(heard)
}

/// A sync whose extent is known.
struct Sync<'a> {
    mirror: &'a Mirror,
    directory: &'a PinnedDir,
    books: Books,
    began: DateTime<Utc>,
    change: Change,
    /// The most files that the sync may delete; some may vanish while it runs.
    allowed: u64,
    /// The approval that this sync uses; `None` if it needs none.
    approval: Option<Approval>,
}

impl Sync<'_> {
    /// Decides if the sync may be carried out. Records the planned deletions, or the refusal.
    fn ask(&mut self) -> Result<(), Failure> {
        let (books, place) = (&self.books, &self.mirror.destination);
        let keeping = keeping(self.mirror);
        let recent = books.recent(place, self.began).map_err(keeping())?;
        let approval = books.approval(place, self.began).map_err(keeping())?;
        let approved = approval.as_ref().map(|approval| &approval.change);
        let few = self.change.deleted + self.change.deleted / 20 + 10;
        match decide(&self.change, recent, approved, &self.mirror.bounds) {
            Verdict::Fine => {
                let rest = self.mirror.bounds.max_delete.saturating_sub(recent.deleted);
                self.allowed = few.min(rest).max(self.change.deleted);
                let (mirrored, deleted) = (self.change.mirrored, self.change.deleted);
                let written = books.lose(place, self.began, mirrored, deleted);
                written.map_err(keeping())
            }
            Verdict::Approved => {
                self.allowed = few;
                self.approval = approval;
                books.set_approval(place, None).map_err(keeping())
            }
            Verdict::TooMuch(dangers) => {
                let (at, change) = (self.began, self.change);
                let refusal = Refusal { at, change };
                books.refuse(place, refusal).map_err(keeping())?;
                let dangers: Vec<String> = dangers.iter().map(ToString::to_string).collect();
                Err(Failure::UnsafeChange {
                    dangers: dangers.join("; "),
                    change: change.to_string(),
                    approve: self.mirror.approve.clone(),
                })
            }
        }
    }

    /// Makes the copy like the source, and settles the books after success and failure.
    fn carry_out(
        &self,
        context: &mut Context<'_>,
        survey: &Survey,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        let (bytes, files) = survey.transfers();
        let mut deleted = 0;
        let mut outcome = Ok(());
        if let Some(names) = survey.list() {
            let list = List::write(context, &self.mirror.lock, &names)?;
            let mut heard = Listener::new(Phase::Mirroring).of(bytes, files);
            let scope = Scope {
                max_delete: self.allowed,
                files: Some(&list.file),
                delete_first: survey.must_delete_first(),
            };
            outcome = self.run(context, Some(&list), scope, &mut heard, patience);
            deleted = heard.deleted();
            let done = heard.stats().transfers >= files && deleted >= self.change.deleted;
            if done || outcome.is_err() {
                return self.settle(deleted, outcome);
            }
            context.say("some files changed meanwhile; looking at all of them");
        }
        let mut heard = Listener::new(Phase::Mirroring).of(bytes, files);
        let scope = Scope {
            max_delete: self.allowed.saturating_sub(deleted),
            files: None,
            delete_first: survey.must_delete_first(),
        };
        outcome = outcome.and_then(|()| self.run(context, None, scope, &mut heard, patience));
        self.settle(deleted + heard.deleted(), outcome)
    }

    fn run(
        &self,
        context: &mut Context<'_>,
        list: Option<&List>,
        scope: Scope<'_>,
        heard: &mut Listener,
        patience: &Patience<'_>,
    ) -> Result<(), Failure> {
        let mirror = self.mirror;
        let what = format!("mirroring {}", mirror.source);
        let now = context.host.local();
        let argv = |config: &Config, deleted: u64| {
            let max_delete = scope.max_delete.saturating_sub(deleted);
            rclone::sync(
                config,
                mirror.places(),
                now,
                Scope {
                    max_delete,
                    ..scope
                },
            )
        };
        let mut task = Task {
            what: &what,
            argv: argv(context.config, 0),
            call: None,
            remote: &mirror.destination,
            access: match list {
                Some(list) => Access::SourceAndList(self.directory, &list.folder),
                None => Access::Source(self.directory),
            },
            output: Output::Relayed,
            phase: Phase::Mirroring,
        };
        let mut pauses = Pauses::new();
        loop {
            let ended = context.rclone_attempt(&task, heard, patience)?;
            if !context.waits_after(&task, &ended, heard, &mut pauses, patience)? {
                return context.judge(&task, &ended, heard);
            }
            heard.begin_again();
            task.argv = argv(context.config, heard.deleted());
        }
    }

    /// Records the actual deletions. A run that was cut short may have deleted a few more files than it reported.
    fn settle(&self, deleted: u64, outcome: Result<(), Failure>) -> Result<(), Failure> {
        const UNSAID: u64 = 16;
        let place = &self.mirror.destination;
        let deleted = match &outcome {
            Ok(()) => deleted,
            Err(_) => deleted.max(self.change.deleted.min(deleted + UNSAID)),
        };
        let written = match (&self.approval, &outcome) {
            (None, _) => self
                .books
                .lose(place, self.began, self.change.mirrored, deleted),
            // The sync used up the approval.
            (Some(_), Ok(())) => Ok(()),
            (Some(approval), Err(_)) => {
                let mut rest = approval.clone();
                rest.change.deleted = rest.change.deleted.saturating_sub(deleted);
                self.books.set_approval(place, Some(rest))
            }
        };
        outcome.and(written.map_err(keeping(self.mirror)()))
    }
}

fn list_folder(config: &Config, lock: &LockName) -> PlainPath {
    config.state_dir.below(&["lists", &lock.stem()])
}

/// The file with the names of the files to sync.
#[must_use]
pub(crate) fn list_file(config: &Config, lock: &LockName) -> PlainPath {
    list_folder(config, lock).below(&["files"])
}

/// A list of files for rclone, removed at the end.
struct List {
    folder: PlainPath,
    file: PlainPath,
}

impl List {
    fn write(context: &Context<'_>, lock: &LockName, names: &str) -> Result<Self, Failure> {
        let folder = list_folder(context.config, lock);
        let file = list_file(context.config, lock);
        let directory = context.own_directory(&folder)?;
        let writing = || Failure::io(format!("writing {file}"));
        let flags = OFlag::O_WRONLY
            | OFlag::O_CREAT
            | OFlag::O_TRUNC
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        openat(&directory, "files", flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| writing()(errno.into()))
            .map(std::fs::File::from)
            .and_then(|mut file| file.write_all(names.as_bytes()).map_err(writing()))?;
        Ok(Self { folder, file })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // File names are private; a list that stays is overwritten by the next one.
        let _ = std::fs::remove_file(self.file.to_path_buf());
    }
}
