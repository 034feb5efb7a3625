//! The gate's own files of one mirror: its state, the entries of the last manifest, lists, and copies for the upload.
//!
//! Invariant: losing these files loses nothing. The state is written after each thing that it tells of, and names the
//! files that belong to it, so it is never ahead of the remote.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;

use chrono::{DateTime, Utc};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use crate::action::Context;
use crate::policy::Mirror;
use archive::digest::Hasher;
use base::dirfd::entries;
use base::durable;
use base::error::Failure;
use base::names::PlainPath;
use base::scratch;
use mirror::complete::{Complete, Standing};
use mirror::heading::Owner;

/// The name of the state in its folder.
const STATE: &str = "state.json";

/// The size limit of the state; it holds some names and numbers.
const MOST: u64 = 64 << 10;

/// A transition that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pending {
    /// The number of its delta.
    pub(super) number: String,
    /// The digest of the delta.
    pub(super) digest: String,
    /// The size of the delta.
    pub(super) size: u64,
    /// The folder of its versions.
    pub(super) versions: String,
    /// The moment at which the data was captured.
    pub(super) as_of: String,
    /// The file with its list.
    pub(super) list: String,
    /// The bundle after it.
    pub(super) bundle: Option<String>,
    /// True once the delta is known to be on the remote.
    pub(super) committed: bool,
}

/// The knowledge about the mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SyncState {
    /// This board, for others to know.
    pub(super) owner: String,
    /// The number of the last manifest on the remote.
    pub(super) number: Option<String>,
    /// The file with its entries.
    pub(super) memory: Option<String>,
    /// The text of the file `complete` on the remote.
    pub(super) complete: Option<String>,
    /// The moment of the last complete copy.
    pub(super) as_of: Option<String>,
    /// The bundle of the last manifest.
    pub(super) bundle: Option<String>,
    /// A transition that was begun.
    pub(super) pending: Option<Pending>,
    /// True from the beginning of the first upload to its end. Then the entries are those that are up.
    pub(super) first: bool,
    /// Bytes of the list `staged` whose entries are up, in a first upload.
    pub(super) up: u64,
    /// True while a portion of a first upload is sent: its files may be up without being in the list.
    pub(super) loose: bool,
    /// True if the incoming folder may hold contents.
    pub(super) incoming: bool,
    /// The manifests of this generation on the remote, and their sizes.
    pub(super) books: BTreeMap<String, u64>,
    /// The time of the last comparison with the remote's listing.
    pub(super) compared: Option<DateTime<Utc>>,
}

impl SyncState {
    /// True if the file `complete` names the last manifest.
    pub(super) fn complete_is_current(&self) -> bool {
        let complete = self
            .complete
            .as_deref()
            .and_then(|text| Complete::parse(text.as_bytes()).ok());
        matches!(
            complete.map(|complete| complete.standing),
            Some(Standing::Complete { number, .. }) if Some(number.to_string()) == self.number
        )
    }
}

/// The folder of all copies in the spool.
pub(super) const COPIES: &str = ".mirror";

/// The list of changes, as the comparison finds it.
pub(super) const LIST: &str = "list";

/// The list with digests.
pub(super) const STAGED: &str = "staged";

/// The entries of the bundle, with digests.
pub(super) const BUNDLED: &str = "bundled";

/// Both, merged.
pub(super) const FINAL: &str = "final";

/// The folders of one mirror, open.
pub(super) struct Own {
    pub(super) path: PlainPath,
    fd: OwnedFd,
    /// The folder that rclone may read.
    pub(super) copies: PlainPath,
}

impl Own {
    pub(super) fn open(context: &Context<'_>, mirror: &Mirror) -> Result<Self, Failure> {
        let folder = mirror.lock.folder();
        let mut hasher = Hasher::default();
        hasher.update(mirror.destination.as_bytes());
        let key: String = hasher.finish().to_string().chars().take(16).collect();
        let path = context.config.state_dir.below(&["mirrors", &folder, &key]);
        // One level after the other: a disk that is not mounted is told from a new folder.
        context.own_directory(&context.config.state_dir.below(&["mirrors"]))?;
        let fd = context.own_directory(&path)?;
        let spool = context.config.spool_dir.below(&[COPIES]);
        context.own_directory(&spool)?;
        let copies = spool.below(&[&folder]);
        let own = Self { path, fd, copies };
        own.clear(context)?;
        Ok(own)
    }

    /// Empties the folder of copies.
    pub(super) fn clear(&self, context: &Context<'_>) -> Result<(), Failure> {
        let folder = context.own_directory(&self.copies)?;
        scratch::empty(&folder).map_err(Failure::errno(format!("emptying {}", self.copies)))
    }

    /// A folder among the copies, empty.
    pub(super) fn folder(&self, context: &Context<'_>, name: &str) -> Result<PlainPath, Failure> {
        let path = self.copies.below(&[name]);
        let folder = context.own_directory(&path)?;
        scratch::empty(&folder).map_err(Failure::errno(format!("emptying {path}")))?;
        Ok(path)
    }

    /// Makes an empty file.
    pub(super) fn create(&self, name: &str) -> Result<File, Failure> {
        let writing = || Failure::io(format!("creating {}/{name}", self.path));
        durable::create(&self.fd, name, &[]).map_err(writing())?;
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, name, flags, Mode::empty())
            .map(File::from)
            .map_err(|errno| writing()(errno.into()))
    }

    /// Opens a file, at its beginning.
    pub(super) fn read(&self, name: &str) -> Result<File, Failure> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, name, flags, Mode::empty())
            .map(File::from)
            .map_err(Failure::errno(format!("opening {}/{name}", self.path)))
    }

    /// Removes the name of a file.
    pub(super) fn remove(&self, name: &str) {
        let _ = unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir);
    }

    /// Gives a file another name.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        nix::fcntl::renameat(&self.fd, from, &self.fd, to)
            .map_err(Failure::errno(format!("renaming {}/{from}", self.path)))
    }

    /// The name of a file for the next memory, which is not the present one.
    pub(super) fn next_memory(state: &SyncState) -> &'static str {
        match state.memory.as_deref() {
            Some("memory-1.gz") => "memory-2.gz",
            _ => "memory-1.gz",
        }
    }

    /// The state. One that cannot be read counts as lost: all of it stands on the remote as well.
    pub(super) fn load(&self, context: &mut Context<'_>) -> Result<SyncState, Failure> {
        let bytes = durable::read(&self.fd, STATE, MOST);
        let state: Option<SyncState> = match bytes {
            Ok(None) => None,
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).ok().or_else(|| {
                context.warn(format!(
                    "{}/{STATE} cannot be read; the state of the mirror is read from the remote",
                    self.path
                ));
                None
            }),
            Err(error) => return Err(Failure::io(format!("reading {}/{STATE}", self.path))(error)),
        };
        let mut state = state.unwrap_or_default();
        let is_there =
            |name: &Option<String>| name.as_ref().is_none_or(|name| self.read(name).is_ok());
        let pending = state.pending.as_ref().map(|pending| pending.list.clone());
        if !is_there(&state.memory) || !is_there(&pending) {
            context.warn(format!(
                "a file of {} is missing; the state of the mirror is read from the remote",
                self.path
            ));
            state = SyncState {
                owner: state.owner,
                ..SyncState::default()
            };
        }
        if Owner::parse(&state.owner).is_none() {
            state.owner = new_owner()?;
        }
        Ok(state)
    }

    /// Writes the state, and removes the files of earlier ones.
    pub(super) fn save(&self, state: &SyncState) -> Result<(), Failure> {
        let writing = || Failure::io(format!("writing {}/{STATE}", self.path));
        let text = serde_json::to_vec(state).map_err(|error| writing()(error.into()))?;
        durable::replace(&self.fd, STATE, &text).map_err(writing())?;
        durable::keep_folder(&self.fd).map_err(writing())?;
        for name in entries(&self.fd).unwrap_or_default() {
            let Some(name) = name.to_str() else { continue };
            let is_old = name.starts_with("memory-") && state.memory.as_deref() != Some(name);
            if is_old || name.starts_with("fetched-") {
                let _ = unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir);
            }
        }
        Ok(())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Copies of private data; what stays is removed by the next sync.
        let _ = base::dirfd::private_dir(&self.copies, nix::unistd::geteuid().as_raw())
            .map(|folder| scratch::empty(&folder));
    }
}

fn new_owner() -> Result<String, Failure> {
    let path = "/proc/sys/kernel/random/uuid";
    let uuid = std::fs::read_to_string(path).map_err(Failure::io(path))?;
    let digits: String = uuid.chars().filter(char::is_ascii_hexdigit).collect();
    Ok(digits.chars().take(16).collect())
}
