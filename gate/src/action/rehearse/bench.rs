//! The scratch folder of a rehearsal, in the spool, and the traces that a killed rehearsal leaves.
//!
//! A mark in the state folder stands from the first file of a rehearsal to its last. It names what may be left: files alone, or a
//! container as well. The next action that finds the mark without a rehearsal removes both, in a process with the powers of root.
//!
//! Invariant: the folder is empty between rehearsals, and takes no more than `rehearsal.max_bytes` meanwhile.

use std::rc::Rc;
use std::time::Duration;

use crate::action::Context;
use crate::action::databases::has_room;
use crate::action::night::digest_of;
use crate::action::restore::staging::Staging;
use crate::action::restore::stamp;
use crate::request::Target;
use archive::extract::{Options, free};
use base::durable;
use base::error::Failure;
use base::lock::ServiceLock;
use base::lock_name::LockName;
use base::names::PlainPath;
use base::scratch::Scratch;
use host::Patience;
use host::handover::{SETUP, open_beside, path_of};
use host::program::{Output, Profile, Program, Tether};
use stack::rehearsal::{RehearsalEntry, Work};

/// The name of the mark.
const MARK: &str = "rehearsal";

/// Files may be left.
const FILES: &[u8] = b"files";

/// A container may be left as well.
const CONTAINER: &[u8] = b"container";

/// The largest mark.
const MAX_BYTES: u64 = 64;

/// The longest time for the removal of leftovers.
const CLEARING: Duration = Duration::from_secs(30);

/// The folder of rehearsals. No service's name begins with a dot.
fn folder(spool_dir: &PlainPath) -> PlainPath {
    spool_dir.below(&[".rehearsal"])
}

/// The name of the container of a start test: one a gate, because one rehearsal runs at a time.
pub(super) fn container(context: &Context<'_>) -> String {
    let digest = digest_of(context.config.spool_dir.to_string().as_bytes()).to_string();
    format!(
        "backupctl-rehearsal-{}",
        digest.get(..12).unwrap_or_default()
    )
}

fn mark(context: &Context<'_>, what: &[u8]) -> Result<(), Failure> {
    let folder = context.own_directory(&context.config.state_dir)?;
    durable::replace(folder, MARK, what).map_err(Failure::io("the mark of a rehearsal"))
}

/// Removes the leftovers of a killed rehearsal, unless one runs.
pub(in crate::action) fn sweep(context: &mut Context<'_>) {
    let config = context.config;
    if !config.state_dir.below(&[MARK]).to_path_buf().exists() {
        return;
    }
    let turn = LockName::rehearsal();
    if let Ok(Some(_turn)) = ServiceLock::try_take(&config.lock_dir, &turn, "--rehearse") {
        finish(context);
    }
}

/// Removes everything that a rehearsal left. The turn to rehearse is held.
pub(super) fn finish(context: &mut Context<'_>) {
    if let Err(failure) = clear(context) {
        context.warn(format!(
            "the leftovers of a rehearsal were not removed, the next action tries again: {failure}"
        ));
    }
}

fn clear(context: &mut Context<'_>) -> Result<(), Failure> {
    let state = context.own_directory(&context.config.state_dir)?;
    let found = durable::read(&state, MARK, MAX_BYTES).map_err(Failure::io("a mark"))?;
    let Some(found) = found else {
        return Ok(());
    };
    let podman = context.config.rehearsal.podman.to_string();
    let work = Work::Clear {
        podman: (found != FILES).then_some(podman),
        name: container(context),
        folder: folder(&context.config.spool_dir).to_string(),
    };
    let patience = Patience::unattended(context.host.now() + CLEARING);
    let ended = run(
        context,
        "removing the leftovers of a rehearsal",
        work,
        &patience,
    )?;
    if !ended.ok() {
        return Err(Failure::Tool {
            what: "removing the leftovers of a rehearsal".into(),
            detail: ended.describe(),
        });
    }
    durable::remove(&state, MARK).map_err(Failure::io("the mark of a rehearsal"))
}

/// Runs the process that knows containers.
pub(super) fn run(
    context: &mut Context<'_>,
    what: &str,
    work: Work,
    patience: &Patience<'_>,
) -> Result<host::Ended, Failure> {
    let program = Rc::new(open_beside(SETUP)?);
    let home = context.home(Tether::Tied)?;
    let program = Program {
        what: what.to_owned(),
        argv: vec![path_of(&program)],
        source: None,
        tether: Tether::Tied,
        output: Output::Captured,
        profile: Profile::Entry(Box::new(RehearsalEntry { program, work })),
        home,
    };
    context.host.run(&program, patience)
}

/// The scratch folder, which is emptied when this is dropped.
pub(super) struct Bench {
    pub(super) staging: Staging,
    /// Held, so that no other gate empties it.
    scratch: Scratch,
    /// Bytes that stay free on its disk: more would exceed `rehearsal.max_bytes`.
    pub(super) reserve: u64,
}

impl Bench {
    /// Makes the folder; `needs` is the number of bytes that will come.
    pub(super) fn make(context: &mut Context<'_>, needs: u64) -> Result<Self, Failure> {
        let folder = folder(&context.config.spool_dir);
        mark(context, FILES)?;
        let scratch = Scratch::take(&folder).map_err(Failure::io(format!(
            "a folder for the rehearsal in {folder}"
        )))?;
        let kept = context.config.limits.spool_reserve;
        has_room(scratch.fd(), scratch.path(), needs, kept)?;
        let most = context.config.rehearsal.max_bytes;
        let reserve = kept.max(free(scratch.fd())?.saturating_sub(most));
        let stamp = stamp(context);
        let staging = Staging::make(context, (&Target::Beside, scratch.path()), &stamp)?;
        Ok(Self {
            staging,
            scratch,
            reserve,
        })
    }

    /// Options for the tree: as it was, without set-user-ID bits and capabilities.
    pub(super) fn options(&self) -> Options {
        Options {
            owners: nix::unistd::geteuid().is_root(),
            powers: false,
            reserve: self.reserve,
        }
    }

    /// The private folder around the tree.
    pub(super) fn path(&self) -> &PlainPath {
        self.scratch.path()
    }

    /// Notes that a container may be left.
    pub(super) fn will_start(&self, context: &Context<'_>) -> Result<(), Failure> {
        mark(context, CONTAINER)
    }
}
