//! Files and state on this host: the spool, restored data beside the service's data, leases and running actions.
//!
//! Invariant: only names and sizes are read, and no missing folder is made.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};

use crate::action::Context;
use crate::action::rehearse::record::ProofBook;
use crate::lease::Lease;
use base::clock;
use base::dirfd::{PinnedDir, entries};
use base::lock::ServiceLock;
use base::names::{PlainPath, ServiceName};
use base::proof::Proof;
use config::unusable::{self, Unusable};

/// A file or folder on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The path.
    pub(super) path: String,
    /// The size of a regular file.
    pub(super) bytes: Option<u64>,
    /// The time since the last write.
    pub(super) age: TimeDelta,
}

/// Files and state of one service on this host.
#[derive(Debug, Default)]
pub(super) struct LocalState {
    /// Files in the service's folder of the spool.
    pub(super) spool: Vec<Found>,
    /// Trees that restores have put beside the service's data.
    pub(super) beside: Vec<Found>,
    /// The lease, if the gate has stopped the service.
    pub(super) stopped: Option<Lease>,
    /// The action that works on the service.
    pub(super) busy: Option<String>,
    /// The newest proof of each kind of copy.
    pub(super) proofs: Vec<Proof>,
}

/// Files and state of all services on this host.
#[derive(Debug)]
pub(super) struct Here {
    /// Each service with at least one file, a lease, a running action or a proof.
    pub(super) services: BTreeMap<ServiceName, LocalState>,
    /// Names that services cannot have.
    pub(super) unusable: Vec<Unusable>,
    /// The time of the examination.
    pub(super) now: DateTime<Utc>,
}

impl Here {
    pub(super) fn look(context: &Context<'_>, only: Option<&ServiceName>) -> Self {
        let config = context.config;
        let now = clock::utc();
        let leases = context.leases().ok();
        let mut services = BTreeMap::new();
        for service in config.services.keys() {
            if only.is_some_and(|only| only != service) {
                continue;
            }
            let name = service.as_str();
            let beside = |entry: &str| {
                entry.starts_with("restored-") || entry.starts_with("data.before-restore-")
            };
            let local = LocalState {
                spool: look(&config.spool_dir.below(&[name]), now, |_| true),
                beside: look(&config.data_root.below(&[name]), now, beside),
                stopped: leases
                    .as_ref()
                    .and_then(|leases| leases.load(service).ok()?),
                busy: ServiceLock::busy(&config.lock_dir, service),
                proofs: ProofBook::newest(context, service),
            };
            if !local.spool.is_empty()
                || !local.beside.is_empty()
                || local.stopped.is_some()
                || local.busy.is_some()
                || !local.proofs.is_empty()
            {
                services.insert(service.clone(), local);
            }
        }
        let mut unusable = Vec::new();
        if only.is_none() {
            unusable.extend(unusable::tables(config));
            unusable.extend(unusable::folders(config));
        }
        Self {
            services,
            unusable,
            now,
        }
    }
}

/// The entries of a directory with fitting names; empty if the directory cannot be read.
fn look(directory: &PlainPath, now: DateTime<Utc>, fits: impl Fn(&str) -> bool) -> Vec<Found> {
    let Ok(opened) = PinnedDir::open(directory) else {
        return Vec::new();
    };
    entries(opened.fd())
        .unwrap_or_default()
        .iter()
        .filter(|name| name.to_str().is_some_and(&fits))
        .filter_map(|name| {
            let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
            let stat = fstatat(opened.fd(), name.as_os_str(), flags).ok()?;
            let regular = stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
            Some(Found {
                path: format!("{directory}/{}", name.display()),
                bytes: regular.then(|| u64::try_from(stat.st_size).unwrap_or(0)),
                age: now - DateTime::from_timestamp(stat.st_mtime, 0)?,
            })
        })
        .collect()
}
